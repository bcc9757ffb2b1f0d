// Giving a picture another look: which looks, how strongly, by which method.
import { button, fill, h, icon, paint } from "./dom.js";
import { ACCEPTED, modelField, more, numberField, seedField } from "./fields.js";
import { ask, complain, confirmed, notice, sendingFooter } from "./notices.js";
import { dataUrl, form, read, remove, send } from "./server.js";
import { percent } from "./strengths.js";
import { language, t } from "./words.js";

const MOST_LOOKS = 4;
const STRENGTHS = [0.25, 0.5, 0.75, 1];
const METHODS = { fast: "methodFast", optimise: "methodOptimise", diffusion: "methodDiffusion" };
const COLOURS = { no: "coloursStyle", luminance: "coloursPicture", matched: "coloursPalette" };
const DETAILS = { draft: "detailDraft", normal: "detailNormal", fine: "detailFine" };
const LOSSES = { gram: "lossGram", sliced: "lossSliced" };
const STARTS = { content: "beginContent", noise: "beginNoise" };
const LEAST_SIDE = 64; // pixels
const MOST_SIDE = 4096;

/** Ask which look a picture takes, and start the job. `content`: {image} of the gallery or {file}. */
export async function askLook(content, { deeds, models }) {
  const known = await read(`/api/styles?language=${language()}`).catch(complain);
  if (!known) return;
  const url = content.image ? content.image.webp : URL.createObjectURL(content.file);
  const wish = new Wish(known.styles, content, models);
  const answer = await ask(t("restyleTitle"), (close) => wish.draw(url, close), { kind: "restyle" });
  if (!content.image) URL.revokeObjectURL(url);
  wish.forget();
  if (answer) deeds.started(answer);
}

/** Ask what a picture's look shall be called, and keep it under that name; `onjobs(jobs)` hears of its training. */
export async function keepLook(file, onjobs) {
  const field = nameField({ placeholder: t("lookName"),
    oninput: () => (offer.hidden = true, replacing.checked = false) }); // what was said of one name is not said of another
  const learning = h("input", { type: "checkbox" });
  const replacing = h("input", { type: "checkbox" });
  const offer = h("label", { class: "pairing", hidden: true }, replacing, h("span", {}, t("replaceLook")));
  const keep = async () => {
    const wish = form({ name: field.value, picture: file, replace: replacing.checked });
    try {
      return await send(learning.checked ? "/api/styles/train" : "/api/styles", wish);
    } catch (error) {
      offer.hidden &&= error.kind !== "NameTaken";
      throw error;
    }
  };
  const answer = await ask(t("forKeep"), (close) => {
    const { footer, deliver } = sendingFooter(close, button("check", t("keepLook"), null, { kind: "primary", type: "submit" }));
    return [h("form", { onsubmit: (event) => (event.preventDefault(), deliver(keep)) },
      h("div", { class: "naming" }, field, h("label", { class: "pairing" }, learning, h("span", {}, t("learnLook"))), offer),
      footer)];
  });
  if (!answer) return;
  if (answer.jobs) onjobs(answer.jobs);
  notice(answer.jobs ? t("started") : t("lookKept", { name: field.value }));
  if (answer.remark) notice(answer.remark);
}

const nameField = (further) => h("input", { type: "text", class: "named", maxLength: 40, required: true, autofocus: true, "aria-label": t("lookName"), ...further });

/** A button whose words change with the look that is chosen. */
const deed = (name, onclick) => h("button", { type: "button", class: "button", onclick }, icon(name), h("span", {}));

class Wish {
  /** `content`: {image} or {file}, as it was asked for; `models` can draw. */
  constructor(styles, content, models) {
    this.content = content;
    this.models = models;
    this.looks = styles.map((style) => ({ ...style, weight: 1 }));
    this.chosen = [];
    this.settings = { strength: 1, method: "fast", detail: "normal", keep_colour: "no", variations: 1 };
    this.optimising = { loss: "gram", start: "content" };
    this.drawing = {}; // {model}
    this.share = 0.5; // of the second look in the middle of a blend
    this.mask = null; // a file
    this.isBlend = false;
    this.isCompared = false; // in several strengths
    this.isLimited = false; // to some cells
    this.cells = new Set();
  }

  draw(url, close) {
    this.shelf = h("div", { class: "looks", role: "group", "aria-label": t("looks") });
    this.weights = h("div", { class: "weights" });
    this.forgetting = deed("bin", () => this.forgetLook(this.chosen[0]));
    this.renaming = deed("remix", () => this.renameLook(this.chosen[0]));
    this.learning = deed("brush", () => deliver(() => send("/api/styles/train", { name: this.chosen[0].name })));
    this.keeping = h("div", { class: "keeping", hidden: true }, this.learning, this.renaming, this.forgetting);
    this.detail = this.choice("detail", t("detail"), DETAILS);
    this.images = this.choice("variations", t("images"), { 1: null, 2: null, 3: null, 4: null }, Number);
    this.strength = this.slider("strength", t("strength"));
    this.comparing = h("label", { class: "pairing" }, h("input", { type: "checkbox", onchange: (event) => (this.isCompared = event.target.checked, this.refresh()) }), h("span", {}, t("severalStrengths")));
    this.go = button("brush", t("restyle"), () => deliver(async () => send("/api/jobs", await this.body())), { kind: "primary" });
    const { footer, deliver } = sendingFooter(close, this.go);
    this.steps = h("label", { class: "pairing" }, h("input", { type: "checkbox", onchange: (event) => (this.isBlend = event.target.checked, this.refresh()) }), h("span", {}, t("blendSteps")));
    this.limiting = h("input", { type: "checkbox", onchange: (event) => this.limit(event.target.checked) });
    this.losses = this.choice("loss", t("loss"), LOSSES, String, this.optimising);
    this.starts = this.choice("start", t("begin"), STARTS, String, this.optimising);
    this.drawer = modelField(this.drawing, this.models);
    this.middle = this.slider("share", t("secondShare"), this, 0.95);
    this.masking = h("div", { class: "masking" });
    this.grid = h("div", { class: "cells", hidden: true, role: "group", "aria-label": t("someCells") },
      ["1", "2", "3", "4"].flatMap((row) => ["A", "B", "C", "D"].map((column) => this.cell(column + row))));
    this.refresh();
    return [
      h("div", { class: "bench" },
        h("div", { class: "subject" },
          h("div", { class: "plan" }, h("img", { src: url, alt: this.content.image?.alt ?? "" }), this.grid),
          h("label", { class: "pairing" }, this.limiting, h("span", {}, t("someCells")))),
        h("div", { class: "how" },
          this.shelf, this.keeping, this.weights, this.steps,
          this.strength, this.comparing,
          h("div", { class: "choices" },
            this.choice("method", t("method"), METHODS), this.detail,
            this.choice("keep_colour", t("keepColour"), COLOURS),
            this.images),
          more({}, this.middle,
            h("div", { class: "choices" },
              numberField(this.settings, "size", t("longerSide"), t("asUsual"), { min: LEAST_SIDE, max: MOST_SIDE }),
              seedField(this.settings), this.drawer, this.losses, this.starts),
            this.masking))),
      footer,
    ];
  }

  refresh() {
    const held = document.activeElement?.dataset?.look;
    fill(this.shelf, this.looks.map((look) => this.card(look)), this.adder());
    if (held) this.shelf.querySelector(`[data-look="${CSS.escape(held)}"]`)?.focus();
    const isOwn = this.chosen.length === 1 && this.chosen[0].preset === false && !this.chosen[0].shared;
    this.keeping.hidden = !isOwn;
    if (isOwn) {
      this.learning.hidden = this.chosen[0].trained && !this.chosen[0].outdated;
      fill(this.renaming.lastChild, t("renameLook", { name: this.chosen[0].name }));
      fill(this.forgetting.lastChild, t("forgetLook", { name: this.chosen[0].name }));
      fill(this.learning.lastChild, t("learnNamed", { name: this.chosen[0].name }));
    }
    const isPair = this.chosen.length === 2;
    this.isBlend &&= isPair;
    this.steps.hidden = !isPair;
    this.steps.querySelector("input").checked = this.isBlend;
    const isMixed = this.chosen.length > 1 && !this.isBlend;
    fill(this.weights, isMixed ? this.chosen.map((look) => this.slider("weight", parted(look.title)[0], look)) : []);
    const mayCompare = this.settings.method === "fast" && !this.isBlend;
    this.isCompared &&= mayCompare;
    this.comparing.hidden = !mayCompare;
    this.comparing.querySelector("input").checked = this.isCompared;
    this.strength.hidden = this.isCompared;
    this.images.hidden = this.isCompared || this.isBlend;
    this.middle.hidden = !this.isBlend;
    for (const field of [this.detail, this.losses, this.starts]) field.hidden = this.settings.method !== "optimise";
    if (this.drawer) this.drawer.hidden = this.settings.method !== "diffusion";
    fill(this.masking, this.masker());
    this.go.disabled = this.chosen.length === 0 || (this.isLimited && this.cells.size === 0);
  }

  card(look) {
    // Its colours show until the picture is there.
    const wash = look.colours?.length ? `linear-gradient(90deg, ${look.colours.join()})` : "none";
    const swatch = paint(h("img", { src: look.picture, alt: "", loading: "lazy" }), { "--wash": wash });
    const isChosen = this.chosen.includes(look);
    const [name, maker] = parted(look.title);
    const by = look.outdated ? t("outdatedLook") : look.trained ? t("learnedLook") : maker;
    return h("button", {
      type: "button", class: "look", "aria-pressed": String(isChosen), "data-look": look.name, title: look.title,
      onclick: () => this.toggle(look, !isChosen),
    }, swatch, h("span", {}, h("strong", {}, name), h("small", {}, by)));
  }

  async renameLook(look) {
    const title = t("renameLook", { name: look.name });
    const field = nameField({ value: look.name });
    const known = await ask(title, (close) => {
      const { footer, deliver } = sendingFooter(close, button("check", t("keepLook"), null, { kind: "primary", type: "submit" }));
      const rename = () => send(`/api/styles/${encodeURIComponent(look.name)}/rename?language=${language()}`, { name: field.value });
      return [h("form", { onsubmit: (event) => (event.preventDefault(), deliver(rename)) }, h("div", { class: "naming" }, field), footer)];
    });
    if (!known) return;
    const before = new Set(this.looks.map((one) => one.name));
    Object.assign(look, known.styles.find((one) => !before.has(one.name)));
    this.refresh();
  }

  async forgetLook(look) {
    const forget = t("forgetLook", { name: look.name });
    if (look.trained && !(await confirmed(forget, t("forgetForGood", { name: look.name }), forget, { isForGood: true }))) return;
    try {
      await remove(`/api/styles/${encodeURIComponent(look.name)}`);
      notice(t("lookForgotten", { name: look.name }));
      this.looks = this.looks.filter((one) => one !== look);
      this.toggle(look, false);
    } catch (error) {
      complain(error);
    }
  }

  cell(name) {
    const flip = (event) => {
      if (!this.cells.delete(name)) this.cells.add(name);
      event.currentTarget.setAttribute("aria-pressed", String(this.cells.has(name)));
      this.refresh();
    };
    return h("button", { type: "button", "aria-label": name, title: name, "aria-pressed": "false", onclick: flip });
  }

  limit(isLimited) {
    this.isLimited = this.limiting.checked = isLimited;
    this.grid.hidden = !isLimited;
    if (isLimited) this.mask = null; // one of them says where
    this.refresh();
  }

  masker() {
    if (this.mask) {
      const drop = () => (this.mask = null, this.refresh(), this.masking.querySelector("button").focus());
      return [h("img", { src: this.maskUrl, alt: t("mask") }), h("span", {}, this.mask.name), button("close", t("remove"), drop, { quiet: true })];
    }
    const input = h("input", { type: "file", accept: ACCEPTED, class: "unseen", tabIndex: -1, "aria-label": t("mask"),
      onchange: () => input.files[0] && this.limitTo(input.files[0]) });
    return [button("picture", t("addMask"), () => input.click(), { kind: "small" }), input];
  }

  /** Restyle only what is white in `mask`, a file. */
  limitTo(mask) {
    this.mask = mask;
    if (this.maskUrl) URL.revokeObjectURL(this.maskUrl);
    this.maskUrl = URL.createObjectURL(mask);
    this.cells.clear();
    for (const cell of this.grid.children) cell.setAttribute("aria-pressed", "false");
    this.limit(false);
    this.masking.querySelector("button").focus();
  }

  toggle(look, isWanted) {
    this.chosen = this.chosen.filter((one) => one !== look);
    if (isWanted) this.chosen = [...this.chosen, look].slice(-MOST_LOOKS);
    this.refresh();
  }

  adder() {
    const input = h("input", { type: "file", accept: ACCEPTED, class: "unseen", tabIndex: -1, "aria-label": t("ownLook"),
      onchange: () => input.files[0] && this.add(input.files[0]) });
    return [h("button", { type: "button", class: "look add", "data-look": "+", onclick: () => input.click() }, h("span", { class: "swatch" }, icon("picture")), h("span", {}, t("ownLook"))), input];
  }

  add(file) {
    const look = { name: `upload ${this.looks.length}`, title: file.name, file, picture: URL.createObjectURL(file), weight: 1 };
    this.looks.unshift(look);
    this.toggle(look, true);
  }

  slider(name, label, holder = this.settings, max = 1) {
    const shown = h("output", {}, percent(holder[name]));
    const input = h("input", { type: "range", min: "0.05", max: String(max), step: "0.05", value: String(holder[name]), "aria-label": label,
      oninput: () => {
        holder[name] = Number(input.value);
        shown.textContent = percent(holder[name]);
      } });
    return h("label", { class: "slide" }, h("span", {}, label), input, shown);
  }

  choice(name, label, words, convert = String, holder = this.settings) {
    const select = h("select", { class: "control", "aria-label": label, "data-setting": name, onchange: () => {
      holder[name] = convert(select.value);
      this.refresh();
    } }, Object.entries(words).map(([value, word]) => h("option", { value }, word ? t(word) : value)));
    select.value = String(holder[name]);
    return h("label", { class: "field-of" }, h("small", {}, label), select);
  }

  /** The body of the job, with pictures as data URLs or files. */
  async body() {
    const { content } = this;
    const styles = await Promise.all(this.chosen.map(async ({ name, file, weight }) =>
      file ? { picture: await dataUrl(file), weight } : { name, weight }));
    const stylize = { ...this.settings, styles };
    if (this.isLimited) stylize.cells = [...this.cells].join(" ");
    if (this.mask) stylize.mask = await dataUrl(this.mask);
    if (this.settings.method === "optimise") Object.assign(stylize, this.optimising);
    if (this.settings.method === "diffusion") Object.assign(stylize, this.drawing);
    if (this.isBlend) stylize.blend = this.share;
    if (this.isCompared) Object.assign(stylize, { strengths: STRENGTHS, variations: 1 });
    if (content.image) return { stylize: { ...stylize, image: content.image.id } };
    return form({ stylize: JSON.stringify(stylize), content: content.file });
  }

  forget() {
    for (const look of this.looks) if (look.file) URL.revokeObjectURL(look.picture);
    if (this.maskUrl) URL.revokeObjectURL(this.maskUrl);
  }
}

/** A title such as "Udnie (Francis Picabia, 1913)" as name and maker. */
const parted = (title) => (/^(.+?)\s*[(（](.+)[)）]$/.exec(title) ?? [title, title, ""]).slice(1);

// Pictures of pictures: blends of several, animations from one to the next, dreams without words.
import { button, fill, h, icon, keepControl } from "./dom.js";
import { ACCEPTED, modelField, more, seedField } from "./fields.js";
import { ask, sendingFooter } from "./notices.js";
import { dataUrl, send } from "./server.js";
import { ownGenerators, teachSettings } from "./teach.js";
import { t } from "./words.js";

const KINDS = { blend: "kindBlend", morph: "kindMorph", dream: "kindDream" };
const MOST = { blend: 5, morph: 6, dream: 1 };
const LEAST = { blend: 2, morph: 2, dream: 0 };
const RECENT = 12;
const NEAR = 0.3; // distance of dreams from a picture, as the studio is used to

/** Ask what to make of pictures, and start the job; `images` of the gallery are in it from the start. */
export async function askMix({ dreamers, models, recent, deeds, images = [], kind = "blend" }) {
  const mix = new Mix(dreamers, models, recent(), images.map((image) => ({ image })), kind);
  mix.own = await ownGenerators();
  const answer = await ask(t("mixTitle"), (close) => mix.draw(close), { kind: "mix" });
  mix.forget();
  if (answer) deeds.started(answer);
  return Boolean(answer);
}

/** Ask how much larger an image becomes, and how crisp, and start the job. */
export async function askDetail(image, deeds) {
  const wish = { factor: 2, detail: 0.5 };
  const answer = await ask(t("upscaleMore"), (close) => {
    const start = button("enlarge", t("upscale"), () => deliver(() => send(`/api/images/${image.id}/upscale`, wish)), { kind: "primary" });
    const { footer, deliver } = sendingFooter(close, start);
    return [
      h("div", { class: "mixing" },
        slider(wish, "factor", t("factor"), { min: 2, max: 4, step: 2, show: (value) => `${value}×` }),
        slider(wish, "detail", t("crispness"), { min: 0, max: 1, step: 0.05, show: percent })),
      footer,
    ];
  });
  if (answer) deeds.started(answer);
  return Boolean(answer);
}

class Mix {
  constructor(dreamers, models, recent, items, kind) {
    this.dreamers = dreamers;
    this.models = models; // those that can draw
    this.own = []; // generators that were trained here
    this.recent = recent.slice(0, RECENT);
    this.items = items; // each {image}, {file, url}, {prompt} or {seed}; a picture of a blend has a weight
    this.kind = kind;
    this.blend = { prompt: "", strength: 0.5, count: 1 };
    this.morph = { frames: 24, seconds: 3, loop: true, video: false, look: "" };
    this.dream = { look: "", truncation: 0.7, count: 4 };
    this.isMoreShown = false;
  }

  draw(close) {
    this.go = button("check", t("makeIt"), () => deliver(async () => send("/api/jobs", await this.body())), { kind: "primary" });
    const { footer, deliver } = sendingFooter(close, this.go);
    this.train = (body) => deliver(() => send("/api/generators", body));
    this.tabs = h("div", { class: "tabs", role: "group", "aria-label": t("mix") });
    this.list = h("ol", { class: "items" });
    this.adding = h("div", { class: "adding" });
    this.settings = h("div", { class: "settings" });
    this.refresh();
    return [h("div", { class: "mixing" }, this.tabs, this.list, this.adding, this.settings), footer];
  }

  get kinds() {
    return Object.keys(KINDS).filter((kind) => kind !== "dream" || this.dreamers.length || this.own.length);
  }

  /** What of the items this kind can use. */
  get used() {
    return this.items.filter((item) => this.kind === "morph" || item.image || item.file).slice(0, MOST[this.kind]);
  }

  refresh() {
    fill(this.tabs, this.kinds.map((kind) => h("button", {
      type: "button", class: "tab", "data-kind": kind, "aria-pressed": String(kind === this.kind),
      onclick: () => (this.kind = kind, this.refresh(), this.tabs.querySelector(`[data-kind=${kind}]`).focus()),
    }, t(KINDS[kind]))));
    fill(this.list, this.used.map((item) => this.row(item)));
    keepControl(this.adding, () => fill(this.adding, this.adders()));
    keepControl(this.settings, () => fill(this.settings, this[`${this.kind}Settings`]()));
    this.check();
  }

  check() {
    const isComplete = this.used.every((item) => item.image || item.file || item.prompt || item.seed !== undefined && item.seed !== "");
    if (this.drawer) this.drawer.hidden = !this.blend.prompt.trim();
    this.go.disabled = this.used.length < LEAST[this.kind] || !isComplete;
  }

  row(item) {
    const shown = item.image || item.file
      ? h("img", { src: item.url ?? item.image.webp, alt: item.image?.alt ?? item.file.name })
      : icon(item.prompt === undefined ? "dice" : "remix");
    return h("li", { class: "item" }, shown, this.about(item),
      button("close", t("remove"), () => this.drop(item), { quiet: true }));
  }

  about(item) {
    if (item.prompt !== undefined) return this.field(item, "prompt", t("whatToShow"), "text");
    if (item.seed !== undefined) return this.field(item, "seed", t("seedOfDream"), "number");
    if (this.kind !== "blend") return h("span", { class: "told" }, item.image?.prompt ?? item.file.name);
    item.weight ??= 1;
    return slider(item, "weight", t("weight"), { min: 0, max: 2, step: 0.05, show: (value) => value.toFixed(2) });
  }

  field(holder, name, label, type) {
    return h("input", { class: "named", type, value: String(holder[name] ?? ""), placeholder: label, "aria-label": label,
      ...(type === "number" ? { min: "0", max: "4294967295", step: "1" } : { maxLength: 1500 }),
      oninput: (event) => {
        const text = event.target.value;
        holder[name] = type === "number" && text !== "" ? Number(text) : text;
        this.check();
      } });
  }

  adders() {
    if (this.used.length >= MOST[this.kind]) return [];
    const input = h("input", { type: "file", accept: ACCEPTED, multiple: true, class: "unseen", tabIndex: -1, "aria-label": t("addPicture"),
      onchange: () => {
        for (const file of input.files) this.items.push({ file, url: URL.createObjectURL(file) });
        this.refresh();
      } });
    const isMorph = this.kind === "morph";
    const held = new Set(this.items.map((item) => item.image?.id));
    const offered = this.recent.filter((image) => !held.has(image.id));
    return [
      h("div", { class: "choices" },
        button("picture", t("addPicture"), () => input.click(), { kind: "small", "data-control": "picture" }), input,
        isMorph ? button("remix", t("addWords"), () => this.add({ prompt: "" }), { kind: "small" }) : null,
        isMorph && this.dreamers.length ? button("dice", t("addDream"), () => this.add({ seed: "" }), { kind: "small" }) : null),
      offered.length ? h("div", { class: "recent", role: "group", "aria-label": t("recentPictures") }, offered.map((image) =>
        h("button", { type: "button", title: image.prompt, "aria-label": image.alt, onclick: () => this.add({ image }) },
          h("img", { src: image.webp, alt: "", loading: "lazy" })))) : null,
    ];
  }

  add(item) {
    this.items.push(item);
    this.refresh();
    const next = this.list.lastElementChild.querySelector("input") ?? this.adding.querySelector("button") ?? this.go;
    next.focus();
  }

  drop(item) {
    const place = this.used.indexOf(item);
    this.items = this.items.filter((one) => one !== item);
    this.refresh();
    const next = this.list.children[place] ?? this.list.lastElementChild ?? this.adding;
    next.querySelector("button").focus();
  }

  more(...content) {
    return more({ open: this.isMoreShown, ontoggle: (event) => (this.isMoreShown = event.target.open) }, ...content);
  }

  blendSettings() {
    this.drawer = modelField(this.blend, this.models);
    return [
      this.field(this.blend, "prompt", t("drawOn"), "text"),
      slider(this.blend, "strength", t("drawOnStrength"), { min: 0, max: 1, step: 0.05, show: percent }),
      slider(this.blend, "count", t("images"), { min: 1, max: 4, step: 1, show: String }),
      this.more(h("div", { class: "choices" }, seedField(this.blend), this.drawer)),
    ];
  }

  morphSettings() {
    return [
      slider(this.morph, "frames", t("frames"), { min: 4, max: 120, step: 2, show: String }),
      slider(this.morph, "seconds", t("length"), { min: 1, max: 12, step: 0.5, show: (value) => t("seconds", { n: value }) }),
      h("label", { class: "pairing" }, h("input", { type: "checkbox", checked: this.morph.loop, onchange: (event) => (this.morph.loop = event.target.checked) }), h("span", {}, t("loopBack"))),
      h("label", { class: "pairing" }, h("input", { type: "checkbox", checked: this.morph.video, onchange: (event) => (this.morph.video = event.target.checked) }), h("span", {}, t("asVideo"))),
      this.hasDreams ? this.dreamerField(this.morph, "dreamer") : null,
      this.more(h("div", { class: "choices" }, seedField(this.morph), this.hasDreams ? this.lookField(this.morph, this.morph.dreamer) : null)),
    ];
  }

  /** Whether a dream is among the stops. */
  get hasDreams() {
    return this.used.some((item) => item.seed !== undefined);
  }

  /** What a dream shows; nothing to choose where the dreamer has one look alone. */
  lookField(holder, dreamer) {
    const chosen = this.dreamers.filter((one) => !dreamer || one.name === dreamer);
    const looks = [...new Set(chosen.flatMap((one) => one.looks))];
    if (!looks.length) return null;
    const select = h("select", { class: "control", "aria-label": t("dreamOf"), onchange: () => (holder.look = select.value) },
      h("option", { value: "" }, t("anything")), looks.map((look) => h("option", { value: look }, look)));
    select.value = holder.look;
    return h("label", { class: "field-of" }, h("small", {}, t("dreamOf")), select);
  }

  /** Who dreams: a generator of the catalogue, one that was trained here, or as the studio thinks best. */
  dreamerField(holder, name) {
    const known = this.dreamers.length > 1 ? this.dreamers : [];
    const offered = [...known, ...this.own];
    if (!offered.length) return null;
    if (!this.dreamers.length) holder[name] ??= offered[0].name;
    const select = h("select", { class: "control", "aria-label": t("dreamer"), "data-control": "dreamer", onchange: () => {
      holder[name] = select.value || null;
      holder.look = ""; // it was another's
      this.refresh();
    } },
      this.dreamers.length ? h("option", { value: "" }, t("asShipped")) : null, offered.map((one) => h("option", { value: one.name }, one.title || one.name)));
    select.value = holder[name] ?? "";
    return h("label", { class: "field-of" }, h("small", {}, t("dreamer")), select);
  }

  dreamSettings() {
    const far = { min: 0, max: 1, step: 0.05, usual: NEAR, show: (value) => (value === undefined ? t("usual") : percent(value)) };
    return [
      h("p", { class: "told" }, t("dreamHint")),
      this.dreamerField(this.dream, "model"),
      this.lookField(this.dream, this.dream.model),
      slider(this.dream, "truncation", t("wildness"), { min: 0, max: 1, step: 0.05, show: percent }),
      slider(this.dream, "count", t("images"), { min: 1, max: 4, step: 1, show: String }),
      this.more(
        this.used.length ? slider(this.dream, "distance", t("distance"), far) : null,
        h("div", { class: "choices" }, seedField(this.dream))),
      teachSettings(this.own, this.train),
    ];
  }

  /** The body of the job, with pictures of the device as data URLs. */
  async body() {
    const items = await Promise.all(this.used.map(async (item) => {
      if (item.image) return { image: item.image.id };
      if (item.file) return { picture: await dataUrl(item.file) };
      return item.prompt === undefined ? { seed: item.seed } : { prompt: item.prompt };
    }));
    if (this.kind === "morph") return { morph: { ...this.morph, look: this.hasDreams ? this.morph.look : "", stops: items } };
    if (this.kind === "dream") {
      const { distance, ...dream } = this.dream;
      return { dream: items.length ? { ...dream, like: items[0], distance } : dream };
    }
    const { prompt, strength, model, seed, count } = this.blend;
    const drawn = prompt.trim() ? { prompt, strength, model } : {};
    return { blend: { pictures: items, weights: this.used.map((item) => item.weight ?? 1), count, seed, ...drawn } };
  }

  forget() {
    for (const item of this.items) if (item.url) URL.revokeObjectURL(item.url);
  }
}

function slider(holder, name, label, { min, max, step, show, usual }) {
  const shown = h("output", {}, show(holder[name]));
  const input = h("input", { type: "range", min: String(min), max: String(max), step: String(step), value: String(holder[name] ?? usual), "aria-label": label,
    oninput: () => {
      holder[name] = Number(input.value);
      shown.textContent = show(holder[name]);
    } });
  return h("label", { class: "slide" }, h("span", {}, label), input, shown);
}

const percent = (share) => `${Math.round(share * 100)} %`;

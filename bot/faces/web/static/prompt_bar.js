// The prompt bar: text, marks of flags and errors in it, controls that write flags, pictures.
import { button, fill, h, icon, paint } from "./dom.js";
import { ask, complain, confirmed, notice } from "./notices.js";
import { flag, hasPreset, imageCount, toUnits, withFlag, withPreset } from "./prompt_text.js";
import { form, send } from "./server.js";
import { isChinese, t } from "./words.js";

const CHECK_MS = 220;
const DRAFT_KEY = "atelier.text";
const SHAPES = ["1:1", "4:5", "2:3", "9:16", "5:4", "3:2", "16:9", "2:1"];
const FLAG_MARK = /(^|\s)((?:--|—|–)[a-z]+(?:[\s=:]+(?!--|—|–)[^\s,]+)?)/gi;

export class PromptBar {
  /** `onjobs(jobs)` hears of jobs that were started; `recall()` gives earlier prompts. */
  constructor(root, { models, presets, flags, onjobs, recall, onpick }) {
    Object.assign(this, { root, models, presets, flags, onjobs, recall, onpick });
    this.pictures = new Map(); // role -> {blob, url}
    this.remixed = null; // image id
    this.problem = null;
    this.recalled = -1;
    this.build();
    this.write(sessionStorage.getItem(DRAFT_KEY) ?? "", { focus: false });
  }

  get text() {
    return this.box.value;
  }

  build() {
    this.box = h("textarea", {
      id: "prompt", rows: 1, autocapitalize: "off", autocomplete: "off",
      placeholder: t("promptHint"), "aria-label": t("promptLabel"), "aria-describedby": "problem",
      enterkeyhint: "send", maxLength: 20000,
      oninput: () => this.changed(),
      onkeydown: (event) => this.pressed(event),
      onscroll: () => (this.mirror.scrollTop = this.box.scrollTop),
    });
    this.box.spellcheck = false;
    this.mirror = h("div", { class: "mirror", "aria-hidden": "true" });
    this.sendButton = button("send", t("send"), () => this.submit(), { quiet: true, kind: "primary round", id: "send" });
    this.problemLine = h("p", { id: "problem", class: "problem", role: "status", hidden: true });
    this.attached = h("div", { class: "attached", hidden: true });
    this.controls = h("div", { class: "controls", role: "toolbar", "aria-label": t("parameters") });
    fill(
      this.root,
      h(
        "form",
        { class: "prompt", onsubmit: (event) => (event.preventDefault(), this.submit()) },
        this.attached,
        h(
          "div",
          { class: "line" },
          button("picture", t("addPicture"), () => this.onpick(), { quiet: true, kind: "round" }),
          h("div", { class: "field" }, this.mirror, this.box),
          this.sendButton,
        ),
        this.controls,
        this.problemLine,
      ),
    );
    this.drawControls();
  }

  // ---- text

  /** Replace the text, as if it had been typed. */
  write(text, { focus = true } = {}) {
    this.box.value = text;
    this.changed();
    if (focus) {
      this.box.focus();
      this.box.setSelectionRange(text.length, text.length);
    }
  }

  changed({ recalled = false } = {}) {
    if (!recalled) this.recalled = -1;
    sessionStorage.setItem(DRAFT_KEY, this.text);
    this.problem = null;
    this.fit();
    this.mark();
    this.tellProblem();
    this.drawControls();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), CHECK_MS);
  }

  fit() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, Math.max(96, innerHeight * 0.3))}px`;
  }

  /** Draw flags and the wrong word behind the text. */
  mark() {
    const text = this.text;
    const spans = [];
    for (const match of text.matchAll(FLAG_MARK)) {
      const start = match.index + match[1].length;
      spans.push([start, start + match[2].length, "flag"]);
    }
    if (this.problem?.length) {
      const start = toUnits(text, this.problem.position);
      const end = toUnits(text, this.problem.position + this.problem.length);
      spans.push([start, Math.max(end, start + 1), "wrong"]);
    }
    fill(this.mirror, ...pieces(text, spans), "\u200b");
    this.mirror.scrollTop = this.box.scrollTop;
  }

  async check() {
    const text = this.text;
    this.checking?.abort();
    this.checking = new AbortController();
    try {
      const told = await send("/api/check", { text }, { signal: this.checking.signal });
      if (text !== this.text) return;
      this.problem = told.problem;
      this.tellProblem(told.count);
      this.mark();
    } catch {
      // The next key, or sending, tells.
    }
  }

  tellProblem(count = 1) {
    const line = this.problemLine;
    this.box.setAttribute("aria-invalid", String(Boolean(this.problem)));
    if (this.problem) {
      fill(line, icon("alert"), h("span", {}, sentence(this.problem)), this.cure());
      line.className = "problem bad";
      line.hidden = false;
    } else if (count > 1) {
      fill(line, icon("layers"), h("span", {}, t("makesJobs", { count })));
      line.className = "problem";
      line.hidden = false;
    } else {
      line.hidden = true;
    }
  }

  /** A button that writes what the error suggests, where it is one word for another. */
  cure() {
    const { suggestion = "", position, length } = this.problem;
    const word = /did you mean (\S+?)[?.]?$/i.exec(suggestion.trim())?.[1];
    if (!word || !length) return null;
    const write = () => {
      const text = this.text;
      const [start, end] = [toUnits(text, position), toUnits(text, position + length)];
      this.write(text.slice(0, start) + word + text.slice(end));
    };
    return h("button", { type: "button", class: "button text", onclick: write }, t("fix", { word }));
  }

  pressed(event) {
    if (event.isComposing) return; // Enter chooses a Chinese word then
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      this.recallPrompt(event);
    } else if (event.key === "Escape" && this.remixed) {
      this.endRemix();
    }
  }

  recallPrompt(event) {
    const isUp = event.key === "ArrowUp";
    const untouched = this.recalled >= 0 || !this.text.trim();
    const atEdge = this.box.selectionStart === 0 && this.box.selectionEnd === 0;
    if (!untouched && !(isUp && atEdge)) return;
    const earlier = this.recall();
    const next = this.recalled + (isUp ? 1 : -1);
    if (next >= earlier.length || (next < 0 && this.recalled < 0)) return;
    event.preventDefault();
    if (this.recalled < 0) this.unsent = this.text;
    this.recalled = Math.max(-1, next);
    const text = this.recalled < 0 ? this.unsent : earlier[this.recalled];
    this.box.value = text;
    this.changed({ recalled: true });
    this.box.setSelectionRange(text.length, text.length);
  }

  // ---- sending

  submit() {
    const text = this.text.trim();
    if (!text && !this.pictures.size) {
      notice(t("emptyPrompt"));
      this.box.focus();
      return;
    }
    const sent = { text, pictures: [...this.pictures], remixed: this.remixed };
    this.clear();
    this.deliver(sent, false);
  }

  async deliver(sent, isConfirmed) {
    try {
      this.onjobs((await this.post(sent, isConfirmed)).jobs);
    } catch (error) {
      this.refused(error, sent);
    }
  }

  post({ text, pictures, remixed }, isConfirmed) {
    if (remixed) return send(`/api/images/${remixed}/remix`, { text });
    if (!pictures.length) return send("/api/jobs", { text, confirmed: isConfirmed });
    const blobs = Object.fromEntries(pictures.map(([role, { blob }]) => [role, blob]));
    return send("/api/jobs", form({ text, confirmed: isConfirmed, ...blobs }));
  }

  async refused(error, sent) {
    if (error.count && !sent.remixed) {
      const [title, text] = [t("confirmTitle", { count: error.count }), t("confirmText", { count: error.count })];
      if (await confirmed(title, text, t("confirmYes"))) this.deliver(sent, true);
      else this.restore(sent);
      return;
    }
    const isBack = this.restore(sent);
    if (error.position === undefined || !isBack) return complain(error);
    this.problem = { ...error, error: error.message };
    this.tellProblem();
    this.mark();
  }

  clear() {
    this.pictures.clear();
    this.remixed = null;
    this.drawAttached();
    this.write("");
  }

  /** Nothing typed is ever lost: what was refused comes back, unless something new is there. */
  restore({ text, pictures, remixed }) {
    if (this.text.trim() || this.pictures.size) return false;
    this.pictures = new Map(pictures);
    this.remixed = remixed;
    this.drawAttached();
    this.write(text);
    return true;
  }

  // ---- pictures and remixes

  /** Attach a picture: `role` is "source" or "style". */
  attach(role, blob) {
    this.pictures.set(role, { blob, url: URL.createObjectURL(blob) });
    this.drawAttached();
    this.box.focus();
  }

  /** Change the words of an image's job. */
  remix(image) {
    this.remixed = image.id;
    this.drawAttached();
    this.write(image.prompt);
  }

  endRemix() {
    this.remixed = null;
    this.drawAttached();
  }

  drawAttached() {
    const chips = [...this.pictures].map(([role, { url }]) =>
      chip(url, t(role === "source" ? "forPrompt" : "forStyle"), () => {
        this.pictures.delete(role);
        this.drawAttached();
      }),
    );
    if (this.remixed) chips.push(chip(`/api/images/${this.remixed}.webp`, t("remixing"), () => this.endRemix()));
    fill(this.attached, ...chips);
    this.attached.hidden = !chips.length;
  }

  // ---- controls

  set(name, value) {
    this.write(withFlag(this.text, name, value), { focus: !matchMedia("(pointer: coarse)").matches });
  }

  drawControls() {
    const key = [flag(this.text, "ar"), flag(this.text, "images"), flag(this.text, "model"), flag(this.text, "seed"),
      flag(this.text, "draft"), flag(this.text, "private"), this.presets.find((p) => hasPreset(this.text, p))?.name].join("|");
    if (key === this.drawnControls) return;
    this.drawnControls = key;
    const held = this.controls.contains(document.activeElement) ? document.activeElement.dataset.control : null;
    fill(
      this.controls,
      this.shapeControl(),
      this.countControl(),
      this.modelControl(),
      this.lookControl(),
      this.seedControl(),
      this.switchControl("draft", "bolt", t("draft"), t("draftHint")),
      this.switchControl("private", "lock", t("private"), t("makePrivate")),
      button("info", t("flagsHelp"), () => this.showFlags(), { quiet: true, kind: "small", "data-control": "help" }),
    );
    if (held) this.controls.querySelector(`[data-control="${held}"]`)?.focus();
  }

  shapeControl() {
    const now = flag(this.text, "ar") || "1:1";
    const shown = /^\d+:\d+$/.test(now) ? now : "1:1";
    const choose = (menu) =>
      h("div", { class: "shapes" }, SHAPES.map((shape) =>
        h("button", {
          type: "button", class: "shape", "aria-pressed": String(shape === shown),
          onclick: () => (menu.close(), this.set("ar", shape === "1:1" ? null : shape)),
        }, outline(shape), h("span", {}, shape))));
    return menuButton("ar", [outline(shown), h("span", {}, shown)], t("aspect"), choose, now !== "1:1");
  }

  countControl() {
    const now = imageCount(this.text);
    return h("div", { class: "segments", role: "group", "aria-label": t("images"), title: t("images") },
      [1, 2, 3, 4].map((count) => h("button", {
        type: "button", class: "segment", "aria-pressed": String(count === now), "data-control": `images${count}`,
        "aria-label": `${t("images")}: ${count}`,
        onclick: () => this.set("images", count === 4 ? null : count),
      }, String(count))));
  }

  modelControl() {
    const standard = this.models.find((model) => model.default) ?? this.models[0];
    const named = flag(this.text, "model");
    const now = this.models.find((model) => model.name === named) ?? standard;
    if (!now) return null;
    const choose = (menu) => h("div", { class: "options" }, this.models.map((model) =>
      option(model.title, isChinese() ? model.description_zh || model.description : model.description, model === now,
        () => (menu.close(), this.set("model", model.default ? null : model.name)))));
    return menuButton("model", [icon("layers"), h("span", {}, now.title)], t("model"), choose, Boolean(named));
  }

  lookControl() {
    const now = this.presets.find((preset) => hasPreset(this.text, preset));
    const title = (preset) => (isChinese() ? preset.title_zh : preset.title);
    const pick = (menu, preset) => {
      menu.close();
      this.write(withPreset(this.text, preset, this.presets));
    };
    const choose = (menu) => h("div", { class: "options" },
      option(t("noLook"), "", !now, () => pick(menu, null)),
      this.presets.map((preset) => option(title(preset), preset.added, preset === now, () => pick(menu, preset))));
    return menuButton("look", [icon("palette"), h("span", {}, now ? title(now) : t("look"))], t("look"), choose, Boolean(now));
  }

  seedControl() {
    const now = flag(this.text, "seed");
    const random = () => crypto.getRandomValues(new Uint32Array(1))[0];
    const choose = (menu) => {
      const field = h("input", { type: "number", min: 0, max: 4294967295, step: 1, inputMode: "numeric", value: now ?? "",
        "aria-label": t("seed"), placeholder: t("randomSeed"),
        onkeydown: (event) => event.key === "Enter" && (event.preventDefault(), menu.close(), this.set("seed", field.value || null)),
        onchange: () => this.set("seed", field.value || null) });
      return h("div", { class: "seed" }, field,
        button("dice", t("drawSeed"), () => (menu.close(), this.set("seed", random()))),
        now === null ? null : button("close", t("randomSeed"), () => (menu.close(), this.set("seed", null))));
    };
    const label = now ? `${t("seed")} ${now}` : t("seed");
    return menuButton("seed", [icon("dice"), h("span", {}, label)], t("seed"), choose, now !== null);
  }

  switchControl(name, drawing, label, hint) {
    const on = flag(this.text, name) !== null;
    return h("button", { type: "button", class: "control", "aria-pressed": String(on), title: hint, "data-control": name,
      onclick: () => this.set(name, on ? null : true) }, icon(drawing), h("span", {}, label));
  }

  showFlags() {
    const write = (usage) => {
      const [name, value] = usage.slice(2).split(/ (.*)/s);
      this.write(withFlag(this.text, name, value || true));
    };
    const row = (one, close) => h("div", { class: "flag-row" },
      h("button", { type: "button", class: "flag-name", title: t("writeFlag", { flag: one.usage }), onclick: () => (close(), write(one.usage)) }, one.usage),
      h("span", {}, isChinese() ? one.summary_zh : one.summary, one.allowed ? h("small", {}, ` ${one.allowed}`) : null));
    ask(t("flagsHelp"), (close) => [h("div", { class: "flag-list" }, this.flags.map((one) => row(one, close)))]);
  }
}

// ---- small parts

function sentence({ error, suggestion = "" }) {
  const reason = error.charAt(0).toUpperCase() + error.slice(1);
  return /did you mean (\S+?)[?.]?$/i.test(suggestion.trim()) ? reason : [reason, suggestion].filter(Boolean).join(" ");
}

/** The text cut at the borders of spans; a piece has the classes of all spans it lies in. */
function pieces(text, spans) {
  const cuts = [...new Set([0, text.length, ...spans.flatMap(([start, end]) => [start, end])])]
    .filter((cut) => cut <= text.length)
    .sort((a, b) => a - b);
  return cuts.slice(0, -1).map((start, index) => {
    const end = cuts[index + 1];
    const classes = spans.filter(([from, to]) => from <= start && end <= to).map((span) => span[2]);
    const words = text.slice(start, end);
    return classes.length ? h("mark", { class: classes.join(" ") }, words) : document.createTextNode(words);
  });
}

function outline(shape) {
  const [wide, high] = shape.split(":").map(Number);
  const scale = 15 / Math.max(wide, high);
  return paint(h("i", { class: "outline", "aria-hidden": "true" }), { "--w": `${Math.max(4, wide * scale)}px`, "--h": `${Math.max(4, high * scale)}px` });
}

function chip(url, label, onremove) {
  return h("span", { class: "chip" }, h("img", { src: url, alt: "" }), h("span", {}, label),
    button("close", `${t("remove")}: ${label}`, onremove, { quiet: true }));
}

function option(title, description, isOn, onclick) {
  return h("button", { type: "button", class: "option", "aria-pressed": String(isOn), onclick },
    h("span", {}, h("strong", {}, title), description ? h("small", {}, description) : null), isOn ? icon("check") : null);
}

/** A control that opens a small menu below itself; the menu is made anew each time. */
function menuButton(name, content, label, build, isSet) {
  const menu = h("div", { class: "menu", popover: "auto", role: "dialog", "aria-label": label });
  const opener = h("button", { type: "button", class: "control", "aria-haspopup": "dialog", title: label,
    "data-control": name, "data-set": String(isSet), onclick: () => open() }, ...content, icon("down"));
  const close = () => menu.isConnected && menu.hidePopover();
  function open() {
    fill(menu, build({ close }));
    document.body.append(menu);
    menu.showPopover();
    place(menu, opener);
    menu.querySelector("[aria-pressed=true], input, button")?.focus();
  }
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "closed") menu.remove();
  });
  return opener;
}

function place(menu, opener) {
  const at = opener.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const below = at.bottom + 8 + size.height < innerHeight;
  const left = Math.max(8, Math.min(at.left, innerWidth - size.width - 8));
  menu.style.left = `${left}px`;
  menu.style.top = `${below ? at.bottom + 8 : Math.max(8, at.top - size.height - 8)}px`;
}

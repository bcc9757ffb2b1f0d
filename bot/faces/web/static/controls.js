// The small controls under the prompt: they read flags from the text and write them into it.
import { button, fill, h, icon, keepControl, paint } from "./dom.js";
import { SEED_MAX } from "./fields.js";
import { ask } from "./notices.js";
import { flag, imageCount, withFlag } from "./prompt_text.js";
import { isChinese, t } from "./words.js";

const SHAPES = ["1:1", "4:5", "2:3", "9:16", "5:4", "3:2", "16:9", "2:1"];
const COUNTS = [1, 2, 3, 4];
const USUAL_COUNT = 4;
const SHOWN_FLAGS = ["ar", "images", "model", "preset", "seed", "draft", "private"];

export class Controls {
  /** `prompt` has `text` and `write(text, options)`; the lists say what there is to choose. */
  constructor(prompt, { models, presets, flags }) {
    Object.assign(this, { prompt, models, presets, flags });
    this.element = h("div", { class: "controls", role: "toolbar", "aria-label": t("parameters") });
    this.draw();
  }

  get text() {
    return this.prompt.text;
  }

  /** Write a flag; null removes it. */
  set(name, value) {
    const hasKeys = !matchMedia("(pointer: coarse)").matches; // else a keyboard would slide in
    this.prompt.write(withFlag(this.text, name, value), { focus: hasKeys });
  }

  /** Show what the text says now. */
  draw() {
    const { element } = this;
    const key = SHOWN_FLAGS.map((name) => flag(this.text, name)).join("|");
    if (key === this.drawn) return;
    this.drawn = key;
    const help = { quiet: true, kind: "small", "data-control": "help" };
    keepControl(element, () => fill(
      element,
      this.shape(),
      this.count(),
      this.model(),
      this.look(),
      this.seed(),
      this.toggle("draft", "bolt", t("draft"), t("draftHint")),
      this.toggle("private", "lock", t("private"), t("makePrivate")),
      button("info", t("flagsHelp"), () => this.showFlags(), help),
    ));
  }

  shape() {
    const now = flag(this.text, "ar") || "1:1";
    const shown = /^\d+:\d+$/.test(now) ? now : "1:1";
    const choice = (shape, menu) => {
      const onclick = () => {
        menu.close();
        this.set("ar", shape === "1:1" ? null : shape);
      };
      const pressed = String(shape === shown);
      return h("button", { type: "button", class: "shape", "aria-pressed": pressed, onclick },
        outline(shape), h("span", {}, shape));
    };
    const choices = (menu) => h("div", { class: "shapes" }, SHAPES.map((shape) => choice(shape, menu)));
    return menuButton("ar", [outline(shown), h("span", {}, shown)], t("aspect"), choices, now !== "1:1");
  }

  count() {
    const now = imageCount(this.text, USUAL_COUNT);
    const segment = (count) => h("button", {
      type: "button",
      class: "segment",
      "aria-pressed": String(count === now),
      "aria-label": `${t("images")}: ${count}`,
      "data-control": `images${count}`,
      onclick: () => this.set("images", count === USUAL_COUNT ? null : count),
    }, String(count));
    const looks = { class: "segments", role: "group", "aria-label": t("images"), title: t("images") };
    return h("div", looks, COUNTS.map(segment));
  }

  model() {
    const named = flag(this.text, "model");
    const standard = this.models.find((model) => model.default) ?? this.models[0];
    const now = this.models.find((model) => model.name === named) ?? standard;
    if (!now) return null;
    const choice = (model, menu) => option(model.title, descriptionOf(model), model === now, () => {
      menu.close();
      this.set("model", model.default ? null : model.name);
    });
    const choices = (menu) => h("div", { class: "options" }, this.models.map((model) => choice(model, menu)));
    const content = [icon("layers"), h("span", {}, now.title)];
    return menuButton("model", content, t("model"), choices, Boolean(named));
  }

  look() {
    const named = flag(this.text, "preset");
    const now = this.presets.find((preset) => preset.name === named);
    const title = (preset) => (isChinese() ? preset.title_zh : preset.title);
    const pick = (menu, preset) => {
      menu.close();
      this.set("preset", preset?.name ?? null);
    };
    const choice = (preset, menu) =>
      option(title(preset), preset.added, preset === now, () => pick(menu, preset), `/static/looks/${preset.name}.webp`);
    const choices = (menu) => h("div", { class: "options" },
      option(t("noLook"), "", !now, () => pick(menu, null)),
      this.presets.map((preset) => choice(preset, menu)));
    const content = [icon("palette"), h("span", {}, now ? title(now) : t("look"))];
    return menuButton("look", content, t("look"), choices, Boolean(now));
  }

  seed() {
    const now = flag(this.text, "seed");
    const choices = (menu) => {
      const take = (value) => {
        menu.close();
        this.set("seed", value);
      };
      const draw = () => take(crypto.getRandomValues(new Uint32Array(1))[0]);
      const field = h("input", {
        type: "number", min: 0, max: SEED_MAX, step: 1, inputMode: "numeric", value: now ?? "",
        "aria-label": t("seed"), placeholder: t("randomSeed"),
        onchange: () => this.set("seed", field.value || null),
        onkeydown: (event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          take(field.value || null);
        },
      });
      return h("div", { class: "seed" }, field,
        button("dice", t("drawSeed"), draw),
        now === null ? null : button("close", t("randomSeed"), () => take(null)));
    };
    const label = now ? `${t("seed")} ${now}` : t("seed");
    return menuButton("seed", [icon("dice"), h("span", {}, label)], t("seed"), choices, now !== null);
  }

  toggle(name, drawing, label, hint) {
    const isOn = flag(this.text, name) !== null;
    const onclick = () => this.set(name, isOn ? null : true);
    const state = { "aria-pressed": String(isOn), "data-control": name };
    return h("button", { type: "button", class: "control", title: hint, onclick, ...state },
      icon(drawing), h("span", {}, label));
  }

  /** All flags of the grammar; choosing one writes its example. */
  showFlags() {
    const write = (usage) => {
      const [name, value] = usage.slice(2).split(/ (.*)/s);
      this.prompt.write(withFlag(this.text, name, value || true));
    };
    const row = ({ usage, allowed, summary, summary_zh }, close) => {
      const onclick = () => {
        close();
        write(usage);
      };
      const title = t("writeFlag", { flag: usage });
      return h("div", { class: "flag-row" },
        h("button", { type: "button", class: "flag-name", title, onclick }, usage),
        h("span", {}, isChinese() ? summary_zh : summary, allowed ? h("small", {}, ` ${allowed}`) : null));
    };
    ask(t("flagsHelp"), (close) => [
      h("div", { class: "flag-list" }, this.flags.map((one) => row(one, close))),
    ]);
  }
}

function descriptionOf(model) {
  return isChinese() ? model.description_zh || model.description : model.description;
}

/** A small frame of a shape such as 3:2. */
function outline(shape) {
  const [wide, high] = shape.split(":").map(Number);
  const scale = 15 / Math.max(wide, high);
  const side = (length) => `${Math.max(4, length * scale)}px`;
  const frame = h("i", { class: "outline", "aria-hidden": "true" });
  return paint(frame, { "--w": side(wide), "--h": side(high) });
}

function option(title, description, isOn, onclick, picture = null) {
  const words = h("span", {}, h("strong", {}, title), description ? h("small", {}, description) : null);
  const shown = picture ? h("img", { src: picture, alt: "", width: 44, height: 44, loading: "lazy" }) : null;
  const looks = { type: "button", class: "option", "aria-pressed": String(isOn), onclick };
  return h("button", looks, shown, words, isOn ? icon("check") : null);
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

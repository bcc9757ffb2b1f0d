// The prompt bar: the text, marks of flags and errors in it, its pictures, and sending it.
import { Controls } from "./controls.js";
import { button, fill, h, icon, isComposing } from "./dom.js";
import { complain, confirmed, notice, waitFor } from "./notices.js";
import { BEFORE_FLAG, toUnits } from "./prompt_text.js";
import { form, send } from "./server.js";
import { t } from "./words.js";

const CHECK_MS = 220;
const DRAFT_KEY = "atelier.text";
const ATTACHED_KEY = "atelier.attached";
const OTHER_WORD = /(?:did you mean|是不是) (.+?)[?.？]?$/i; // as the server words it
const FLAG_MARK = new RegExp(
  `${BEFORE_FLAG}((?:--|—|–)[a-z]+(?:[\\s=:]+(?!--|—|–)[^\\s,，]+)?)`,
  "gi",
);

export class PromptBar {
  /** `onjobs(jobs)` hears of jobs that were started; `recall()` gives earlier prompts. */
  constructor(root, { models, presets, flags, onjobs, recall, onpick, onmix }) {
    Object.assign(this, { root, onjobs, recall, onpick, onmix });
    this.lists = { models, presets, flags };
    this.pictures = new Map(); // role -> {file, url} of the device or {id, url} of the gallery
    this.underWay = new Set(); // what was sent and is not answered
    this.remixed = null; // image id; its job is made once more, with no pictures beside it
    this.problem = null;
    this.recalled = -1;
    this.build();
    this.resume();
  }

  /** Go on with what was written and attached before a reload; files of the device are not kept. */
  resume() {
    const { pictures = [], remixed = null } = kept();
    for (const [role, id] of pictures) this.pictures.set(role, galleryPicture(id));
    this.remixed = pictures.length ? null : remixed;
    this.drawAttached();
    this.write(sessionStorage.getItem(DRAFT_KEY) ?? "", { focus: false });
  }

  /** Whether something is attached, or on its way, that a reload would lose. */
  get holdsFiles() {
    const sent = [...this.underWay].flatMap(({ pictures }) => pictures);
    return [...this.pictures, ...sent].some(([, { file }]) => file);
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
    const looks = { quiet: true, kind: "primary round", id: "send" };
    this.sendButton = button("send", t("send"), () => this.submit(), looks);
    this.problemLine = h("p", { id: "problem", class: "problem", role: "status", hidden: true });
    this.attached = h("div", { class: "attached", hidden: true });
    this.controls = new Controls(this, this.lists);
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
          button("mix", t("mix"), () => this.onmix(), { quiet: true, kind: "round" }),
          h("div", { class: "field" }, this.mirror, this.box),
          this.sendButton,
        ),
        this.controls.element,
        this.problemLine,
      ),
    );
  }

  // ---- text

  /** Replace the text, as if it had been typed. */
  write(text, { focus = true } = {}) {
    if (focus) {
      this.box.focus();
      this.retype(text);
    } else {
      this.box.value = text;
      this.changed();
    }
  }

  /** Type a text over all that is there, which undoing brings back; a value that is set does not. */
  retype(text) {
    this.box.select();
    document.execCommand(text ? "insertText" : "delete", false, text);
    if (this.text !== text) this.box.value = text; // where the page can't be typed into
    this.changed();
    this.box.setSelectionRange(text.length, text.length);
  }

  changed() {
    this.recalled = -1;
    sessionStorage.setItem(DRAFT_KEY, this.text);
    this.problem = null;
    this.fit();
    this.mark();
    this.tellProblem();
    this.controls.draw();
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
    const word = OTHER_WORD.exec(suggestion.trim())?.[1];
    if (!word || !length) return null;
    const write = () => {
      const text = this.text;
      const [start, end] = [toUnits(text, position), toUnits(text, position + length)];
      this.write(text.slice(0, start) + word + text.slice(end));
    };
    return h("button", { type: "button", class: "button text", onclick: write }, t("fix", { word }));
  }

  pressed(event) {
    if (isComposing(event)) return; // Enter chooses a Chinese word then
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
    this.retype(next < 0 ? this.unsent : earlier[next]);
    this.recalled = Math.max(-1, next);
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
    this.underWay.add(sent);
    try {
      this.onjobs((await waitFor(this.post(sent, isConfirmed))).jobs);
    } catch (error) {
      await this.refused(error, sent);
    } finally {
      this.underWay.delete(sent);
    }
  }

  async post({ text, pictures, remixed }, isConfirmed) {
    if (remixed) return send(`/api/images/${remixed}/remix`, { text });
    if (!pictures.length) return send("/api/jobs", { text, confirmed: isConfirmed });
    const fields = pictures.map(([role, { file, id }]) => (id ? [`${role}_image`, id] : [role, file]));
    return send("/api/jobs", form({ text, confirmed: isConfirmed, ...Object.fromEntries(fields) }));
  }

  async refused(error, sent) {
    if (error.count && !sent.remixed) {
      const count = { count: error.count };
      const isWanted = await confirmed(t("confirmTitle", count), t("confirmText", count), t("confirmYes"));
      if (isWanted) await this.deliver(sent, true);
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
    if (this.text.trim() || this.pictures.size || this.remixed) return false;
    this.pictures = new Map(pictures);
    this.remixed = remixed;
    this.drawAttached();
    this.write(text);
    return true;
  }

  // ---- pictures and remixes

  /** Attach a picture, {file} or {image} of the gallery: `role` is "source" or "style". Ends a remix. */
  attach(role, { file, image }) {
    this.remixed = null;
    this.pictures.set(role, image ? galleryPicture(image.id) : { file, url: URL.createObjectURL(file) });
    this.drawAttached();
    this.box.focus();
  }

  /** Change the words of an image's job, in place of what is attached. */
  remix(image) {
    this.pictures.clear();
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
    if (this.remixed) {
      const url = `/api/images/${this.remixed}.webp`;
      chips.push(chip(url, t("remixing"), () => this.endRemix()));
    }
    fill(this.attached, ...chips);
    this.attached.hidden = !chips.length;
    const pictures = [...this.pictures].filter(([, { id }]) => id).map(([role, { id }]) => [role, id]);
    sessionStorage.setItem(ATTACHED_KEY, JSON.stringify({ pictures, remixed: this.remixed }));
  }
}

// ---- small parts

const galleryPicture = (id) => ({ id, url: `/api/images/${id}.webp` });

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(ATTACHED_KEY)) ?? {};
  } catch {
    return {};
  }
}

function sentence({ error, suggestion = "" }) {
  const reason = error.charAt(0).toUpperCase() + error.slice(1);
  const isButton = OTHER_WORD.test(suggestion.trim()); // then the button says it
  return isButton ? reason : [reason, suggestion].filter(Boolean).join(" ");
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

function chip(url, label, onremove) {
  return h("span", { class: "chip" }, h("img", { src: url, alt: "" }), h("span", {}, label),
    button("close", `${t("remove")}: ${label}`, onremove, { quiet: true }));
}

// One picture, large: how it was made, where it comes from, and all that can be done with it.
import { button, fill, h, icon, isComposing, paint } from "./dom.js";
import { askDetail } from "./mix.js";
import { plain } from "./feed.js";
import { leave, notice } from "./notices.js";
import { split } from "./prompt_text.js";
import { read } from "./server.js";
import { moment, t } from "./words.js";

const SWIPE_PX = 50;
const ENLARGED_MAX = 3; // small pictures are not blown up further

export class Lightbox {
  /** `deeds`: what can be done; `studio`: {write, remix, attach, reveal, restyle, mix} of the page. */
  constructor(deeds, studio) {
    this.deeds = deeds;
    this.studio = studio;
    this.image = null;
    this.around = () => [];
    this.dialog = h("dialog", { class: "lightbox", "aria-label": t("picture") });
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    document.body.append(this.dialog);
  }

  get isOpen() {
    return this.dialog.open;
  }

  /** Open an image; `around()` gives the images that the arrows lead to. */
  open(image, around = () => [image]) {
    this.around = around;
    this.show(image);
    if (!this.isOpen) this.dialog.showModal();
    this.dialog.querySelector(".stage").focus();
  }

  /** Open by id, as a link does, where that is still wanted once it is here. */
  async openById(id, isWanted) {
    try {
      const image = await read(`/api/images/${id}`);
      if (isWanted()) this.open(image);
    } catch (error) {
      if (!isWanted()) return;
      notice(error.status === 404 ? t("gone") : t("unreachable"), { kind: "bad" });
      this.onclosed?.();
    }
  }

  show(image) {
    this.image = image;
    this.draw();
    this.onshown?.(image);
    this.drawLineage(image);
  }

  /** What is shown once an image is gone. */
  nextTo(id) {
    if (this.image?.id !== id) return null;
    const [before, after] = this.neighbours();
    return after ?? before ?? null;
  }

  /** An image changed, or is gone and `image` comes next; null: nothing does. */
  changeImage(id, image) {
    if (!this.isOpen || this.image?.id !== id) return;
    if (image) this.show(image);
    else this.dialog.close();
  }

  closed() {
    leave(this.dialog);
    const { image } = this;
    this.image = null;
    fill(this.dialog);
    this.onclosed?.(image);
  }

  neighbours() {
    const list = this.around();
    const at = list.findIndex((one) => one.id === this.image.id);
    return at < 0 ? [undefined, undefined] : [list[at - 1], list[at + 1]];
  }

  step(by) {
    const [before, after] = this.neighbours();
    const next = by < 0 ? before : after;
    if (next) this.show(next);
    if (by > 0 && !this.neighbours()[1]) this.onend?.();
  }

  pressed(event) {
    if (event.target.closest("input, textarea")) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's, to go back for one
    if (event.key === "ArrowLeft") this.step(-1);
    else if (event.key === "ArrowRight") this.step(1);
    else return;
    event.preventDefault();
  }

  // ---- drawing

  draw() {
    const { image } = this;
    const [before, after] = this.neighbours();
    const shape = { class: "large", width: image.width, height: image.height };
    const picture = image.video
      ? h("video", { ...shape, src: image.video, poster: image.png, "aria-label": image.alt, controls: true, loop: true, muted: true, playsInline: true, autoplay: !isCalm() })
      : h("img", { ...shape, src: image.png, alt: image.alt, draggable: true });
    const dim = h("div", { class: "dim", "aria-hidden": "true" });
    dim.style.backgroundImage = `url("${image.webp}")`;
    picture.style.backgroundImage = dim.style.backgroundImage; // until the original is here
    const stage = h("div", { class: "stage", tabIndex: -1 },
      dim, picture,
      image.animation && !image.video ? this.play(image, picture) : null,
      before ? button("left", t("previous"), () => this.step(-1), { quiet: true, kind: "round turn before" }) : null,
      after ? button("right", t("next"), () => this.step(1), { quiet: true, kind: "round turn after" }) : null,
      button("close", t("close"), () => this.dialog.close(), { quiet: true, kind: "round shut" }));
    paint(picture, { "--ratio": image.width / image.height, "--max": `${image.width * ENLARGED_MAX}px` });
    this.followSwipes(stage);
    const held = heldPlace(this.dialog);
    fill(this.dialog, stage, this.panel(image));
    if (this.isOpen) (held && this.dialog.querySelector(held) || stage).focus();
    this.dialog.setAttribute("aria-label", image.alt || t("picture"));
  }

  /** Let a picture move: at once, or by a button for those who asked for less of it. */
  play(image, picture) {
    const start = () => (picture.src = image.animation);
    if (!isCalm()) return start(), null;
    return button("play", t("play"), (event) => (start(), event.currentTarget.remove()), { kind: "play" });
  }

  panel(image) {
    const [words, flags] = split(image.prompt);
    const chips = flags.split(/\s(?=--|—)/).filter(Boolean).map((one) => h("span", { class: "flag" }, one));
    this.lineage = h("div", { class: "lineage" });
    return h("aside", { class: "panel" },
      h("section", { class: "said" },
        h("p", { class: "words" }, words || h("em", {}, t(`op-${image.operation}`))),
        chips.length ? h("p", { class: "flags" }, chips) : null,
        h("div", { class: "deeds" },
          button("copy", t("copyPrompt"), () => this.deeds.copyPrompt(image), { kind: "small" }),
          button("link", t("copyLink"), () => this.deeds.copyLink(image), { kind: "small" }))),
      this.keepers(image),
      image.operation.startsWith("train-") ? null : h("section", {}, h("h3", {}, t("change")), this.changes(image)), // a sheet is to look at
      this.lineage,
      image.own ? this.tags(image) : null,
      h("section", {}, h("h3", {}, t("details")), facts(image), recipe(image)));
  }

  keepers(image) {
    const named = (drawing, label, run, extra) => button(drawing, label, run, { quiet: true, kind: `keeper ${drawing}`, ...extra });
    return h("div", { class: "keepers", role: "toolbar", "aria-label": t("keep") },
      named("heart", t(image.favourite ? "unfavourite" : "favourite"), () => this.deeds.favourite(image), { "aria-pressed": String(image.favourite) }),
      image.own && named(image.private ? "lock" : "eye", t(image.private ? "makePublic" : "makePrivate"), () => this.deeds.publish(image), { "aria-pressed": String(image.private) }),
      download(image),
      named("bin", t("delete"), () => this.deeds.delete([image])));
  }

  tags(image) {
    const field = h("input", { class: "tag-field", placeholder: t("addTag"), "aria-label": t("addTag"), maxLength: 40, enterkeyhint: "done",
      onkeydown: (event) => {
        if (event.key !== "Enter" || isComposing(event) || !field.value.trim()) return;
        event.preventDefault();
        this.deeds.tag(image, [...image.tags, field.value.trim()]);
      } });
    const tag = (name) => h("span", { class: "tag" }, name,
      button("close", `${t("remove")}: ${name}`, () => this.deeds.tag(image, image.tags.filter((one) => one !== name)), { quiet: true }));
    return h("section", {}, h("h3", {}, t("tags")), h("div", { class: "tags" }, image.tags.map(tag), field));
  }

  changes(image) {
    const start = (path, body) => async () => {
      if (await this.deeds.start(`/api/images/${image.id}/${path}`, body)) this.leaveFor();
    };
    const withPicture = (role) => () => {
      this.leaveFor();
      this.studio.attach(role, { image });
    };
    if (image.animation) {
      return h("div", { class: "changes" },
        button("reroll", t("reroll"), start("reroll")),
        button("again", t("again"), start("again")),
        button("brush", t("restyle"), () => this.studio.restyle({ image })));
    }
    return h("div", { class: "changes" },
      button("subtle", t("varySubtle"), start("vary", { strong: false })),
      button("strong", t("varyStrong"), start("vary", { strong: true })),
      button("enlarge", t("upscale"), start("upscale", {})),
      button("reroll", t("reroll"), start("reroll")),
      button("remix", t("remix"), () => (this.leaveFor(), this.studio.remix(image))),
      button("again", t("again"), start("again")),
      button("brush", t("restyle"), () => this.studio.restyle({ image })),
      image.operation === "stylize" ? button("sliders", t("compareStrengths"), start("strengths", {})) : null,
      button("mix", t("mix"), async () => (await this.studio.mix([image])) && this.leaveFor()),
      button("sliders", t("upscaleMore"), async () => (await askDetail(image, this.deeds)) && this.leaveFor()),
      button("source", t("asPrompt"), withPicture("source")),
      button("palette", t("asStyle"), withPicture("style")));
  }

  /** Back to the feed, where what was started shows. */
  leaveFor() {
    this.dialog.close();
    this.studio.reveal();
  }

  async drawLineage(image) {
    const place = this.lineage;
    const parts = [];
    const job = await read(`/api/jobs/${image.job_id}`).catch(() => null);
    if (image.parent) {
      const parent = await read(`/api/images/${image.parent}`).catch(() => null);
      if (parent) parts.push(h("section", {}, h("h3", {}, t(`op-${image.operation}`)), this.strip([parent], image)));
    }
    if (job && job.images.length > 1) parts.push(h("section", {}, h("h3", {}, t("siblings")), this.strip(job.images, image)));
    if (this.image?.id === image.id) fill(place, parts);
  }

  strip(images, current) {
    return h("div", { class: "strip" }, images.map((one) => h("a", {
      href: `/i/${one.id}`, "aria-label": one.alt, "aria-current": one.id === current.id ? "true" : undefined,
      onclick: (event) => {
        if (!plain(event)) return;
        event.preventDefault();
        if (one.id !== current.id) this.show(one);
      },
    }, h("img", { src: one.webp, alt: "", width: one.width, height: one.height }))));
  }

  followSwipes(stage) {
    let start = null;
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") start = [event.clientX, event.clientY];
    });
    stage.addEventListener("pointerup", (event) => {
      if (!start) return;
      const [x, y] = [event.clientX - start[0], event.clientY - start[1]];
      start = null;
      if (Math.abs(x) > SWIPE_PX && Math.abs(x) > 2 * Math.abs(y)) this.step(x > 0 ? -1 : 1);
      else if (y > 2 * SWIPE_PX && y > 2 * Math.abs(x)) this.dialog.close();
    });
    stage.addEventListener("pointercancel", () => (start = null));
    stage.addEventListener("click", (event) => event.target === stage && this.dialog.close());
  }
}

/** Where the focus is among what every picture has, so that a redraw can give it back. */
function heldPlace(dialog) {
  const focused = document.activeElement;
  if (!dialog.contains(focused)) return null;
  return [".turn.before", ".turn.after", ".keeper.heart", ".keeper.eye, .keeper.lock", ".tag-field"].find((place) => focused.matches(place));
}

/** A link to the original, that says what kind of file it is. */
function download(image) {
  const kind = image.video ? "MP4" : image.animation ? "WebP" : "PNG";
  const label = t("download", { kind });
  const href = `${image.video ?? image.animation ?? image.png}?download`;
  return h("a", { class: "button quiet keeper", href, download: "", title: label, "aria-label": label }, icon("download"));
}

function facts(image) {
  const rows = [
    [t("model"), image.model],
    [t("seed"), String(image.seed)],
    [t("size"), `${image.width} × ${image.height}`],
    [t("operation"), t(`op-${image.operation}`)],
    [t("made"), moment(image.created_at)],
  ];
  return h("dl", { class: "facts" }, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function recipe(image) {
  if (!image.parameters) return null;
  return h("details", { class: "recipe" }, h("summary", {}, t("parameters")), h("pre", {}, image.parameters));
}

/** Whether somebody asked for less motion. */
const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

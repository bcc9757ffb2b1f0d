// The feed: all jobs, newest first. What it shows is the database; events only hurry it along.
import { button, fill, h, icon, keepControl, keepFocus, paint } from "./dom.js";
import { announce, complain, copy } from "./notices.js";
import { imageCount, ratio, split } from "./prompt_text.js";
import { cancel, read } from "./server.js";
import { slides } from "./strengths.js";
import { ago, duration, t } from "./words.js";

const PAGE = 20;
const AHEAD_PX = 800; // how far below the screen jobs are fetched
const ENDED = new Set(["finished", "failed", "cancelled"]);

export class Feed {
  /** `act` holds what can be done: `open(image)`, `favourite(image)`, `start(path)`, `write(text)`. */
  constructor(root, act) {
    this.root = root;
    this.act = act;
    this.cards = new Map(); // job id -> JobCard
    this.cursor = null;
    this.newest = null; // job id, of the last page that was read from the top
    this.list = h("div", { class: "jobs" });
    this.empty = h("div", { class: "empty", hidden: true });
    this.edge = h("div", { class: "edge" });
    fill(root, this.empty, this.list, this.edge);
    this.drawEmpty();
    whenNear(this.edge, AHEAD_PX, () => this.older());
    setInterval(() => this.tick(), 1000);
  }

  /** Earlier prompts, newest first, each once. */
  get prompts() {
    const jobs = [...this.cards.values()].map((card) => card.job);
    jobs.sort((a, b) => b.created_at.localeCompare(a.created_at));
    return [...new Set(jobs.map((job) => job.prompt).filter(Boolean))];
  }

  /** All images of the feed in the order they are seen. */
  get images() {
    const cards = [...this.list.children].map((element) => this.cards.get(element.dataset.job));
    return cards.flatMap((card) => card?.job.images ?? []);
  }

  async load() {
    const told = await read(`/api/jobs?limit=${PAGE}`);
    for (const job of told.jobs) this.take(job);
    await this.catchUp(told.jobs);
    // Jobs of which nothing was heard may lie between this page and what is known.
    if (!told.jobs.some((job) => job.id === this.newest)) this.cursor = told.cursor;
    this.newest = told.jobs[0]?.id ?? null;
    this.hasLoaded = true;
    this.showEmpty();
    this.fillScreen();
  }

  /** Jobs under way that are no longer on the first page. */
  async catchUp(jobs) {
    const known = new Set(jobs.map((job) => job.id));
    for (const [id, card] of this.cards) {
      if (!ENDED.has(card.job.status) && !known.has(id)) await this.ask(id);
    }
  }

  /** Show a job as it is now; one that was erased meanwhile is taken off. */
  async ask(id) {
    try {
      this.take(await read(`/api/jobs/${id}`));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.cards.get(id).element.remove();
      this.cards.delete(id);
    }
  }

  /** Ask for the present; used when events may have been missed. */
  async refresh() {
    try {
      await this.load();
    } catch {
      // Asked again soon.
    }
  }

  async older() {
    if (!this.cursor || this.isLoading) return;
    this.isLoading = true;
    this.edge.textContent = t("loading");
    const asked = this.cursor;
    try {
      const told = await read(`/api/jobs?limit=${PAGE}&cursor=${encodeURIComponent(asked)}`);
      for (const job of told.jobs) this.take(job);
      if (this.cursor === asked) this.cursor = told.cursor; // else a gap was found meanwhile
    } catch (error) {
      complain(error);
      return; // asked again with the next news, or when the edge comes near again
    } finally {
      this.isLoading = false;
      this.edge.textContent = "";
      this.showEmpty();
    }
    this.fillScreen();
  }

  /** The edge tells when it comes near, not that it still is. */
  fillScreen() {
    if (!this.root.hidden && this.edge.getBoundingClientRect().top < innerHeight + AHEAD_PX) this.older();
  }

  /** Show a job as it is now. */
  take(job) {
    const card = this.cards.get(job.id);
    if (card) {
      const before = card.job.status;
      card.update(job);
      if (!ENDED.has(before) && ENDED.has(job.status)) this.ended(job);
      return;
    }
    const made = new JobCard(job, this.act);
    this.cards.set(job.id, made);
    const isOlder = (element) => this.cards.get(element.dataset.job).job.created_at < job.created_at;
    this.list.insertBefore(made.element, [...this.list.children].find(isOlder) ?? null);
    this.showEmpty();
  }

  ended(job) {
    if (job.status === "finished") announce(t("finishedSay", { prompt: split(job.prompt)[0] }));
    if (job.status === "failed") announce(t("failedSay", { reason: job.reason }));
    if (job.status === "finished") this.act.finished(job);
  }

  /** An image changed; null: it is gone. */
  changeImage(id, image) {
    for (const card of this.cards.values()) card.changeImage(id, image);
    this.showEmpty();
  }

  /** Images came back: read their jobs anew. */
  async reread(images) {
    for (const id of new Set(images.map((image) => image.job_id))) {
      const job = await read(`/api/jobs/${id}`).catch(() => null);
      const card = this.cards.get(id);
      if (job && card) card.update(job);
    }
    this.showEmpty();
  }

  tick() {
    let open = 0;
    for (const card of this.cards.values()) {
      card.tick();
      if (!ENDED.has(card.job.status)) open += 1;
    }
    document.title = open ? `(${open}) Atelier` : "Atelier";
  }

  showEmpty() {
    const isBare = [...this.cards.values()].every((card) => card.element.hidden);
    this.empty.hidden = !this.hasLoaded || Boolean(this.cursor) || !isBare;
  }

  drawEmpty() {
    const examples = ["example1", "example2", "example3"].map((key) =>
      h("button", { type: "button", class: "example", onclick: () => this.act.write(t(key)) }, t(key)));
    fill(this.empty, h("div", { class: "easel", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i")),
      h("h2", {}, t("emptyFeed")), h("p", {}, t("emptyFeedHint")), h("div", { class: "examples" }, examples));
  }
}

class JobCard {
  constructor(job, act) {
    this.act = act;
    this.shown = {};
    this.preview = null;
    this.tiles = h("div", { class: "tiles" });
    this.state = h("div", { class: "state" });
    this.side = h("div", { class: "side" });
    const wall = h("div", { class: "wall" }, this.tiles, this.state);
    this.element = h("article", { class: "job", "data-job": job.id }, wall, this.side);
    this.update(job);
  }

  update(job) {
    if (this.job && isOutdated(job, this.job)) return;
    this.job = job;
    this.heardAt = performance.now();
    if (job.preview) this.preview = job.preview;
    this.element.dataset.status = job.status;
    this.element.setAttribute("aria-label", job.prompt);
    this.drawTiles();
    this.drawState();
    this.drawSide();
    this.hideBare();
  }

  /** Nothing is left of a job whose images were all deleted; they may come back. */
  hideBare() {
    this.element.hidden = this.job.status === "finished" && !this.job.images.length;
  }

  changeImage(id, image) {
    const index = this.job.images.findIndex((one) => one.id === id);
    if (index < 0) return;
    if (image) this.job.images[index] = image;
    else this.job.images.splice(index, 1);
    this.shown.tiles = null;
    this.drawTiles();
    this.hideBare();
  }

  // ---- pictures

  drawTiles() {
    const { job } = this;
    const isOpen = job.status === "queued" || job.status === "running";
    // What was cancelled keeps its last preview.
    const isShown = isOpen || (job.status === "cancelled" && this.preview);
    const count = job.images.length || (isShown ? this.expected() : 0);
    const first = job.images[0];
    paint(this.tiles, { "--ratio": first ? first.width / first.height : this.expectedRatio() });
    const isStrip = job.images.length > 1 && job.strengths.length > 0;
    this.tiles.dataset.count = isStrip ? 1 : count;
    const key = isShown ? `open${count}` : job.images.map(stateOf).join();
    if (this.shown.tiles !== key) {
      this.shown.tiles = key;
      const blank = Array.from({ length: isShown ? count : 0 }, (_, index) => canvas(index));
      const tile = (image) => this.tile(image);
      const place = this.tiles.querySelector(".slide input")?.valueAsNumber; // as it was left
      const drawn = isStrip ? slides(job.images, job.strengths, tile, place) : job.images.length ? job.images.map(tile) : blank;
      keepFocus(this.tiles, () => fill(this.tiles, drawn));
    }
    // It stays behind the pictures it foretold until they have come.
    if (this.preview && !isStrip) this.drawPreview(this.expected());
  }

  expected() {
    return this.job.expected || imageCount(this.job.prompt, this.act.usual.images);
  }

  expectedRatio() {
    const parent = this.job.parent && this.act.known(this.job.parent);
    if (parent) return parent.width / parent.height;
    return ratio(this.job.prompt, this.act.usual.ratio);
  }

  /** The preview is one picture with `count` images side by side; each tile shows its part. */
  drawPreview(count) {
    const columns = Math.ceil(Math.sqrt(count)); // as the engine lays previews out
    const rows = Math.ceil(count / columns);
    const percent = (place, places) => `${places > 1 ? (place / (places - 1)) * 100 : 0}%`;
    [...this.tiles.children].forEach((tile, index) => {
      paint(tile, {
        "--preview": `url("${this.preview}")`,
        "--size": `${columns * 100}% ${rows * 100}%`,
        "--at": `${percent(index % columns, columns)} ${percent(Math.floor(index / columns), rows)}`,
      });
      tile.classList.add("previewed");
    });
  }

  tile(image) {
    const label = t("pictureOf", { n: image.index + 1, total: this.job.images.length, alt: image.alt });
    const picture = thumbnail(image);
    const frame = h("a", { class: "frame", href: `/i/${image.id}`, "aria-label": label,
      onclick: (event) => plain(event) && (event.preventDefault(), this.act.open(image)) }, picture);
    const tile = h("div", { class: "tile", "data-image": image.id }, frame, this.quick(image));
    if (this.preview) {
      const index = this.job.images.indexOf(image);
      tile.classList.add("arriving");
      picture.addEventListener("load", () => tile.classList.add("arrived"), { once: true });
      tile.style.setProperty("--delay", `${index * 60}ms`);
    }
    return tile;
  }

  quick(image) {
    const label = t(image.favourite ? "unfavourite" : "favourite");
    const pressed = { quiet: true, "aria-pressed": String(image.favourite) };
    const heart = button("heart", label, () => this.act.favourite(image), pressed);
    const badges = [
      image.private ? h("span", { class: "badge", title: t("private") }, icon("lock")) : null,
      image.animation ? h("span", { class: "badge", title: t("moves") }, icon("play")) : null,
    ];
    const isToLookAt = image.animation || image.operation.startsWith("train-"); // a sheet
    if (isToLookAt) return h("div", { class: "quick" }, badges, heart);
    const run = (path, body) => () => this.act.start(`/api/images/${image.id}/${path}`, body);
    return h("div", { class: "quick" },
      badges,
      heart,
      button("subtle", t("varySubtle"), run("vary", { strong: false }), { quiet: true }),
      button("strong", t("varyStrong"), run("vary", { strong: true }), { quiet: true }),
      button("enlarge", t("upscale"), run("upscale", {}), { quiet: true }));
  }

  // ---- progress

  drawState() {
    const { job } = this;
    if (job.status === "finished") return fill(this.state);
    if (ENDED.has(job.status)) return fill(this.state, ending(job));
    const percent = Math.round(job.progress * 100);
    paint(this.state, { "--progress": job.progress });
    if (!this.meter) {
      const range = { "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": t("status") };
      this.meter = h("div", { class: "meter", role: "progressbar", ...range }, h("i"));
      this.line = h("span", { class: "eta" });
      this.stop = button("close", t("stop"), () => this.cancel(), { quiet: true, kind: "stop" });
      fill(this.state, this.line, this.stop, this.meter);
    }
    this.meter.setAttribute("aria-valuenow", percent);
    this.tick();
  }

  /** What the line says now: place in the queue, percent and the time left, or what comes after. */
  tick() {
    const { job } = this;
    if (this.when) this.when.textContent = ago(job.created_at);
    if (ENDED.has(job.status) || !this.line) return;
    const since = (performance.now() - this.heardAt) / 1000;
    const left = job.estimate_s === null ? null : Math.max(1, job.estimate_s - since);
    if (job.status === "queued") {
      const place = job.position ? t("place", { position: job.position }) : t("queued");
      this.line.textContent = joined(place, left && t("about", { time: duration(left) }));
    } else if (!job.total) {
      this.line.textContent = t("starting");
    } else if (job.progress >= 1) {
      this.line.textContent = t("finishing");
    } else {
      const percent = `${Math.round(job.progress * 100)} %`;
      this.line.textContent = joined(percent, left && t("left", { time: duration(left) }));
    }
  }

  async cancel() {
    const isHeld = document.activeElement === this.stop; // until it is disabled
    this.stop.disabled = true;
    try {
      this.update(await cancel(this.job.id));
    } catch (error) {
      this.stop.disabled = false;
      complain(error);
    }
    const isFree = [document.body, this.stop].includes(document.activeElement);
    const next = this.stop.disabled ? this.side.querySelector(".deeds button") : this.stop;
    if (isHeld && isFree) next.focus({ preventScroll: true });
  }

  // ---- words

  drawSide() {
    const { job } = this;
    const key = `${job.status}${job.prompt}${job.reason}`;
    if (this.shown.side === key) return;
    this.shown.side = key;
    const [words, flags] = split(job.prompt);
    this.when = h("time", { datetime: job.created_at }, ago(job.created_at));
    const meta = joined(t(`op-${job.operation}`), job.model);
    const again = () => this.act.start(`/api/jobs/${job.id}/reroll`);
    const chips = flags.split(/\s(?=--|—)/).filter(Boolean).map((one) => h("span", { class: "flag" }, one));
    const deed = (drawing, label, run, looks) => button(drawing, label, run, { kind: "small", "data-control": drawing, ...looks });
    keepControl(this.side, () => fill(this.side,
      h("p", { class: "words" }, words || h("em", {}, t(`op-${job.operation}`))),
      chips.length ? h("p", { class: "flags" }, chips) : null,
      h("p", { class: "meta" }, job.private ? icon("lock") : null, h("span", {}, meta), this.when),
      (job.status === "finished" || job.status === "running") && job.reason ? h("p", { class: "meta remark" }, job.reason) : null,
      h("div", { class: "deeds" },
        ENDED.has(job.status) ? deed("reroll", t("reroll"), again) : null,
        deed("remix", t("usePrompt"), () => this.act.write(job.prompt)),
        deed("copy", t("copyPrompt"), () => copy(job.prompt), { quiet: true }))));
  }
}

/** Whether `job` tells less than `known`: a poll may be overtaken by an event. */
function isOutdated(job, known) {
  if (ENDED.has(known.status)) return !ENDED.has(job.status);
  return known.status === "running" && job.status === "running" && job.progress < known.progress;
}

/** What of an image shows on its tile. */
const stateOf = (image) => `${image.id}${image.favourite}${image.private}`;

const joined = (...words) => words.filter(Boolean).join(" · ");

function ending(job) {
  const isFailed = job.status === "failed";
  const reason = isFailed && job.reason ? ` ${job.reason}` : "";
  return h("p", { class: `ending ${job.status}` }, icon(isFailed ? "alert" : "close"),
    h("span", {}, h("strong", {}, t(job.status)), reason));
}

/** The small picture of an image, at its size from the start, so that nothing jumps. */
export function thumbnail({ webp, width, height }) {
  return h("img", { src: webp, alt: "", width, height, loading: "lazy", decoding: "async" });
}

/** Run `then` each time an element comes as near as `margin` pixels to the screen. */
export function whenNear(element, margin, then) {
  const seen = (entries) => entries.some((entry) => entry.isIntersecting) && then();
  new IntersectionObserver(seen, { rootMargin: `${margin}px` }).observe(element);
}

function canvas(index) {
  return paint(h("div", { class: "tile waiting" }), { "--index": index });
}

/** A click that is not meant to open a new tab. */
export function plain(event) {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
}

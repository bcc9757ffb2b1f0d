// The gallery: search, filters, endless scroll that keeps its place, choosing many.
import { button, fill, fillAround, h, icon, keepControl, paint } from "./dom.js";
import { plain, thumbnail, whenNear } from "./feed.js";
import { complain } from "./notices.js";
import { read } from "./server.js";
import { moment, t } from "./words.js";

const PAGE = 40;
const ARCHIVE = 200; // images of one download, as the server has it
const SEARCH_MS = 300;
const AHEAD_PX = 1000; // how far below the screen pictures are fetched
const PLACE_KEY = "atelier.gallery";

export class Gallery {
  /** `open(image)` shows one; `deeds` is what can be done; `models` fill the filter. */
  constructor(root, { open, deeds, models }) {
    Object.assign(this, { root, open, deeds, models });
    this.images = [];
    this.chosen = new Map(); // image id -> image, of any filter
    this.total = { total: 0, capped: false };
    this.filters = { q: "", scope: "", favourite: false, model: "", before: "", ...remembered().filters };
    this.build();
    whenNear(this.edge, AHEAD_PX, () => this.more());
    addEventListener("pagehide", () => this.remember());
  }

  /** Whose pictures: until that is chosen own ones, but all of the favourites. */
  get scope() {
    const { scope, favourite } = this.filters;
    return scope || (favourite ? "all" : "mine");
  }

  build() {
    this.field = h("input", {
      type: "search", placeholder: t("search"), "aria-label": t("searchLabel"), enterkeyhint: "search",
      value: this.filters.q, oninput: () => this.searchSoon(),
    });
    this.field.spellcheck = false;
    this.field.setAttribute("aria-describedby", "search-fault");
    this.fault = h("p", { id: "search-fault", class: "fault", role: "alert", hidden: true });
    // A year that is being typed is one of the first thousand until its last digit.
    this.date = h("input", {
      type: "date", class: "control", "aria-label": t("until"), title: t("until"),
      min: "1000-01-01", max: "9999-12-31", value: this.filters.before,
      onchange: () => this.date.validity.valid && this.filter({ before: this.date.value }),
    });
    this.chips = h("div", { class: "filters", role: "toolbar", "aria-label": t("searchLabel") }, this.date);
    this.count = h("span", { class: "count", role: "status" });
    this.wall = h("div", { class: "justified" });
    this.empty = h("div", { class: "empty", hidden: true });
    this.edge = h("div", { class: "edge" });
    this.tally = h("strong", { role: "status" });
    this.basket = h("div", { class: "basket", hidden: true, role: "toolbar" }, this.tally);
    fill(this.root,
      h("div", { class: "finder" },
        h("label", { class: "search" }, icon("search"), this.field), this.count, this.fault, this.chips),
      this.empty, this.wall, this.edge, this.basket);
    this.drawChips();
  }

  drawChips() {
    const { filters } = this;
    const chip = (name, drawing, isOn, change) => {
      const looks = { type: "button", class: "control", "aria-pressed": String(isOn), "data-control": `only-${name}` };
      return h("button", { ...looks, onclick: () => this.filter(change()) },
        drawing ? icon(drawing) : null, h("span", {}, t(name)));
    };
    // These write into the search, so that what is learnt here can be typed.
    const word = (name, drawing, term) =>
      chip(name, drawing, filters.q.split(" ").includes(term), () => ({ q: toggled(this.typed, term) }));
    const isChoosing = Boolean(this.isChoosing);
    const choosing = { "aria-pressed": String(isChoosing), "data-control": "choose", onclick: () => this.choose(!isChoosing) };
    const before = [
      chip("mine", null, this.scope === "mine", () => ({ scope: "mine" })),
      chip("everyone", null, this.scope === "all", () => ({ scope: "all" })),
      chip("favourites", "heart", filters.favourite, () => ({ favourite: !filters.favourite, scope: "" })),
      word("private", "lock", "is:private"),
      word("upscales", "enlarge", "op:upscale"),
      this.models.length > 1 ? this.modelFilter() : null,
    ];
    const after = h("button", { type: "button", class: "control choose", ...choosing },
      icon("select"), h("span", {}, t(this.isChoosing ? "done" : "select")));
    keepControl(this.chips, () => fillAround(this.date, before, [after]));
  }

  modelFilter() {
    const { model: chosen } = this.filters;
    const choice = ({ name, title }) => h("option", { value: name, selected: name === chosen }, title);
    const onchange = (event) => this.filter({ model: event.target.value });
    return h("select", { class: "control", "aria-label": t("model"), "data-control": "only-model", onchange },
      h("option", { value: "" }, t("model")), this.models.map(choice));
  }

  get typed() {
    return this.field.value.trim();
  }

  filter(change) {
    clearTimeout(this.timer);
    Object.assign(this.filters, { q: this.typed }, change); // typed just now, it was not searched yet
    if (this.typed !== this.filters.q) this.field.value = this.filters.q;
    this.drawChips();
    this.reload();
  }

  searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.filter({}), SEARCH_MS);
  }

  // ---- pages

  /** Show the gallery; the first time as far down as it was left. */
  async enter() {
    if (this.hasLoaded) return this.refresh();
    this.hasLoaded = true;
    const { count = 0, y = 0 } = remembered();
    await this.reload(Math.min(count, 100));
    let had = -1;
    while (had < this.images.length && this.images.length < count && this.cursor) {
      had = this.images.length; // where a page brings nothing, more would not either
      await this.more();
    }
    if (y) requestAnimationFrame(() => scrollTo(0, y));
  }

  remember() {
    if (!this.hasLoaded) return;
    const y = this.root.hidden ? this.leftAt : scrollY;
    const place = { filters: this.filters, count: this.images.length, y };
    sessionStorage.setItem(PLACE_KEY, JSON.stringify(place));
  }

  query(limit, cursor) {
    const { q, favourite, model, before } = this.filters;
    const query = new URLSearchParams({ scope: this.scope, limit });
    if (q) query.set("q", q);
    if (favourite) query.set("favourite", "true");
    if (model) query.set("model", model);
    // The whole of the chosen day, by the clock of whoever looks.
    if (before) query.set("before", new Date(`${before}T23:59:59.999`).toISOString());
    if (cursor) query.set("cursor", cursor);
    return `/api/images?${query}`;
  }

  async reload(limit = PAGE) {
    this.asking?.abort();
    this.asking = new AbortController();
    this.cursor = null; // it is of what was looked for before
    try {
      const told = await read(this.query(Math.max(limit, PAGE), null), { signal: this.asking.signal });
      this.images = told.images;
      this.cursor = told.cursor;
      fill(this.wall, this.images.map((image) => this.tile(image)));
      this.showCount(told);
    } catch (error) {
      this.refused(error);
    }
  }

  /** A search that is not understood, or half typed: what hangs here is no answer to it. */
  refused(error) {
    if (error.status !== 404 && error.status !== 400) return complain(error);
    this.cursor = null;
    this.empty.hidden = true;
    this.count.textContent = "";
    this.showFault([error.message, error.suggestion].filter(Boolean).join(" "));
  }

  showFault(text) {
    if (this.fault.textContent !== text) this.fault.textContent = text;
    this.fault.hidden = !text;
    this.field.setAttribute("aria-invalid", String(Boolean(text)));
    this.wall.classList.toggle("stale", Boolean(text));
    this.wall.inert = Boolean(text);
  }

  /** New pictures since the last visit join at the top. */
  async refresh() {
    const asked = this.asking;
    try {
      const told = await read(this.query(PAGE, null), { signal: asked?.signal });
      if (asked !== this.asking) return; // something else is looked for by now
      const known = new Set(this.images.map((image) => image.id));
      const fresh = told.images.filter((image) => !known.has(image.id));
      if (fresh.length === told.images.length) {
        this.images = told.images;
        this.cursor = told.cursor;
        fill(this.wall, this.images.map((image) => this.tile(image)));
      } else if (fresh.length) {
        this.images.unshift(...fresh);
        this.wall.prepend(...fresh.map((image) => this.tile(image)));
      }
      this.showCount(told);
    } catch (error) {
      this.refused(error);
    }
  }

  /** Hang the next page; whoever asks while it is on its way waits for the same. */
  more() {
    if (!this.cursor || this.root.hidden) return null;
    this.coming ??= this.hangMore().then((isHung) => {
      this.coming = null;
      if (isHung) this.fillScreen(); // else it is asked for when the edge comes near again
    });
    return this.coming;
  }

  /** Whether the next page hangs. */
  async hangMore() {
    try {
      const told = await read(this.query(PAGE, this.cursor), { signal: this.asking?.signal });
      this.cursor = told.cursor;
      this.images.push(...told.images);
      this.wall.append(...told.images.map((image) => this.tile(image)));
      this.drawBasket();
      return true;
    } catch (error) {
      complain(error);
      return false;
    }
  }

  /** The edge tells when it comes near, not that it still is. */
  fillScreen() {
    if (this.edge.getBoundingClientRect().top < innerHeight + AHEAD_PX) this.more();
  }

  showCount(told) {
    this.total = { total: told.total, capped: told.capped };
    this.showFault("");
    this.drawCount();
    this.drawBasket();
    this.fillScreen();
  }

  drawCount() {
    const { total, capped } = this.total;
    this.empty.hidden = this.images.length > 0 || Boolean(this.cursor);
    const { q, favourite, model, before } = this.filters;
    fill(this.empty, ...q || favourite || model || before
      ? [h("h2", {}, t("emptyGallery")), h("p", {}, t("emptyGalleryHint"))]
      : [h("h2", {}, t("emptyWall")), h("p", {}, t("emptyWallHint"))]);
    const key = total === 1 ? "onePicture" : capped ? "manyPictures" : "pictures";
    this.count.textContent = t(key, { count: total.toLocaleString() });
  }

  tile(image) {
    const link = h("a", {
      class: "frame", href: `/i/${image.id}`, "aria-label": image.alt, title: moment(image.created_at),
      onclick: (event) => this.clicked(event, image, tile),
      onkeydown: (event) => this.pressed(event),
    }, thumbnail(image));
    const marks = h("span", { class: "marks" },
      image.animation ? icon("play") : null, image.private ? icon("lock") : null, image.favourite ? icon("heart") : null);
    const tick = h("span", { class: "tick" }, icon("check"));
    const tile = h("div", { class: "tile", "data-image": image.id }, link, marks, tick);
    paint(tile, { "--ratio": image.width / image.height });
    this.mark(tile);
    return tile;
  }

  clicked(event, image, tile) {
    if (!this.isChoosing && !plain(event)) return;
    event.preventDefault();
    if (!this.isChoosing) return this.open(image);
    if (event.shiftKey && this.shows(this.lastChosen)) this.chooseUpTo(image);
    else this.toggle(image, tile);
    this.lastChosen = image.id;
  }

  /** Boxes to be ticked answer to the space bar; links do not. */
  pressed(event) {
    if (!this.isChoosing || event.key !== " ") return;
    event.preventDefault(); // or the page would scroll
    event.currentTarget.click();
  }

  /** An image changed; null: it is gone. */
  changeImage(id, image) {
    if (!image) this.chosen.delete(id);
    else if (this.chosen.has(id)) this.chosen.set(id, image);
    const at = this.images.findIndex((one) => one.id === id);
    const old = this.wall.querySelector(`[data-image="${id}"]`);
    if (at >= 0 && image) {
      this.images[at] = image;
      old?.replaceWith(this.tile(image));
    } else if (at >= 0) {
      this.images.splice(at, 1);
      old?.remove();
      if (!this.total.capped) this.total.total -= 1;
      this.drawCount();
      this.fillScreen();
    }
    this.drawBasket();
  }

  shows(id) {
    return this.images.some((image) => image.id === id);
  }

  // ---- choosing many

  choose(isOn) {
    const isLeft = this.basket.contains(document.activeElement); // which is about to hide
    this.isChoosing = isOn;
    this.root.classList.toggle("choosing", isOn);
    if (!isOn) this.chosen.clear();
    for (const tile of this.wall.children) this.mark(tile);
    this.drawChips();
    this.drawBasket();
    if (isLeft) this.chips.querySelector(".choose").focus({ preventScroll: true });
  }

  toggle(image, tile) {
    if (!this.chosen.delete(image.id)) this.chosen.set(image.id, image);
    this.mark(tile);
    this.drawBasket();
  }

  /** Show on a tile whether it is chosen, and while one chooses tell it to screen readers. */
  mark(tile) {
    const isChosen = this.chosen.has(tile.dataset.image);
    tile.toggleAttribute("data-chosen", isChosen);
    const frame = tile.querySelector(".frame");
    frame.role = this.isChoosing ? "checkbox" : null;
    frame.ariaChecked = this.isChoosing ? String(isChosen) : null;
  }

  chooseUpTo(image) {
    const ids = this.images.map((one) => one.id);
    const [from, to] = [ids.indexOf(this.lastChosen), ids.indexOf(image.id)].sort((a, b) => a - b);
    for (const one of this.images.slice(from, to + 1)) this.chosen.set(one.id, one);
    for (const tile of this.wall.children) this.mark(tile);
    this.drawBasket();
  }

  drawBasket() {
    const count = this.chosen.size;
    this.basket.hidden = !count;
    const shown = new Set(this.images.map((image) => image.id));
    const unseen = [...this.chosen.keys()].filter((id) => !shown.has(id)).length;
    const parts = archives([...this.chosen.keys()]);
    const remove = async () => {
      const images = [...this.chosen.values()];
      this.choose(false);
      await this.deeds.delete(images);
      if (unseen) this.refresh(); // those may be among the counted ones
    };
    this.tally.textContent = t(unseen ? "selectedUnseen" : "selected", { count, unseen });
    fillAround(this.tally, [], [
      parts.map(({ href, from, to }) =>
        h("a", { class: "button small", href, download: "atelier.zip" },
          icon("download"), h("span", {}, parts.length > 1 ? t("downloadPart", { from, to }) : t("downloadMany")))),
      button("bin", t("delete"), remove, { kind: "small bad" }),
      button("close", t("done"), () => this.choose(false), { quiet: true, kind: "small" }),
    ]);
  }
}

/** Where images are downloaded, in as many archives as it takes. */
export function archives(ids) {
  const parts = [];
  for (let from = 0; from < ids.length; from += ARCHIVE) {
    const some = ids.slice(from, from + ARCHIVE);
    parts.push({ href: `/api/images.zip?ids=${some.join(",")}`, from: from + 1, to: from + some.length });
  }
  return parts;
}

function toggled(text, term) {
  const words = text.split(" ").filter(Boolean);
  return (words.includes(term) ? words.filter((word) => word !== term) : [...words, term]).join(" ");
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(PLACE_KEY)) ?? {};
  } catch {
    return {};
  }
}

// The studio page: builds its parts and joins them; knows which place the address means.
import { Deeds } from "./deeds.js";
import { Feed } from "./feed.js";
import { Gallery } from "./gallery.js";
import { Lightbox } from "./lightbox.js";
import { listen } from "./live.js";
import { complain, confirmed, notice } from "./notices.js";
import { askMix } from "./mix.js";
import { askLook } from "./restyle.js";
import { pickPicture, receivePictures } from "./pictures.js";
import { PromptBar } from "./prompt_bar.js";
import { read } from "./server.js";
import { Status } from "./status.js";
import { isChinese, speak, switchLanguage, t } from "./words.js";

const PLACES = { "/": "create", "/gallery": "gallery", "/status": "status" };
const parts = {}; // of the page: feed, gallery, lightbox, status, bar

async function lists() {
  const [models, presets, flags] = await Promise.all([read("/api/models"), read("/api/presets"), read("/api/flags")]);
  return { ...models, ...presets, ...flags };
}

async function build() {
  speak(document);
  const known = await lists();
  const standard = known.models.find((model) => model.default) ?? { width: 1, height: 1 };

  const onjobs = (jobs) => {
    for (const job of jobs) parts.feed.take(job);
    reveal();
  };
  const onimage = (id, image) => {
    const next = image ?? parts.lightbox.nextTo(id); // before the lists forget it
    parts.gallery.changeImage(id, image);
    parts.feed.changeImage(id, image);
    parts.lightbox.changeImage(id, next);
  };
  const reveal = () => {
    go("/");
    scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  };
  const catchUp = () => PLACES[location.pathname] === "gallery" && parts.gallery.refresh();
  const write = (text) => (go("/"), parts.bar.write(text));
  const attach = (role, picture) => (go("/"), parts.bar.attach(role, picture));
  const remix = (image) => (go("/"), parts.bar.remix(image));

  const deeds = new Deeds({ onjobs, onimage });
  deeds.onrestored = (images) => {
    parts.feed.reread(images);
    parts.gallery.reload();
  };
  const restyle = (content) => askLook(content, { deeds, models: known.models });
  const mix = (images) => askMix({ dreamers: known.dreamers, models: known.models, recent: () => parts.feed.images, deeds, images });
  parts.lightbox = new Lightbox(deeds, { write, remix, attach, reveal, restyle, mix });
  parts.feed = new Feed(document.getElementById("create"), {
    usual: { images: 4, ratio: standard.width / standard.height },
    known: (id) => parts.feed.images.find((image) => image.id === id),
    open: (image) => parts.lightbox.open(image, () => parts.feed.images),
    favourite: (image) => deeds.favourite(image),
    start: (path, body) => deeds.start(path, body),
    finished: catchUp,
    write,
    remix,
  });
  parts.gallery = new Gallery(document.getElementById("gallery"), {
    models: known.models,
    deeds,
    open: (image) => parts.lightbox.open(image, () => parts.gallery.images),
  });
  parts.status = new Status(document.getElementById("status"));
  parts.bar = new PromptBar(document.getElementById("bar"), {
    ...known,
    onjobs,
    recall: () => parts.feed.prompts,
    onmix: () => mix([]),
    onpick: () => pickPicture({ attach, write, onjobs, restyle }),
  });
  receivePictures({ attach, write, onjobs, restyle });
  followAddresses(parts);
  parts.lightbox.onend = () => parts.gallery.more();
  await parts.feed.load();
  listen({
    onjob: (job) => parts.feed.take(job),
    refresh: () => parts.feed.refresh(),
    onstate: (isUp) => {
      notice(t(isUp ? "online" : "offline"), { kind: isUp ? "" : "bad" });
      if (isUp) catchUp();
    },
  });
}

// ---- addresses: /, /gallery, /status, and /i/{id} over any of them

let show = () => {};

function go(path) {
  if (location.pathname === path) return;
  history.pushState({}, "", path);
  show();
}

function followAddresses({ lightbox, gallery, status }) {
  const views = Object.fromEntries(Object.values(PLACES).map((place) => [place, document.getElementById(place)]));
  const scrolled = {};
  let now = null;
  history.scrollRestoration = "manual";

  function enter(place) {
    if (place === now) return;
    if (now) scrolled[now] = scrollY;
    gallery.leftAt = scrolled.gallery;
    now = place;
    for (const [name, view] of Object.entries(views)) view.hidden = name !== place;
    for (const link of document.querySelectorAll("[data-place]")) {
      if (link.dataset.place === place) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.body.dataset.place = place;
    scrollTo(0, scrolled[place] ?? 0);
    if (place === "gallery") gallery.enter();
    if (place === "status") status.enter();
  }

  show = () => {
    const id = /^\/i\/([0-9a-z:]+)$/.exec(location.pathname)?.[1];
    if (!id) {
      enter(PLACES[location.pathname] ?? "create");
      if (lightbox.isOpen) lightbox.dialog.close();
      return;
    }
    if (!now) enter("create");
    if (lightbox.image?.id !== id) lightbox.openById(id, () => location.pathname.endsWith(`/${id}`));
  };
  const back = () => (now === "create" ? "/" : `/${now}`);
  lightbox.onshown = (image) => {
    const path = `/i/${image.id}`;
    if (location.pathname === path) return;
    // Leafing through pictures is one step back, not many.
    if (location.pathname.startsWith("/i/")) history.replaceState({}, "", path);
    else history.pushState({ over: true }, "", path);
  };
  lightbox.onclosed = (image) => {
    const isLeft = !location.pathname.startsWith("/i/"); // for another place, that scrolls by itself
    focusFrame(views[now].querySelector(`[data-image="${image?.id}"] .frame`), { mayScroll: !isLeft });
    if (isLeft) return;
    if (history.state?.over) history.back();
    else history.replaceState({}, "", back());
  };
  addEventListener("popstate", () => {
    for (const question of document.querySelectorAll("dialog.question[open]")) question.close(); // of what is left
    show();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-place], a.brand");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(new URL(link.href).pathname);
  });
  show();
}

/** Lead the keyboard to the tile of the picture that was large, unless it is at work elsewhere. */
function focusFrame(frame, { mayScroll }) {
  const focused = document.activeElement;
  if (!frame || (focused !== document.body && !focused.matches(".frame"))) return;
  const { top, bottom } = frame.getBoundingClientRect();
  const isSeen = bottom > 0 && top < innerHeight;
  frame.focus({ preventScroll: isSeen || !mayScroll });
}

function offerLanguages() {
  const name = document.getElementById("language-name");
  name.textContent = isChinese() ? "English" : "中文";
  name.lang = isChinese() ? "en" : "zh";
  const mayReload = () => !parts.bar?.holdsFiles || confirmed(t("languageTitle"), t("languageText"), t("languageYes"));
  document.getElementById("language").addEventListener("click", async () => {
    if (!(await mayReload())) return;
    removeEventListener("beforeunload", keepFiles); // it was asked already
    switchLanguage();
    location.reload(); // what was written is kept, the feed is the database
  });
}

/** Let the browser ask before a picture of the device, which no reload brings back, is lost. */
function keepFiles(event) {
  if (parts.bar?.holdsFiles) event.preventDefault();
}

addEventListener("beforeunload", keepFiles);
offerLanguages();
build().catch((error) => {
  complain(error);
  setTimeout(() => location.reload(), 5000);
});

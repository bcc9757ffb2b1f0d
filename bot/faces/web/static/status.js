// The status page: queue, workers, memory, errors by class, versions; and what is kept of whoever looks at it.
import { button, fill, h, icon } from "./dom.js";
import { complain, confirmed } from "./notices.js";
import { read, send } from "./server.js";
import { duration, t } from "./words.js";

const AGAIN_MS = 3000;

export class Status {
  constructor(root) {
    this.root = root;
    setInterval(() => !root.hidden && !document.hidden && this.enter(), AGAIN_MS);
  }

  async enter() {
    try {
      this.draw(await read("/api/status"));
    } catch (error) {
      if (!this.root.children.length) complain(error);
    }
  }

  draw({ running, waiting, workers, uptime_s, errors, versions, login }) {
    if (!this.news) this.build(login);
    const alive = workers.filter((worker) => worker.alive).length;
    fill(this.figures,
      figure(t("running"), running), figure(t("waiting"), waiting),
      figure(t("workers"), alive), figure(t("uptime"), duration(uptime_s)));
    this.tell("workers", table(workerHead(), workers.map(workerRow)));
    this.tell("errors", Object.keys(errors).length ? table([], Object.entries(errors)) : h("p", {}, t("noErrors")));
    this.tell("versions", table([], Object.entries(versions)));
  }

  /** What is pressed or scrolled stays: drawn anew, it would lose the focus and its place. */
  build(login) {
    this.figures = h("div", { class: "figures" });
    this.news = Object.fromEntries(["workers", "errors", "versions"].map((name) => [name, section(t(name))]));
    fill(this.root, h("div", { class: "board" },
      h("div", { class: "news" }, this.figures, Object.values(this.news)),
      section(t("ownData"), ownData(login))));
  }

  tell(name, content) {
    fill(this.news[name].lastElementChild, content);
  }
}

const workerHead = () =>
  ["device", "status", "running", "restarts", "memory", "resident"].map((name) => t(name));

function workerRow({ device, alive, running, restarts, memory_bytes, models }) {
  const state = t(alive ? "alive" : "dead");
  return [device, state, running, restarts, bytes(memory_bytes), models.join(", ") || "–"];
}

function ownData(login) {
  return h("div", { class: "deeds" },
    h("a", { class: "button", href: "/api/privacy/export.zip", download: "" }, icon("download"), h("span", {}, t("exportData"))),
    button("bin", t("eraseData"), erase),
    login && h("form", { method: "post", action: "/logout" }, button("leave", t("logOut"), null, { type: "submit" })));
}

async function erase() {
  if (!(await confirmed(t("eraseTitle"), t("eraseText"), t("eraseYes"), { isForGood: true }))) return;
  try {
    await send("/api/privacy/delete", { confirmed: true });
    location.assign("/");
  } catch (error) {
    complain(error);
  }
}

function figure(name, value) {
  return h("div", { class: "figure" }, h("strong", {}, String(value)), h("span", {}, name));
}

function section(title, content) {
  const scroller = { class: "scroller", tabIndex: 0, role: "region", "aria-label": title };
  return h("section", {}, h("h2", {}, title), h("div", scroller, content ?? []));
}

function table(head, rows) {
  return h("table", {},
    head.length ? h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))) : null,
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, String(cell)))))));
}

function bytes(count) {
  return count ? `${(count / 2 ** 20).toFixed(count < 2 ** 24 ? 1 : 0)} MiB` : "–";
}

// The status page: queue, workers, memory, errors by class, versions.
import { fill, h } from "./dom.js";
import { complain } from "./notices.js";
import { read } from "./server.js";
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

  draw(told) {
    const figure = (name, value) => h("div", { class: "figure" }, h("strong", {}, String(value)), h("span", {}, name));
    fill(this.root,
      h("div", { class: "board" },
        h("div", { class: "figures" },
          figure(t("running"), told.running), figure(t("waiting"), told.waiting),
          figure(t("workers"), told.workers.filter((worker) => worker.alive).length), figure(t("uptime"), duration(told.uptime_s))),
        section(t("workers"), table([t("device"), t("status"), t("running"), t("restarts"), t("memory"), t("resident")],
          told.workers.map((worker) => [worker.device, t(worker.alive ? "alive" : "dead"), worker.running, worker.restarts,
            bytes(worker.memory_bytes), worker.models.join(", ") || "–"]))),
        section(t("errors"), Object.keys(told.errors).length ? table([], Object.entries(told.errors)) : h("p", {}, t("noErrors"))),
        section(t("versions"), table([], Object.entries(told.versions)))));
  }
}

function section(title, content) {
  return h("section", {}, h("h2", {}, title), h("div", { class: "scroller", tabIndex: 0, role: "region", "aria-label": title }, content));
}

function table(head, rows) {
  return h("table", {},
    head.length ? h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))) : null,
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, String(cell)))))));
}

function bytes(count) {
  return count ? `${(count / 2 ** 20).toFixed(count < 2 ** 24 ? 1 : 0)} MiB` : "–";
}

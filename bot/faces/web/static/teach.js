// Generators that learn from the gallery: those there are, and a form that trains another.
import { button, h } from "./dom.js";
import { complain, confirmed } from "./notices.js";
import { read, remove } from "./server.js";
import { t } from "./words.js";

/** The generators that were trained here; none where nobody answers. */
export async function ownGenerators() {
  try {
    return (await read("/api/generators")).generators;
  } catch (error) {
    complain(error);
    return [];
  }
}

/** What was trained, and what else may learn; `train(body)` starts a training. */
export function teachSettings(own, train) {
  const wish = { name: "", words: "", favourites: false, minutes: null }; // null: as the server is used to
  const start = button("check", t("train"), () => train({ ...wish, name: wish.name.trim() }), { kind: "small" });
  start.disabled = true;
  const name = h("input", { class: "named", type: "text", maxLength: 40, placeholder: t("generatorName"), "aria-label": t("generatorName"),
    oninput: () => {
      wish.name = name.value;
      start.disabled = !wish.name.trim();
    } });
  const minutes = h("input", { class: "named", type: "number", min: "1", max: "1440", "aria-label": t("minutesOfLearning"),
    oninput: () => (wish.minutes = Number(minutes.value) || null) });
  const words = h("input", { class: "named", type: "search", maxLength: 200, placeholder: t("search"), "aria-label": t("lessonWords"),
    oninput: () => (wish.words = words.value) });
  return h("details", { class: "teach" },
    h("summary", {}, t("teach")),
    h("div", { class: "lesson" },
      h("p", { class: "told all" }, t("teachHint")),
      h("ul", { class: "items" }, own.map(row)),
      name,
      h("label", { class: "field-of" }, h("small", {}, t("minutesOfLearning")), minutes),
      h("label", { class: "field-of" }, h("small", {}, t("lessonWords")), words),
      h("label", { class: "pairing" }, h("input", { type: "checkbox", onchange: (event) => (wish.favourites = event.target.checked) }), h("span", {}, t("favouritesOnly"))),
      start));
}

function row(generator) {
  const item = h("li", { class: "item" },
    h("img", { src: generator.sheet, alt: t("sheetOf", { name: generator.name }), loading: "lazy" }),
    h("span", { class: "told all" }, h("b", {}, generator.name), " ", generator.verdict),
    button("close", t("forget", { name: generator.name }), () => forget(generator, item), { quiet: true }));
  return item;
}

async function forget(generator, item) {
  const title = t("forget", { name: generator.name });
  if (!(await confirmed(title, t("forgetForGood", { name: generator.name }), title, { isForGood: true }))) return;
  try {
    await remove(`/api/generators/${encodeURIComponent(generator.name)}`);
    item.remove();
  } catch (error) {
    complain(error);
  }
}

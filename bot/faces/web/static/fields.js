// Fields that several questions have.
import { h } from "./dom.js";
import { t } from "./words.js";

export const SEED_MAX = 2 ** 32 - 1;
export const ACCEPTED = "image/png,image/jpeg,image/webp,image/gif,image/avif";

/** What few ask for, behind a word. */
export const more = (properties, ...content) =>
  h("details", { class: "more", ...properties }, h("summary", {}, t("more")), h("div", { class: "rest" }, ...content));

/** A number that may be left out; `holder[name]` is then undefined. */
export function numberField(holder, name, label, hint, { min = 0, max }) {
  const input = h("input", { type: "number", class: "control", min: String(min), max: String(max), step: "1", inputMode: "numeric",
    value: String(holder[name] ?? ""), placeholder: hint, "aria-label": label,
    oninput: () => (holder[name] = input.value === "" ? undefined : Number(input.value)) });
  return h("label", { class: "field-of" }, h("small", {}, label), input);
}

/** The seed of a job; left out, it is drawn. */
export const seedField = (holder) => numberField(holder, "seed", t("seed"), t("random"), { max: SEED_MAX });

/** Which model draws; none where there is nothing to choose. */
export function modelField(holder, models) {
  if (models.length < 2) return null;
  const select = h("select", { class: "control", "aria-label": t("model"), onchange: () => (holder.model = select.value || undefined) },
    h("option", { value: "" }, t("asUsual")), models.map((model) => h("option", { value: model.name }, model.title)));
  select.value = holder.model ?? "";
  return h("label", { class: "field-of" }, h("small", {}, t("model")), select);
}

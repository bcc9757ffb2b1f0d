// A restyle in several strengths: its pictures lie on each other, and a slider fades from one to the next.
import { h, paint } from "./dom.js";
import { t } from "./words.js";

/** The tiles of a job's images as one picture with a slider at `place`; `tile(image)` draws one. */
export function slides(images, strengths, tile, place = Infinity) {
  const stops = images.map((image) => strengths[image.index]);
  const tiles = images.map(tile);
  const shown = h("output", {});
  const last = images.length - 1;
  const input = h("input", { type: "range", min: "0", max: String(last), step: "0.02", value: String(last), "aria-label": t("strength"),
    oninput: () => move(Number(input.value)),
    onchange: () => move(Math.round(Number(input.value))) });

  /** Show what lies at a place among the pictures, 1.5 is between the second and the third. */
  function move(place) {
    const below = Math.floor(place);
    tiles.forEach((one, index) => {
      paint(one, { "--shown": index <= below ? 1 : index === below + 1 ? place - below : 0 });
      one.inert = index !== Math.round(place);
    });
    const next = stops[Math.min(below + 1, last)];
    shown.textContent = percent(stops[below] + (next - stops[below]) * (place - below));
    input.value = String(place);
    input.setAttribute("aria-valuetext", shown.textContent);
  }

  move(Math.min(place, last));
  return [h("div", { class: "slides" }, tiles), h("label", { class: "slide" }, h("span", {}, t("strength")), input, shown)];
}

export const percent = (share) => `${Math.round(share * 100)} %`;

// Building the page: elements from plain values. Text is always text, never markup.

/** An element; `on…` properties listen, `class` and data/aria names are attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child || child === "" || child === 0));
  return element;
}

/** A drawing of the sprite, silent for screen readers. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon icon-${name}`);
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A button with a drawing, and words unless `quiet` (then they are its name and tooltip). */
export function button(drawing, label, onclick, { quiet = false, kind = "", ...properties } = {}) {
  const named = quiet ? { title: label, "aria-label": label } : {};
  return h(
    "button",
    { type: "button", class: `button ${quiet ? "quiet" : ""} ${kind}`, onclick, ...named, ...properties },
    icon(drawing),
    quiet ? null : h("span", {}, label),
  );
}

/** Replace all children. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
}

/** Replace all that stands beside `kept`, which stays: what is typed or read out there goes on. */
export function fillAround(kept, before, after) {
  for (const one of [...kept.parentElement.children]) if (one !== kept) one.remove();
  kept.before(...before.flat().filter(Boolean));
  kept.after(...after.flat().filter(Boolean));
}

/** Draw controls anew, and give the focus back to the one that had it: by its `data-control`. */
export function keepControl(root, draw) {
  const held = document.activeElement;
  const name = root.contains(held) ? held.dataset.control : null;
  draw();
  if (name) root.querySelector(`[data-control="${name}"]`)?.focus({ preventScroll: true });
}

/** Draw tiles anew, and give the focus back to the control that had it: by its image and its place there. */
export function keepFocus(root, draw) {
  const held = document.activeElement;
  const image = root.contains(held) && held.closest("[data-image]")?.dataset.image;
  const controls = () => [...root.querySelectorAll(`[data-image="${image}"] :is(a, button)`)];
  const place = image ? controls().indexOf(held) : -1;
  draw();
  if (place >= 0) controls()[place]?.focus({ preventScroll: true });
}

/** Whether a key is an input method's: Safari tells that it has ended before the Enter that ends it. */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

/** Give an element CSS variables (allowed by the policy, unlike style attributes). */
export function paint(element, variables) {
  for (const [name, value] of Object.entries(variables)) element.style.setProperty(name, value);
  return element;
}

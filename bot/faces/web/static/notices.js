// Short notices that go away, and questions that wait for an answer.
import { button, h, icon } from "./dom.js";
import { t } from "./words.js";

const SHOWN_MS = 6000;
const PATIENCE_MS = 700; // after which one wonders whether anything happens

// A modal dialog makes everything outside it inert, so notices live within the topmost one.
function settle() {
  const place = document.getElementById("notices");
  const host = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (place.parentElement !== host) host.append(place);
  return place;
}

/** Bring the notices back to the page before the dialog that holds them goes. */
export function leave(dialog) {
  const place = document.getElementById("notices");
  if (dialog.contains(place)) document.body.append(place);
}

/** Show a notice; `action` is {label, run} and closes it. One that lasts is closed by what is returned. */
export function notice(text, { action = null, kind = "", lasts = false } = {}) {
  const place = settle();
  const box = h("div", { class: `notice ${kind}` }, h("span", {}, text));
  const close = () => box.remove();
  if (action) {
    const run = () => {
      close();
      action.run();
    };
    box.append(h("button", { type: "button", class: "button text", onclick: run }, action.label));
  }
  box.append(button("close", t("close"), close, { quiet: true }));
  place.append(box);
  while (place.children.length > 3) place.firstElementChild.remove();
  if (lasts) return close;
  let timer = setTimeout(close, SHOWN_MS);
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("focusin", () => clearTimeout(timer));
  box.addEventListener("pointerleave", () => (timer = setTimeout(close, SHOWN_MS / 2)));
  return close;
}

/** Wait for an answer, and say so where it takes its time. */
export async function waitFor(answer) {
  let close = () => {};
  const telling = setTimeout(() => (close = notice(t("onItsWay"), { lasts: true })), PATIENCE_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(telling);
    close();
  }
}

/** Show what went wrong with an operation. */
export function complain(error) {
  if (error.name === "AbortError") return;
  notice(reasonOf(error), { kind: "bad" });
}

function reasonOf(error) {
  const text = error.status === undefined ? t("unreachable") : error.message;
  return [text, error.suggestion].filter(Boolean).join(" ");
}

/** Tell screen readers what others see by themselves. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A dialog over the page; resolves when it is closed, to what `close(value)` was given. */
export function ask(title, build, { kind = "" } = {}) {
  return new Promise((resolve) => {
    let answer = null;
    const close = (value = null) => {
      answer = value;
      dialog.close();
    };
    const dialog = h("dialog", { class: `question ${kind}`, tabIndex: -1, "aria-label": title });
    dialog.append(
      h("header", {}, h("h2", {}, title), button("close", t("close"), () => close(), { quiet: true })),
      ...build(close),
    );
    dialog.addEventListener("close", () => {
      leave(dialog);
      dialog.remove();
      resolve(answer);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && close());
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("[autofocus]") ?? dialog.querySelector(".option, .primary") ?? dialog).focus();
  });
}

/**
 * The end of a dialog that sends what it asks for, with `start` as its button. `deliver(run)` closes the dialog
 * with what `run()` is answered; what refuses it is told here, and all that was set up stays.
 */
export function sendingFooter(close, start) {
  const fault = h("p", { class: "fault", role: "alert" });
  const footer = h("footer", {}, fault,
    h("button", { type: "button", class: "button", onclick: () => close(null) }, t("cancel")), start);
  const hold = (isHeld) => {
    footer.previousElementSibling.inert = isHeld;
    start.disabled = isHeld;
  };
  const deliver = async (run) => {
    fault.textContent = "";
    hold(true);
    try {
      close(await run());
    } catch (error) {
      hold(false);
      fault.textContent = reasonOf(error);
      footer.scrollIntoView({ block: "nearest" });
      start.focus();
    }
  };
  return { footer, deliver };
}

/** Ask yes or no; of what is lost for good, Enter alone says no. */
export function confirmed(title, text, yes, { isForGood = false } = {}) {
  return ask(title, (close) => [
    h("p", {}, text),
    h(
      "footer",
      {},
      h("button", { type: "button", class: "button", autofocus: isForGood, onclick: () => close(false) }, t("cancel")),
      h("button", { type: "button", class: "button primary", autofocus: !isForGood, onclick: () => close(true) }, icon(isForGood ? "bin" : "check"), yes),
    ),
  ]);
}

/** Copy text to the clipboard, and say so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = h("textarea", { value: text, class: "unseen" });
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  notice(t("copied"));
}

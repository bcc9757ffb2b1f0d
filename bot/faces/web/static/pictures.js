// Pictures that are dropped, pasted or picked anywhere: asking what they are for.
import { h, icon } from "./dom.js";
import { keepLook } from "./restyle.js";
import { ask, complain, notice, waitFor } from "./notices.js";
import { form, send } from "./server.js";
import { t } from "./words.js";

/** Listen for pictures; `use` holds `attach(role, {file})`, `restyle({file})`, `write(text)`, `onjobs(jobs)`. */
export function receivePictures(use) {
  const veil = h("div", { class: "veil", hidden: true }, h("p", {}, icon("picture"), t("dropHere")));
  document.body.append(veil);
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;

  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    veil.hidden = depth === 0;
  });
  addEventListener("drop", (event) => {
    depth = 0;
    veil.hidden = true;
    if (!carries(event)) return;
    event.preventDefault(); // or the browser would open what it is
    const file = pictureIn(event.dataTransfer);
    if (file) askWhatFor(file, use);
    else notice(t("noPicture"));
  });
  addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData);
    if (!file || isWriting(event, file)) return;
    event.preventDefault();
    askWhatFor(file, use);
  });
}

/** Let the member pick a picture from the device. */
export function pickPicture(use) {
  const input = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif,image/avif,video/mp4", hidden: true,
    onchange: () => {
      if (input.files[0]) askWhatFor(input.files[0], use);
      input.remove();
    } });
  document.body.append(input);
  input.click();
}

function pictureIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/") || isVideo(file));
}

/** Whether words are pasted where one writes: office programs copy a picture of them, too, file managers a picture's name. */
function isWriting(event, file) {
  const text = event.clipboardData.getData("text/plain").trim();
  return text && !text.endsWith(file.name) && event.target.matches(":read-write");
}

function isVideo(file) {
  return file.type === "video/mp4";
}

async function askWhatFor(file, use) {
  const url = URL.createObjectURL(file);
  const purpose = await ask(t("whatFor"), (close) => [
    h("div", { class: "purposes" },
      isVideo(file) ? h("video", { src: url, autoplay: true, loop: true, muted: true, playsInline: true }) : h("img", { src: url, alt: "" }),
      h("div", { class: "options" },
        isVideo(file) ? null : [
          choice("brush", "forRestyle", () => close("restyle")),
          choice("source", "forPrompt", () => close("source")),
          choice("palette", "forStyle", () => close("style")),
          choice("layers", "forKeep", () => close("keep")),
        ],
        choice("again", "forAgain", () => close("again")),
        choice("info", "forRead", () => close("read")))),
  ]);
  URL.revokeObjectURL(url);
  if (purpose === "source" || purpose === "style") use.attach(purpose, { file });
  if (purpose === "keep") keepLook(file, use.onjobs);
  if (purpose === "restyle") use.restyle({ file });
  if (purpose === "again") makeAgain(file, use);
  if (purpose === "read") showParameters(file, use);
}

function choice(drawing, name, onclick) {
  return h("button", { type: "button", class: "option", onclick }, icon(drawing),
    h("span", {}, h("strong", {}, t(name)), h("small", {}, t(`${name}Hint`))));
}

async function makeAgain(file, use) {
  try {
    use.onjobs((await waitFor(send("/api/again", form({ picture: file })))).jobs);
  } catch (error) {
    complain(error);
  }
}

async function showParameters(file, use) {
  try {
    const { text, prompt } = await waitFor(send("/api/parameters", form({ picture: file })));
    if (!text) return notice(t("noParameters"));
    await ask(t("readParameters"), (close) => [
      h("pre", { class: "read" }, text),
      h("footer", {}, h("button", { type: "button", class: "button primary", onclick: () => (close(), use.write(prompt)) }, icon("remix"), t("writePrompt"))),
    ]);
  } catch (error) {
    complain(error);
  }
}

// The text of a prompt as text: finding, writing and removing flags. Pure, no page.

const ALIASES = {
  ar: ["ar", "aspect"],
  images: ["images"],
  model: ["model"],
  seed: ["seed"],
  draft: ["draft"],
  private: ["private"],
  public: ["public"],
  size: ["size"],
  no: ["no"],
};
// Where a flag begins: in front, behind a space, or right behind a mark or a Chinese word.
const GLUE = "[,.;?!)\\]}\"'”’\\u3000-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7af\\uff00-\\uffef]";
export const BEFORE_FLAG = `(^|\\s|${GLUE}(?=--))`;
const SWITCHES = new Set(["draft", "private", "public", "tile", "fast", "relax"]);

function pattern(name) {
  const names = (ALIASES[name] ?? [name]).join("|");
  const value = SWITCHES.has(name) ? "(?![\\w-])" : "(?:[\\s=:]+(?!--|—|–)([^\\s，]+))?";
  return new RegExp(`${BEFORE_FLAG}(?:--|—|–)(?:${names})${SWITCHES.has(name) ? "" : "(?![\\w-])"}${value}`, "i");
}

/** The value of a flag; true for a switch that is there, null where it is not. */
export function flag(text, name) {
  const match = pattern(name).exec(text);
  if (!match) return null;
  return SWITCHES.has(name) ? true : (match[2] ?? "");
}

/** The text with the flag set to `value`; null removes it, true writes a switch. */
export function withFlag(text, name, value) {
  const found = pattern(name);
  if (value === null || value === false || value === "") {
    return text.replace(found, (_all, before) => before.trim()).replace(/[ \t]{2,}/g, " ").trimEnd();
  }
  const written = value === true ? `--${name}` : `--${name} ${value}`;
  if (found.test(text)) return text.replace(found, (_all, space) => `${space}${written}`);
  return text.trim() ? `${text.trimEnd()} ${written}` : written;
}

/** Words and flags apart: everything before the first flag, everything from it on. */
export function split(text) {
  const match = new RegExp(`${BEFORE_FLAG}(?:--|—|–)[a-z]`, "i").exec(text);
  if (!match) return [text.trim(), ""];
  const start = match.index + match[1].length;
  return [text.slice(0, start).trim(), text.slice(start).trim()];
}

/** Width by height as a prompt asks for it; `fallback` where it says nothing. */
export function ratio(text, fallback = 1) {
  const size = /^(\d+)\D(\d+)$/.exec(flag(text, "size") || flag(text, "ar") || "");
  if (!size || !+size[1] || !+size[2]) return fallback;
  return Math.min(14, Math.max(1 / 14, size[1] / size[2]));
}

/** Images of one job as a prompt asks for them. */
export function imageCount(text, fallback = 4) {
  const count = Number.parseInt(flag(text, "images") ?? "", 10);
  return count >= 1 && count <= 8 ? count : fallback;
}

/** Offsets of the server count characters, those of the page count UTF-16 units. */
export function toUnits(text, characters) {
  let units = 0;
  let left = characters;
  for (const character of text) {
    if (left-- <= 0) break;
    units += character.length;
  }
  return units;
}

// The login page: its language, and why the last try failed.
import { speak, t } from "./words.js";

speak(document);
const reason = { "?wrong": "wrongToken", "?wait": "tooManyTokens" }[location.search];
if (reason) {
  const line = document.getElementById("wrong");
  line.textContent = t(reason);
  line.hidden = false;
}

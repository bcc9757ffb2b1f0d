// The login page: its language, and why the last try failed.
import { speak, t } from "./words.js";

speak(document);
const asked = new URLSearchParams(location.search);
const reason = asked.has("wrong") ? "wrongToken" : asked.has("wait") ? "tooManyTokens" : null;
if (reason) {
  const line = document.getElementById("wrong");
  line.textContent = t(reason);
  line.hidden = false;
}

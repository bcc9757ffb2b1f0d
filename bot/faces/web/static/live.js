// News of jobs: an event stream, and asking again and again while there is none.

import { language } from "./words.js";

const POLL_MS = 3000;
const RECONNECT_MS = 4000;
const REST_MS = 60_000; // a page out of sight so long gives its stream back; browsers allow six

/** Call `onjob(job)` for each change; `refresh()` asks for the present; `onstate(isUp)` tells of the line. */
export function listen({ onjob, refresh, onstate }) {
  let source = null;
  let polling = null;
  let isUp = null;
  let resting = null;

  function up() {
    clearInterval(polling);
    polling = null;
    if (isUp === false) onstate(true);
    isUp = true;
    refresh(); // what changed before the stream was open
  }

  function down() {
    if (isUp !== false) onstate(false);
    isUp = false;
    polling ??= setInterval(refresh, POLL_MS);
    if (source?.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
  }

  /** Open the stream; a page out of sight waits for it until it is looked at. */
  function connect() {
    rest();
    if (document.hidden) return;
    source = new EventSource(`/api/events?language=${language()}`);
    source.addEventListener("open", up);
    source.addEventListener("error", down);
    source.addEventListener("job", (event) => onjob(JSON.parse(event.data)));
  }

  function rest() {
    source?.close();
    source = null;
  }

  connect();
  document.addEventListener("visibilitychange", () => {
    clearTimeout(resting);
    if (document.hidden) resting = setTimeout(rest, REST_MS);
    else if (source) refresh(); // phones let streams sleep
    else connect();
  });
  // A page that is left must not look like a lost connection.
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => event.persisted && connect());
}

// News of jobs: an event stream, and asking again and again while there is none.

const POLL_MS = 3000;
const RECONNECT_MS = 4000;

/** Call `onjob(job)` for each change; `refresh()` asks for the present; `onstate(isUp)` tells of the line. */
export function listen({ onjob, refresh, onstate }) {
  let source = null;
  let polling = null;
  let isUp = null;

  function up() {
    clearInterval(polling);
    polling = null;
    if (isUp === false) onstate(true);
    if (isUp !== null) refresh();
    isUp = true;
  }

  function down() {
    if (isUp !== false) onstate(false);
    isUp = false;
    polling ??= setInterval(refresh, POLL_MS);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
  }

  function connect() {
    source?.close();
    source = new EventSource("/api/events");
    source.addEventListener("open", up);
    source.addEventListener("error", down);
    source.addEventListener("job", (event) => onjob(JSON.parse(event.data)));
  }

  connect();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh(); // phones let streams sleep
  });
  // A page that is left must not look like a lost connection.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
}

// The line between this page and the kiosk program behind it (loopback): views come in, actions go out.

const TOUCH_EVERY_MS = 3000;
const SILENT_MS = 5000;
const ASK_MS = 4000;
let onView = () => {};
let onSilent = () => {};
let heardAt = Date.now();
let touchedAt = 0;
let visit = -1;
let line = Promise.resolve();

/** The visit now on the screen: what is touched is meant for it and for nobody who comes after. */
export const showing = (shown) => { visit = shown?.visit ?? -1; };

/** Ask the kiosk program to do something. One after the other, in the order of the touches; none is dropped. */
export function act(action) {
  touchedAt = Date.now();
  const asked = { visit, settle: false, ...action };
  line = line.then(() => send(asked));
  return line;
}

const post = (path, body) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(ASK_MS) });

/** Tell the size and density of the glass; unimportant enough to be lost. */
export const report = (profile) => post("/ui/screen", profile).catch(() => {});

async function send(asked) {
  try {
    const answer = await post("/ui/act", asked);
    if (answer.ok) onView(await answer.json());
    else if (answer.status === 401) onSilent(true);
  } catch {
    onSilent(true);
  }
}

/** Forget everything this page ever held: caches and storage by header, the rest by loading anew. */
export async function wipe() {
  await fetch("/ui/clean", { method: "POST" }).catch(() => {});
  location.replace("/");
}

export function connect(view, silent) {
  onView = (shown) => { heardAt = Date.now(); silent(false); view(shown); };
  onSilent = silent;
  const source = new EventSource("/ui/events");
  source.addEventListener("view", (event) => onView(JSON.parse(event.data)));
  source.addEventListener("ping", () => { heardAt = Date.now(); silent(false); });
  source.onerror = () => { if (Date.now() - heardAt > 1500) silent(true); };
  setInterval(() => { if (Date.now() - heardAt > SILENT_MS) silent(true); }, 500);
  const touched = () => {
    if (Date.now() - touchedAt > TOUCH_EVERY_MS) act({ do: "touch" });
  };
  for (const name of ["pointerdown", "keydown", "wheel", "touchmove"]) addEventListener(name, touched, { passive: true, capture: true });
}

// No way out of this page: not by keys, drag, long press, pinch, extra mouse buttons or a link somewhere else. What the
// browser itself could do is taken away by its policies (systemd/chromium-policy.json); this is the page's own part.

const EDITING = new Set(["a", "v"]);
const HARMLESS = new Set([
  "Tab", "Enter", "Escape", " ", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown",
  "Shift", "AltGraph", "CapsLock", "NumLock", "Dead", "Compose",
]);

const isField = (target) => target instanceof HTMLInputElement;

/** Whether a key may do what keys do: typing in a field, moving around, pressing buttons. Everything else is a way out. */
export function isHarmless(event) {
  const writes = event.getModifierState?.("AltGraph");
  if (event.metaKey || (event.altKey && !writes)) return false;
  if (event.ctrlKey && !writes) return isField(event.target) && EDITING.has(event.key.toLowerCase());
  if (event.key === "Escape" && event.shiftKey) return false; // the browser's task manager
  if (HARMLESS.has(event.key)) return true;
  if (event.key === "Backspace" || event.key === "Delete") return isField(event.target);
  return [...event.key].length === 1 || event.key === "Process" || event.key === "Unidentified";
}

const stop = (event) => { event.preventDefault(); event.stopPropagation(); };

/** Once, when the page starts. */
export function lock() {
  const early = { capture: true, passive: false };
  addEventListener("keydown", (event) => { if (!isHarmless(event)) stop(event); }, early);
  for (const name of ["contextmenu", "dragstart", "dragover", "drop", "gesturestart", "auxclick", "copy", "cut"]) addEventListener(name, stop, early);
  addEventListener("selectstart", (event) => { if (!isField(event.target)) stop(event); }, early);
  addEventListener("wheel", (event) => { if (event.ctrlKey) stop(event); }, early);
  addEventListener("touchmove", (event) => { if (event.touches.length > 1) stop(event); }, early);
  for (const name of ["mousedown", "mouseup", "pointerdown"]) addEventListener(name, (event) => { if (event.button > 0) stop(event); }, early);
  globalThis.navigation?.addEventListener("navigate", (event) => {
    const there = new URL(event.destination.url);
    if ((there.origin !== location.origin || there.pathname !== "/") && event.cancelable) event.preventDefault();
  });
  globalThis.open = () => null;
  globalThis.print = () => {};
  for (const name of ["requestFullscreen", "webkitRequestFullscreen"]) Element.prototype[name] = () => Promise.reject(new TypeError("locked"));
}

// Small parts used by every screen: icons, dialogs, the language and display dialogs, focus.

import { html, useEffect, useRef } from "./vendor/htm-preact-standalone.js";
import { NAMES, t } from "./i18n.js";
import { act } from "./link.js";

const PATHS = {
  back: "M15 5l-7 7 7 7", close: "M6 6l12 12M18 6L6 18", more: "M5 12h.01M12 12h.01M19 12h.01", check: "M5 12.5l5 5L19.5 7",
  minus: "M5 12h14", plus: "M5 12h14M12 5v14", erase: "M9 6h11v12H9l-6-6zM12 9.5l5 5M17 9.5l-5 5",
  globe: "M12 3a9 9 0 100 18 9 9 0 000-18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
  eye: "M2 12c4-8 16-8 20 0-4 8-16 8-20 0zM12 9a3 3 0 100 6 3 3 0 000-6z",
  text: "M3 19l5-14 5 14M4.7 14.5h6.6M14 19l3.5-9.5L21 19M15.2 16h4.6", out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  printer: "M7 9V3h10v6M7 17H4V9h16v8h-3M7 14h10v7H7z", warn: "M12 3l10 18H2zM12 10v5M12 18h.01", trash: "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14",
  info: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v6M12 7.5h.01", undo: "M4 9h10a6 6 0 010 12H9M8 5L4 9l4 4", key: "M5 5h.01M12 5h.01M19 5h.01M5 12h.01M12 12h.01M19 12h.01M5 19h.01M12 19h.01M19 19h.01",
  card: "M3 6h18v12H3zM3 10h18M7 15h4", shift: "M12 4l8 8h-4v7H8v-7H4z", enter: "M20 5v8H6M10 9l-4 4 4 4", moon: "M20 14a8 8 0 01-10-10 8 8 0 1010 10z", badge: "M4 6h16v13H4zM9 6V3h6v3M9 11.5a1.5 1.5 0 103 0 1.5 1.5 0 00-3 0M7.5 16c.5-2 5.5-2 6 0M16 11h1.5M16 14h1.5",
  fob: "M14 9a5 5 0 10-4 5l2 2h2v2h2v2h4v-4l-6-6M7.5 8h.01", phone: "M7 2h10v20H7zM11 18.5h2", other: "M3 6h18v12H3zM3 10h18",
  page: "M6 3h9l4 4v14H6zM15 3v4h4",
};

export const Icon = ({ name }) => html`<svg class="icon icon-${name}" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

/** Moves focus to the heading when a screen appears, so that a screen reader says where the person is. */
export function Heading({ children, class: name = "", quiet = false }) {
  const ref = useRef();
  useEffect(() => { if (!quiet) ref.current.focus({ preventScroll: true }); }, []);
  return html`<h1 ref=${ref} tabindex="-1" class=${name}>${children}</h1>`;
}

/** A modal dialog: focus goes in, Tab stays in, Escape closes, focus goes back. */
export function Dialog({ title, onClose, role = "dialog", class: name = "", children, describedBy }) {
  const ref = useRef();
  useEffect(() => {
    const before = document.activeElement;
    ref.current.focus();
    return () => before?.isConnected && before.focus?.();
  }, []);
  const keys = (event) => {
    if (event.key === "Escape" && onClose) onClose();
    if (event.key !== "Tab") return;
    const inside = [...ref.current.querySelectorAll("button:not([disabled]):not([tabindex='-1']), input")];
    if (!inside.length) return event.preventDefault();
    const edge = event.shiftKey ? inside[0] : inside[inside.length - 1];
    if (document.activeElement === edge || document.activeElement === ref.current) {
      event.preventDefault();
      (event.shiftKey ? inside[inside.length - 1] : inside[0]).focus();
    }
  };
  return html`<div class="veil" onKeyDown=${keys}>
    <section ref=${ref} class="dialog ${name}" role=${role} aria-modal="true" aria-labelledby="dialog-title" aria-describedby=${describedBy} tabindex="-1">
      <h2 id="dialog-title">${title}</h2>
      ${children}
    </section>
  </div>`;
}

export function LanguageDialog({ view, onClose }) {
  const choose = (code) => { act({ do: "language", language: code }); onClose(); };
  return html`<${Dialog} title=${t("language.title")} onClose=${onClose}>
    <div class="choices">${view.languages.map((code) => html`
      <button key=${code} class="choice" lang=${code} aria-pressed=${String(code === view.language)} onClick=${() => choose(code)}>${NAMES[code] ?? code}</button>`)}
    </div>
    <div class="row end"><span class="grow"></span><button class="plain" onClick=${onClose}>${t("close")}</button></div>
  <//>`;
}

export function DisplayDialog({ view, onClose }) {
  const options = ["large_text", "high_contrast", "more_time", ...(view.person ? ["hide_titles"] : [])];
  return html`<${Dialog} title=${t("display.title")} onClose=${onClose}>
    <div class="choices two">${options.map((option) => html`
      <button key=${option} class="choice switch" role="switch" aria-checked=${String(view.display[option])}
        onClick=${() => act({ do: "display", option, on: !view.display[option] })}>
        <span>${t(`display.${option}`)}</span><span class="knob" aria-hidden="true"></span></button>`)}
      ${view.person && !view.by_card && view.may.prefer !== false && html`
      <button class="choice switch" role="switch" aria-checked=${String(view.release_on_tap)} onClick=${() => act({ do: "prefer", on: !view.release_on_tap })}>
        <span>${t("prefer.release_on_tap")}</span><span class="knob" aria-hidden="true"></span></button>`}
      <button class="choice" onClick=${onClose}><${Icon} name="check" />${t("close")}</button>
    </div>
  <//>`;
}

/** Language and display, on every screen. */
export const Tools = ({ view, open }) => html`
  <button class="tool" onClick=${() => open("language")} aria-haspopup="dialog"><${Icon} name="globe" /><span>${NAMES[view.language] ?? view.language}</span></button>
  <button class="tool" onClick=${() => open("display")} aria-haspopup="dialog"><${Icon} name="text" /><span>${t("display.button")}</span></button>`;

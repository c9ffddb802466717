// Nobody here: tap your card, or use your PIN. Every language and the display options at one touch.

import { html, useEffect, useState } from "./vendor/htm-preact-standalone.js";
import { NAMES, clock, printerTrouble, t } from "./i18n.js";
import { act } from "./link.js";
import { Heading, Icon } from "./ui.js";
import { Notice } from "./notice.js";

const CardArt = () => html`<svg class="art" viewBox="0 -20 200 160" aria-hidden="true">
  <g class="waves"><path d="M70 40a46 46 0 0160 0"/><path d="M56 24a68 68 0 0188 0"/><path d="M42 8a90 90 0 01116 0"/></g>
  <g class="badge"><rect x="44" y="58" width="112" height="74" rx="10"/><circle cx="72" cy="88" r="11"/><path d="M56 117c2-12 30-12 32 0M102 82h38M102 96h38M102 110h24"/></g>
</svg>`;

const PrinterArt = () => html`<svg class="art" viewBox="0 0 200 150" aria-hidden="true">
  <g class="badge"><path d="M62 52V14h76v38"/><rect x="34" y="52" width="132" height="54" rx="10"/><path d="M62 88h76v50H62zM74 104h52M74 118h36"/><circle cx="146" cy="70" r="4"/></g>
</svg>`;

export function PrinterLine({ printer }) {
  const trouble = printer.state === "stopped" || printer.accepting === false;
  const words = trouble ? printerTrouble(printer.reasons) ?? t("printer.stopped") : printer.state === "processing" ? t("printer.busy") : t("printer.ready");
  return html`<span class="printer-line ${trouble ? "bad" : "good"}"><${Icon} name=${trouble ? "warn" : "check"} /><span><b>${printer.name}</b> <span class="dim">${words}</span></span></span>`;
}

export function Idle({ view, open }) {
  const [time, setTime] = useState(clock());
  useEffect(() => {
    const timer = setInterval(() => setTime(clock()), 5000);
    return () => clearInterval(timer);
  }, [view.language]);
  const cards = view.terminal.takes_cards;
  const busy = view.busy === "sign_in";
  return html`<main class="idle">
    <header class="bar"><span class="where">${view.terminal.name || t("app.title")}</span><span class="printers">${view.printers.slice(0, 2).map((printer) => html`<${PrinterLine} key=${printer.printer_id} printer=${printer} />`)}</span><span class="time">${time}</span></header>
    <${Notice} view=${view} />
    <div class="hero">
      ${cards ? html`<${CardArt} />` : html`<${PrinterArt} />`}
      <div class="hero-words">
        <${Heading}>${busy ? t("busy.sign_in") : cards ? t("idle.tap") : t("idle.welcome")}<//>
        <p>${cards ? t("idle.tap.text") : t("idle.welcome.text")}</p>
        <button class="primary" disabled=${busy} onClick=${() => act({ do: "start" })}><${Icon} name="key" />${t("idle.pin")}</button>
      </div>
    </div>
    <nav class="languages" aria-label=${t("language.title")}>
      ${view.languages.map((code) => html`<button key=${code} class="tool" lang=${code} aria-pressed=${String(code === view.language)} onClick=${() => act({ do: "language", language: code })}>${NAMES[code] ?? code}</button>`)}
      <button class="tool" onClick=${() => open("display")} aria-haspopup="dialog"><${Icon} name="text" /><span>${t("display.button")}</span></button>
    </nav>
  </main>`;
}

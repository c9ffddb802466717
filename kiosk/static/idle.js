// Nobody here: tap your card, or use your PIN. Every language and the display options at one touch.

import { html, useEffect, useState } from "./vendor/htm-preact-standalone.js";
import { NAMES, clock, printerTrouble, refusal, t } from "./i18n.js";
import { act } from "./link.js";
import { Heading, Icon } from "./ui.js";

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
  return html`<span class="printer-line ${trouble ? "bad" : "good"}"><${Icon} name=${trouble ? "warn" : "check"} /><span><b>${printer.name}</b> <span class="dim">${words}</span>${printer.notice && html` <span class="dim">${printer.notice}</span>`}</span></span>`;
}

/** What the terminal has to say takes the place of the invitation: it is read from where people stand. */
function noticeWords(notice) {
  if (notice.kind === "refusal") return { kind: "bad", ...refusal(notice.code, notice.data) };
  return { kind: notice.kind === "alert" ? "bad" : "", title: t(`notice.${notice.code}`), next: "" };
}

export function Idle({ view, open }) {
  const [time, setTime] = useState(clock());
  useEffect(() => {
    const timer = setInterval(() => setTime(clock()), 5000);
    return () => clearInterval(timer);
  }, [view.language]);
  const cards = view.terminal.takes_cards;
  const busy = view.busy === "sign_in";
  const missing = view.terminal.misses_reader;
  const said = view.notice && !busy ? noticeWords(view.notice) : null;
  return html`<main class="idle">
    <header class="bar"><span class="where">${view.terminal.name || t("app.title")}</span><span class="printers">${view.printers.slice(0, 2).map((printer) => html`<${PrinterLine} key=${printer.printer_id} printer=${printer} />`)}</span><span class="time">${time}</span></header>
    <div class="hero">
      ${cards ? html`<${CardArt} />` : html`<${PrinterArt} />`}
      <div class="hero-words">
        <${Heading} class=${said ? said.kind : ""}>${busy ? t("busy.sign_in") : said ? said.title : cards ? t("idle.tap") : t("idle.welcome")}<//>
        ${said ? html`<p>${said.next}</p>` : missing ? html`<p class="reader-away"><${Icon} name="warn" /><span><b>${t("idle.reader_away")}</b> ${t("idle.reader_away.text")}</span></p>`
          : html`<p>${cards ? t("idle.tap.text") : t("idle.welcome.text")}</p>`}
        <button class="primary" onClick=${() => act({ do: "start" })}><${Icon} name="key" />${t("idle.pin")}</button>
      </div>
    </div>
    <nav class="languages" aria-label=${t("language.title")}>
      ${view.languages.map((code) => html`<button key=${code} class="tool" lang=${code} aria-pressed=${String(code === view.language)} onClick=${() => act({ do: "language", language: code })}>${NAMES[code] ?? code}</button>`)}
      <button class="tool" onClick=${() => open("display")} aria-haspopup="dialog"><${Icon} name="text" /><span>${t("display.button")}</span></button>
    </nav>
  </main>`;
}

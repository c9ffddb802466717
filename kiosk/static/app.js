// The whole screen: one view in, one tree out. Only what is being typed, and which dialog is open, lives here.

import { html, render, useEffect, useState } from "./vendor/htm-preact-standalone.js";
import { moment, refusal, speak, t } from "./i18n.js";
import { act, connect, report, showing, wipe } from "./link.js";
import { lock } from "./lock.js";
import { Dialog, DisplayDialog, Icon, LanguageDialog, Tools } from "./ui.js";
import { Idle } from "./idle.js";
import { AutoRelease, LinkCard } from "./card.js";
import { Notice } from "./notice.js";
import { SignIn } from "./signin.js";
import { Jobs } from "./jobs.js";
import { Done, Progress } from "./progress.js";

const SCREENS = { idle: Idle, sign_in: SignIn, card_password: SignIn, link: LinkCard, jobs: Jobs, progress: Progress, done: Done };
// Screens people use are known sizes; the real dots per inch make 19 mm be 19 mm.
const KNOWN_DPI = { "800x480": 133.3, "1024x600": 169.6, "1280x800": 149.4, "1280x720": 157.4, "1920x1080": 141.2 };
const FALLBACK_DPI = 133.3;

let told = "";

/** One millimetre of this glass: by what kiosk.toml says of it (dpi, or inches of its diagonal), else by its size. */
function measure(view) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(screen.width * ratio), Math.round(screen.height * ratio)];
  const known = KNOWN_DPI[[width, height].sort((a, b) => b - a).join("x")] ?? FALLBACK_DPI * ratio;
  const dpi = view?.dpi || (view?.inches ? Math.hypot(width, height) / view.inches : known);
  document.documentElement.style.setProperty("--mm", `${(dpi / ratio / 25.4).toFixed(3)}px`);
  const profile = { width, height, dpi };
  if (view && told !== JSON.stringify(profile)) {
    told = JSON.stringify(profile);
    report(profile);
  }
}

/** Nobody can be helped now: says so, keeps the languages, goes away by itself. */
function Away({ view, reason, open }) {
  const key = reason === "daemon-away" || reason === "kiosk-away" ? reason : "terminal-off";
  return html`<main class="away">
    <div class="pulse" aria-hidden="true"><${Icon} name="printer" /></div>
    <div role="alert"><h1>${t(`away.${key}`)}</h1>
    <p>${t(`away.${key}.next`)}</p></div>
    ${view && html`<${Notice} view=${view} />`}
    ${view?.person && html`<p class="safe"><${Icon} name="check" />${t("away.safe")}</p>`}
    <div class="row center">${view && html`<${Tools} view=${view} open=${open} />`}</div>
  </main>`;
}

/** Outside opening hours: when to come back. */
function Closed({ view, open }) {
  return html`<main class="away closed">
    <div class="pulse calm" aria-hidden="true"><${Icon} name="moon" /></div>
    <div role="status"><h1>${t("closed.title")}</h1>
    ${view.closed.opens_at && html`<p class="big">${t("closed.until", { when: moment(view.closed.opens_at) })}</p>`}
    <p>${t("closed.text")}</p></div>
    <div class="row center"><${Tools} view=${view} open=${open} /></div>
  </main>`;
}

/** An operator far away looks for this terminal. */
const Identify = ({ view }) => html`<div class="identify" role="status"><p class="identify-name">${view.terminal.name}</p><p>${t("identify.text")}</p></div>`;

function Countdown({ view }) {
  const stay = () => act({ do: "extend" });
  return html`<${Dialog} title=${t("countdown.title")} role="alertdialog" class="countdown" onClose=${stay} describedBy="countdown-text">
    <p id="countdown-text">${t("countdown.text")}</p>
    <p class="seconds" aria-hidden="true">${view.countdown_s}</p>
    <div class="row">
      <button class="primary grow" onClick=${stay}>${t("countdown.stay")}</button>
      <button class="plain" onClick=${() => act({ do: "logout" })}>${view.person ? t("sign_out") : t("cancel")}</button>
    </div>
  <//>`;
}

function App({ view, silent }) {
  const [dialog, open] = useState(null);
  const close = () => open(null);
  useEffect(close, [view?.screen, view?.visit]);
  useEffect(() => {
    const root = document.documentElement;
    root.classList.toggle("large-text", Boolean(view?.display.large_text));
    root.classList.toggle("high-contrast", Boolean(view?.display.high_contrast));
  }, [view?.display.large_text, view?.display.high_contrast]);
  const away = silent ? "kiosk-away" : view?.away;
  if (!view && !away) return null;
  const Screen = SCREENS[view?.screen] ?? Idle;
  const auto = view && !away && (view.auto_s ?? null) !== null;
  const counting = view && !away && !auto && view.countdown_s !== null;
  return html`
    ${away ? html`<${Away} view=${view} reason=${away} open=${open} />`
      : view.closed ? html`<${Closed} view=${view} open=${open} />`
      : html`<${Screen} key=${`${view.screen}-${view.language}`} view=${view} open=${open} />`}
    ${dialog === "language" && html`<${LanguageDialog} view=${view} onClose=${close} />`}
    ${dialog === "display" && html`<${DisplayDialog} view=${view} onClose=${close} />`}
    ${auto && html`<${AutoRelease} view=${view} />`}
    ${counting && html`<${Countdown} view=${view} />`}
    ${view?.identify && html`<${Identify} view=${view} />`}
    <${Spoken} view=${away ? null : view} />`;
}

/** What a screen reader hears without being asked: results and refusals, once each. */
function Spoken({ view }) {
  let words = "";
  if (view?.notice?.kind === "refusal") {
    const said = refusal(view.notice.code, view.notice.data);
    words = `${said.title} ${said.next}`;
  } else if (view?.notice) words = t(`notice.${view.notice.code}`);
  else if (view?.busy === "release") words = t("busy.release");
  return html`<p class="spoken" role="status" aria-live="polite">${words}</p>`;
}

let shown = null;
let latest = null;
let silent = false;
let leaving = false;

function draw() {
  showing(shown);
  render(html`<${App} view=${shown} silent=${silent} />`, document.getElementById("app"));
}

/** Views come by two ways (answers and events): an older one never replaces a newer one of the same program start. */
const isOld = (view) => latest && view.start === latest.start && view.version < latest.version;

async function show(view) {
  if (leaving || isOld(view)) return;
  latest = view;
  if (shown?.person && view.visit !== shown.visit) {
    leaving = true;
    shown = null;
    render(null, document.getElementById("app"));
    await wipe();
    return;
  }
  measure(view);
  await speak(view.language).catch(() => {});
  if (leaving || isOld(view)) return;
  shown = view;
  draw();
}

lock();
addEventListener("resize", () => shown && measure(shown));
addEventListener("pageshow", (event) => { if (event.persisted) location.replace("/"); });

measure(null);
connect(show, (isSilent) => {
  if (isSilent === silent || leaving) return;
  silent = isSilent;
  draw();
});

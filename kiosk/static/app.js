// The whole screen: one view in, one tree out. Only what is being typed, and which dialog is open, lives here.

import { html, render, useEffect, useState } from "./vendor/htm-preact-standalone.js";
import { refusal, speak, t } from "./i18n.js";
import { act, connect, wipe } from "./link.js";
import { Dialog, DisplayDialog, Icon, LanguageDialog, Tools } from "./ui.js";
import { Idle } from "./idle.js";
import { SignIn } from "./signin.js";
import { Jobs } from "./jobs.js";
import { Done, Progress } from "./progress.js";

const SCREENS = { idle: Idle, sign_in: SignIn, card_password: SignIn, jobs: Jobs, progress: Progress, done: Done };
// Screens people use are known sizes; the real dots per inch make 19 mm be 19 mm.
const KNOWN_DPI = { "800x480": 133.3, "1024x600": 169.6, "1280x800": 149.4, "1280x720": 157.4, "1920x1080": 141.2 };
const FALLBACK_DPI = 133.3;

function measure(dpi) {
  const ratio = devicePixelRatio || 1;
  const size = [Math.round(screen.width * ratio), Math.round(screen.height * ratio)].sort((a, b) => b - a).join("x");
  const known = KNOWN_DPI[size] ? KNOWN_DPI[size] / ratio : FALLBACK_DPI;
  document.documentElement.style.setProperty("--mm", `${((dpi ? dpi / ratio : known) / 25.4).toFixed(3)}px`);
}

/** Nobody can be helped now: says so, keeps the languages, goes away by itself. */
function Away({ view, reason, open }) {
  const key = reason === "daemon-away" || reason === "kiosk-away" ? reason : "terminal-off";
  return html`<main class="away">
    <div class="pulse" aria-hidden="true"><${Icon} name="printer" /></div>
    <div role="alert"><h1>${t(`away.${key}`)}</h1>
    <p>${t(`away.${key}.next`)}</p></div>
    ${view?.person && html`<p class="safe"><${Icon} name="check" />${t("away.safe")}</p>`}
    <div class="row center">${view && html`<${Tools} view=${view} open=${open} />`}</div>
  </main>`;
}

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
  const counting = view && !away && view.countdown_s !== null;
  return html`
    ${away ? html`<${Away} view=${view} reason=${away} open=${open} />`
      : html`<${Screen} key=${`${view.screen}-${view.language}`} view=${view} open=${open} />`}
    ${dialog === "language" && html`<${LanguageDialog} view=${view} onClose=${close} />`}
    ${dialog === "display" && html`<${DisplayDialog} view=${view} onClose=${close} />`}
    ${counting && html`<${Countdown} view=${view} />`}
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
  measure(view.dpi);
  await speak(view.language).catch(() => {});
  if (leaving || isOld(view)) return;
  shown = view;
  draw();
}

addEventListener("resize", () => shown && measure(shown.dpi));
addEventListener("contextmenu", (event) => event.preventDefault());
addEventListener("dragstart", (event) => event.preventDefault());
addEventListener("pageshow", (event) => { if (event.persisted) location.replace("/"); });

measure(0);
connect(show, (isSilent) => {
  if (isSilent === silent || leaving) return;
  silent = isSilent;
  draw();
});

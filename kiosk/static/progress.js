// What the printer really does, and then: what printed, what it cost, what is left.

import { html } from "./vendor/htm-preact-standalone.js";
import { money, printerTrouble, t } from "./i18n.js";
import { act } from "./link.js";
import { Heading, Icon, Tools } from "./ui.js";
import { Notice } from "./notice.js";
import { title } from "./jobs.js";

const OVER = ["completed", "canceled", "aborted"];

function stateText(run) {
  if (run.uncertain) return t("run.uncertain");
  if (run.state === "processing-stopped") return printerTrouble(run.reasons) ?? t("run.stopped");
  if (run.state === "processing" && !run.printed?.impressions) return t("run.sending");
  if (run.state === "processing" && run.of?.impressions) return t("run.pages", { n: run.printed.impressions, of: run.of.impressions });
  if (run.state === "aborted" && run.printed?.impressions) return t("run.partial", { n: run.printed.impressions });
  return t(`run.${run.state}`);
}

function Run({ view, run }) {
  const of = run.of?.impressions || 0;
  const done = run.state === "completed" ? of || 1 : Math.min(run.printed?.impressions ?? 0, of);
  const over = OVER.includes(run.state);
  const bad = run.state === "processing-stopped" || run.uncertain || (over && run.state !== "completed");
  return html`<li class="run ${bad ? "bad" : over ? "good" : ""}">
    <${Icon} name=${bad ? "warn" : over ? "check" : "printer"} />
    <div class="grow">
      <p class="job-title"><bdi>${title(view, run)}</bdi></p>
      <p class="run-state" role="status">${stateText(run)}${over && run.charged && run.charged.amount === 0 ? html` <b class="not-charged">${t("not_charged")}</b>` : ""}</p>
      ${!over && html`<progress max=${of || 1} value=${of ? done : undefined} aria-label=${t("run.progress")}></progress>`}
    </div>
    <span class="job-price">${money(over ? run.charged ?? run.price : run.price)}</span>
    ${!over && run.state !== "pending" && html`<button class="plain" onClick=${() => act({ do: "cancel", job_id: run.job_id })}>${t("run.cancel")}</button>`}
  </li>`;
}

export function Progress({ view, open }) {
  return html`<main class="progress">
    <div class="row list-head"><${Heading}>${t("progress.title")}<//><p class="dim">${t("progress.leave")}</p></div>
    <${Notice} view=${view} />
    <ul class="runs" tabindex="0" aria-label=${t("run.list")}>${view.running.map((run) => html`<${Run} key=${run.job_id} view=${view} run=${run} />`)}</ul>
    <div class="row end">
      <button class="plain" onClick=${() => act({ do: "back" })}>${t("progress.more")}</button>
      <${Tools} view=${view} open=${open} />
      <span class="grow"></span>
      <button class="primary" onClick=${() => act({ do: "logout" })}><${Icon} name="out" />${t("sign_out")}</button>
    </div>
  </main>`;
}

const sum = (amounts) => amounts.filter(Boolean).reduce((all, one) => (all ? { ...all, amount: all.amount + one.amount } : { ...one }), null);

export function Done({ view, open }) {
  const good = view.running.filter((run) => run.state === "completed");
  const allGood = good.length === view.running.length;
  const charged = sum(view.running.map((run) => run.charged ?? (run.state === "completed" ? run.price : null)));
  return html`<main class="done ${allGood ? "all-good" : ""}">
    <div class="done-head">
      <span class="seal" aria-hidden="true"><${Icon} name=${allGood ? "check" : "warn"} /></span>
      <${Heading}>${allGood ? t("done.title", { n: good.length }) : t("done.partly")}<//>
    </div>
    <dl class="totals wide">
      <div><dt>${t("done.charged")}</dt><dd>${charged && charged.amount ? money(charged) : t("not_charged")}</dd></div>
      <div><dt>${t("balance")}</dt><dd>${money(view.totals.balance) || "–"}</dd></div>
    </dl>
    <ul class="runs" tabindex="0" aria-label=${t("run.list")}>${view.running.map((run) => html`<${Run} key=${run.job_id} view=${view} run=${run} />`)}</ul>
    <div class="row end">
      ${html`<button class="plain" onClick=${() => act({ do: "back" })}>${view.left ? t("done.left", { n: view.left }) : t("done.stay")}</button>`}
      <${Tools} view=${view} open=${open} />
      <span class="grow"></span>
      <button class="primary" onClick=${() => act({ do: "logout" })}><${Icon} name="out" />${view.leaving_s !== null && view.leaving_s <= 5 ? t("done.leaving", { n: view.leaving_s }) : t("sign_out")}</button>
    </div>
  </main>`;
}

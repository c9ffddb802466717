// The person's jobs: print all at one touch, or choose, change downward, delete with undo, claim by code.

import { html, useEffect, useState } from "./vendor/htm-preact-standalone.js";
import { has, money, refusal, relative, t } from "./i18n.js";
import { act } from "./link.js";
import { Heading, Icon, Tools } from "./ui.js";
import { ClaimDialog, CodeDialog, JobDialog, PasswordDialog, PrinterDialog } from "./dialogs.js";
import { Notice } from "./notice.js";
import { PrinterLine } from "./idle.js";

/** The job as it would be printed: submitted ticket with the person's changes. */
export function asPrinted(job) {
  const copies = job.change.copies ?? job.copies;
  const grey = (job.change.print_color_mode ?? job.print_color_mode) === "monochrome" || (job.quoted ?? job).color_impressions === 0;
  const duplex = (job.change.sides ?? job.sides) !== "one-sided";
  return { copies, grey, duplex };
}

export const title = (view, job) => (view.display.hide_titles || !job.title ? t("job.untitled") : job.title);

function facts(job) {
  const { copies, grey, duplex } = asPrinted(job);
  return [t("job.pages", { n: job.pages }), copies > 1 && t("job.copies", { n: copies }), t(grey ? "job.grey" : "job.colour"), t(duplex ? "job.two_sided" : "job.one_sided")].filter(Boolean);
}

const trouble = (job) => {
  if (job.preparing) return { icon: "info", words: t("job.preparing") };
  if (job.uncertain) return { icon: "warn", words: t("job.uncertain") };
  if (job.problem) return { icon: "warn", words: problemText(job.problem) };
  if (job.refused) return { icon: "warn", words: refusal(job.refused).title };
  if (job.needs_code && !job.has_code) return { icon: "key", words: t("job.needs_code") };
  return null;
};

export function problemText(problem) {
  if (has(`problem.${problem.code}`)) return t(`problem.${problem.code}`);
  return has(`refusal.${problem.code}`) ? refusal(problem.code).title : problem.message || t("problem.cannot-print");
}

function Job({ view, job, open }) {
  const wrong = trouble(job);
  const changed = Object.keys(job.change).length > 0;
  const price = job.quoted?.price ?? job.price;
  const running = !["pending-held", "pending", "held"].includes(job.state);
  const press = () => {
    if (job.needs_code && !job.has_code && !job.preparing && !job.problem) open({ kind: "code", job });
    else if (job.ready) act({ do: "choose", job_id: job.job_id, on: !job.chosen });
    else open({ kind: "job", job });
  };
  return html`<li class="job ${job.chosen ? "chosen" : ""} ${job.ready ? "" : "off"}">
    <button class="job-main" role="checkbox" aria-checked=${String(job.chosen)} onClick=${press} disabled=${running}>
      <span class="box" aria-hidden="true">${job.chosen && html`<${Icon} name="check" />`}</span>
      <span class="job-words">
        <span class="job-line"><span class="job-title" dir="auto">${title(view, job)}</span><span class="job-price">${running ? t("job.running") : money(price)}</span></span>
        <span class="job-facts">${facts(job).join(" · ")}${changed && html` <b class="changed">${t("job.changed")}</b>`}</span>
        ${wrong ? html`<span class="job-trouble"><${Icon} name=${wrong.icon} />${wrong.words}</span>`
          : html`<span class="job-times">${t("job.sent", { when: relative(job.created_at) })}${job.held_until ? html` · ${t("job.kept", { when: relative(job.held_until) })}` : ""}</span>`}
      </span>
    </button>
    <button class="plain square job-more" aria-label=${t("job.options", { title: title(view, job) })} aria-haspopup="dialog" onClick=${() => open({ kind: "job", job })}><${Icon} name="more" /></button>
  </li>`;
}

function Totals({ view }) {
  const { total, balance, balance_after: after, enough, pots } = view.totals;
  return html`<dl class="totals">
    <div><dt>${t("balance")}</dt><dd>${[balance, ...pots].filter(Boolean).map(money).join(" · ") || "–"}</dd></div>
    ${view.chosen > 0 && total && html`<div><dt>${t("total")}</dt><dd>${money(total)}</dd></div>`}
    ${view.chosen > 0 && after && html`<div class=${enough ? "" : "short"}><dt>${t("balance_after")}</dt><dd>${enough ? money(after) : t("not_enough")}</dd></div>`}
    ${view.is_above_cap && html`<div class="short cap"><dt>${t("cap.text", { amount: money(view.cost_cap) })}</dt></div>`}
  </dl>`;
}

function PrintButton({ view }) {
  const busy = view.busy === "release";
  const label = busy ? t("busy.release") : view.all_chosen ? t("print.all", { n: view.chosen }) : view.chosen ? t("print.some", { n: view.chosen }) : t("print.none");
  return html`<button class="primary print" disabled=${busy || !view.chosen || view.may?.release === false} onClick=${() => act({ do: "print" })}>
    <${Icon} name="printer" /><span>${label}</span>
  </button>`;
}

function Rail({ view, open, openDialog }) {
  const printer = view.printers.find((one) => one.printer_id === view.printer_id) ?? view.printers[0];
  return html`<aside class="rail" aria-label=${t("print.rail")}>
    <${Totals} view=${view} />
    <${PrintButton} view=${view} />
    ${printer && (view.printers.length > 1
      ? html`<button class="plain printer-pick" aria-haspopup="dialog" onClick=${() => openDialog({ kind: "printer" })}><${PrinterLine} printer=${printer} /></button>`
      : html`<p class="printer-only"><${PrinterLine} printer=${printer} /></p>`)}
    <div class="tools"><${Tools} view=${view} open=${open} />
      <button class="tool out" onClick=${() => act({ do: "logout" })}><${Icon} name="out" /><span>${t("sign_out")}</span></button></div>
  </aside>`;
}

function Undo({ view }) {
  if (view.undo_s === null) return null;
  return html`<div class="undo" role="status"><span>${t("deleted")}</span>
    <button class="plain" onClick=${() => act({ do: "undo" })}><${Icon} name="undo" />${t("undo")}</button></div>`;
}

export function Jobs({ view, open }) {
  const [dialog, openDialog] = useState(null);
  const close = () => openDialog(null);
  const current = dialog?.job && view.jobs.find((job) => job.job_id === dialog.job.job_id);
  const gone = dialog?.job && !current;
  useEffect(() => { if (gone) close(); }, [gone]);
  const loading = view.busy === "jobs" && !view.jobs.length;
  return html`<main class="jobs">
    <section class="list">
      <div class="row list-head">
        <${Heading}>${t("jobs.title", { name: view.person.display_name })}<//>
        ${view.by_card && view.may.titles === false && view.jobs.length > 0 && html`<button class="plain" onClick=${() => openDialog({ kind: "password" })}><${Icon} name="eye" />${t("titles.show")}</button>`}
      </div>
      <${Notice} view=${view}>${view.by_card && ["cost-cap", "step-up-needed", "password-needed", "password-wrong"].includes(view.notice?.code) && html`<button class="plain" onClick=${() => openDialog({ kind: "password" })}>${t("step_up.do")}</button>`}<//>
      ${view.jobs.length > 0 ? html`<ul>${view.jobs.map((job) => html`<${Job} key=${job.job_id} view=${view} job=${job} open=${openDialog} />`)}</ul>`
        : html`<div class="empty"><${Icon} name="page" /><p class="big">${loading ? t("busy.jobs") : t("jobs.none")}</p>${!loading && html`<p>${t("jobs.none.next")}</p>`}</div>`}
      <div class="row list-foot">
        ${view.ready > 1 && html`<button class="plain grow" onClick=${() => act({ do: "choose_all", on: !view.all_chosen })}><${Icon} name="check" />${view.all_chosen ? t("choose.none") : t("choose.all")}</button>`}
        ${view.may.claim !== false && html`<button class="plain grow" onClick=${() => openDialog({ kind: "claim" })}><${Icon} name="key" />${t("claim.button")}</button>`}
      </div>
      <${Undo} view=${view} />
    </section>
    <${Rail} view=${view} open=${open} openDialog=${openDialog} />
    ${dialog?.kind === "job" && current && html`<${JobDialog} view=${view} job=${current} onClose=${close} open=${openDialog} />`}
    ${dialog?.kind === "code" && current && html`<${CodeDialog} job=${current} view=${view} onClose=${close} />`}
    ${dialog?.kind === "claim" && html`<${ClaimDialog} view=${view} onClose=${close} />`}
    ${dialog?.kind === "password" && html`<${PasswordDialog} view=${view} onClose=${close} />`}
    ${dialog?.kind === "printer" && html`<${PrinterDialog} view=${view} onClose=${close} />`}
  </main>`;
}

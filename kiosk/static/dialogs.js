// Dialogs over the jobs: options of one job, its code, claiming by code, the choice of a printer.

import { html, useRef, useState } from "./vendor/htm-preact-standalone.js";
import { money, relative, t } from "./i18n.js";
import { act } from "./link.js";
import { Dialog, Icon } from "./ui.js";
import { Keyboard, Keypad, erase, insert } from "./keys.js";
import { PrinterLine } from "./idle.js";
import { asPrinted, problemText, title } from "./jobs.js";

const Toggle = ({ label, options }) => html`<div class="toggle" role="group" aria-label=${label}>
  ${options.map(([text, on, press, disabled]) => html`<button class="choice" aria-pressed=${String(on)} disabled=${disabled} onClick=${press}>${text}</button>`)}
</div>`;

/** Change downward (grey, two-sided, fewer copies) with the new price at once; delete; another printer. */
export function JobDialog({ view, job, onClose, open }) {
  const { copies, grey, duplex } = asPrinted(job);
  const may = view.may.change === false ? {} : job.may ?? {};
  const change = (next) => act({ do: "change", job_id: job.job_id, change: Object.fromEntries(Object.entries({ ...job.change, ...next }).filter(([, value]) => value !== null)) });
  const price = job.quoted?.price ?? job.price;
  const saving = job.quoted?.saving;
  const [preview, setPreview] = useState(false);
  return html`<${Dialog} title=${title(view, job)} onClose=${onClose} class="wide">
    ${job.problem && html`<p class="job-trouble"><${Icon} name="warn" />${problemText(job.problem)}
      ${view.printers.length > 1 && html`<button class="plain" onClick=${() => open({ kind: "printer" })}>${t("printer.other")}</button>`}</p>`}
    ${preview ? html`<img class="preview" src=${`/ui/preview/${job.job_id}`} alt=${t("job.preview")} />` : html`<div class="options">
      <${Toggle} label=${t("job.colour_label")} options=${[
        [t("job.colour"), !grey, () => change({ print_color_mode: null }), job.color_impressions === 0 || job.print_color_mode === "monochrome"],
        [t("job.grey"), grey, () => change({ print_color_mode: "monochrome" }), !may.monochrome && !grey]]} />
      <${Toggle} label=${t("job.sides_label")} options=${[
        [t("job.one_sided"), !duplex, () => change({ sides: null }), job.sides !== "one-sided"],
        [t("job.two_sided"), duplex, () => change({ sides: "two-sided-long-edge" }), !may.two_sided && !duplex]]} />
      <div class="toggle stepper" role="group" aria-label=${t("job.copies_label")}>
        <button class="choice square" aria-label=${t("job.fewer")} disabled=${!may.fewer_copies || copies <= 1} onClick=${() => change({ copies: copies - 1 })}><${Icon} name="minus" /></button>
        <output aria-live="polite">${t("job.copies", { n: copies })}</output>
        <button class="choice square" aria-label=${t("job.more")} disabled=${copies >= job.copies} onClick=${() => change({ copies: copies + 1 >= job.copies ? null : copies + 1 })}><${Icon} name="plus" /></button>
      </div>
      <p class="job-sum" role="status">
        <b class="big">${money(price)}</b>
        ${saving?.amount > 0 && html`<span class="saving">${t("job.saving", { amount: money(saving) })}</span>`}
        <span class="dim">${t("job.sheets", { n: job.quoted?.sheets ?? job.sheets })}${job.held_until ? ` · ${t("job.kept", { when: relative(job.held_until) })}` : ""}</span>
      </p>
    </div>`}
    <div class="row end">
      ${view.may.delete !== false && html`<button class="plain danger" onClick=${() => { act({ do: "delete", job_id: job.job_id }); onClose(); }}><${Icon} name="trash" />${t("delete")}</button>`}
      ${job.preview && html`<button class="plain" aria-pressed=${String(preview)} onClick=${() => setPreview(!preview)}><${Icon} name="page" />${t("job.preview")}</button>`}
      <span class="grow"></span>
      <button class="primary" onClick=${onClose}>${t("ok")}</button>
    </div>
  <//>`;
}

function Entry({ heading, text, label, view, onDone, onClose, secret }) {
  const [letters, setLetters] = useState(false);
  const field = useRef();
  const submit = (event) => {
    event?.preventDefault();
    const code = field.current.value;
    if (!code.trim()) return;
    onDone(code);
    onClose();
  };
  return html`<${Dialog} title=${heading} onClose=${onClose} class="entry ${letters ? "letters" : ""}">
    <form onSubmit=${submit} autocomplete="off">
      <p>${text}</p>
      <label class="field active"><span>${label}</span><input ref=${field} type=${secret ? "password" : "text"} inputmode="none" autocomplete="off" spellcheck=${false} maxlength="255" dir="ltr" /></label>
      <div class="row"><button type="submit" class="primary grow">${t("ok")}</button><button type="button" class="plain" onClick=${onClose}>${t("cancel")}</button></div>
    </form>
    ${letters
      ? html`<${Keyboard} language=${view.language} onType=${(text) => insert(field.current, text)} onErase=${() => erase(field.current)} onDigits=${() => setLetters(false)} onEnter=${submit} />`
      : html`<${Keypad} onType=${(text) => insert(field.current, text)} onErase=${() => erase(field.current)} onLetters=${() => setLetters(true)} />`}
  <//>`;
}

export const CodeDialog = ({ job, view, onClose }) => html`<${Entry} view=${view} onClose=${onClose} secret=${true} heading=${t("code.title")} text=${t("code.text", { title: title(view, job) })} label=${t("code.label")} onDone=${(code) => act({ do: "code", job_id: job.job_id, code })} />`;

export const ClaimDialog = ({ view, onClose }) => html`<${Entry} view=${view} onClose=${onClose} heading=${t("claim.title")} text=${t("claim.text")} label=${t("claim.label")} onDone=${(code) => act({ do: "claim", code })} />`;

/** The password after the card alone: titles, and what the card's limit keeps back. */
export const PasswordDialog = ({ view, onClose }) => html`<${Entry} view=${view} onClose=${onClose} secret=${true} heading=${t("step_up.title")} text=${t("step_up.text")} label=${t("password")} onDone=${(password) => act({ do: "step_up", password })} />`;

export const PrinterDialog = ({ view, onClose }) => html`<${Dialog} title=${t("printer.choose")} onClose=${onClose}>
  <div class="choices">${view.printers.map((printer) => html`<button key=${printer.printer_id} class="choice stack" aria-pressed=${String(printer.printer_id === view.printer_id)}
    onClick=${() => { act({ do: "printer", printer_id: printer.printer_id }); onClose(); }}><${PrinterLine} printer=${printer} />${printer.location && html`<span class="dim">${printer.location}</span>`}</button>`)}</div>
  <div class="row end"><span class="grow"></span><button class="plain" onClick=${onClose}>${t("close")}</button></div>
<//>`;

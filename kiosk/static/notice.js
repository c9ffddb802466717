// One sentence from the machine: why, what next, and whether money moved.

import { html } from "./vendor/htm-preact-standalone.js";
import { refusal, t } from "./i18n.js";
import { act } from "./link.js";
import { Icon } from "./ui.js";

export function Notice({ view, children }) {
  const notice = view.notice;
  if (!notice) return null;
  const isRefusal = notice.kind === "refusal";
  const said = isRefusal ? refusal(notice.code, notice.data) : { title: t(`notice.${notice.code}`), next: "" };
  const others = notice.data?.alternatives ?? [];
  return html`<div class="notice ${notice.kind}" key=${notice.code}>
    <${Icon} name=${isRefusal || notice.kind === "alert" ? "warn" : "info"} />
    <div class="notice-words">
      <p class="notice-title">${said.title}</p>
      ${said.next && html`<p>${said.next}</p>`}
      ${notice.data?.charged === false && html`<p class="not-charged">${t("not_charged")}</p>`}
    </div>
    ${others.map((printer) => html`<button key=${printer.printer_id} class="plain" onClick=${() => act({ do: "printer", printer_id: printer.printer_id })}>${t("printer.use", { name: printer.name })}</button>`)}
    ${children}
    <button class="plain square" aria-label=${t("close")} onClick=${() => act({ do: "dismiss" })}><${Icon} name="close" /></button>
  </div>`;
}

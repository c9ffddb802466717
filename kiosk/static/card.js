// What a card brings to the screen: linking one that is not known yet, and the moment in which a release on tap can be stopped.

import { html } from "./vendor/htm-preact-standalone.js";
import { t } from "./i18n.js";
import { act } from "./link.js";
import { Dialog, Heading, Icon, Tools } from "./ui.js";
import { Notice } from "./notice.js";

const KINDS = ["badge", "fob", "phone", "other"];

/** Is the unknown card yours? The label is one of four touches; a keyboard for a name nobody reads would be in the way. */
function Ask({ view, open }) {
  const busy = view.link === "asking";
  const link = (kind) => act({ do: "link", label: t(`link.kind.${kind}`) });
  return html`<main class="link">
    <${Notice} view=${view} />
    <div class="link-head"><span class="seal calm" aria-hidden="true"><${Icon} name="card" /></span>
      <div><${Heading}>${busy ? t("link.busy") : t("link.title")}<//><p>${t("link.text")}</p></div></div>
    <p class="link-yes" aria-hidden="true">${t("link.kind.label")}</p>
    <div class="choices four" role="group" aria-label=${t("link.kind.label")}>
      ${KINDS.map((kind) => html`<button key=${kind} class="choice kind" disabled=${busy} onClick=${() => link(kind)}><${Icon} name=${kind} /><span><span class="spoken">${t("link.yes")}: </span>${t(`link.kind.${kind}`)}</span></button>`)}
    </div>
    <div class="row end">
      <${Tools} view=${view} open=${open} />
      <span class="grow"></span>
      <button class="plain big-target" disabled=${busy} onClick=${() => act({ do: "back" })}>${t("link.no")}</button>
    </div>
  </main>`;
}

function Linked({ view, open }) {
  const { cards, cards_max: max } = view.linked ?? {};
  return html`<main class="link all-good">
    <div class="link-head"><span class="seal" aria-hidden="true"><${Icon} name="check" /></span>
      <div><${Heading}>${t("linked.title")}<//><p class="big">${t("linked.text")}</p>
      ${cards && max ? html`<p>${t("linked.count", { n: cards, max })}</p>` : ""}</div></div>
    <div class="row end">
      <${Tools} view=${view} open=${open} />
      <span class="grow"></span>
      <button class="primary" onClick=${() => act({ do: "back" })}>${t("linked.go")}</button>
    </div>
  </main>`;
}

export const LinkCard = ({ view, open }) => (view.link === "linked" ? html`<${Linked} key="linked" view=${view} open=${open} />` : html`<${Ask} key="ask" view=${view} open=${open} />`);

/** The card prints by itself unless somebody says stop: what, where, how long still. */
export function AutoRelease({ view }) {
  const printer = view.printers.find((one) => one.printer_id === view.printer_id) ?? view.printers[0];
  const stop = () => act({ do: "stop" });
  return html`<${Dialog} title=${t("auto.title", { n: view.chosen })} role="alertdialog" class="countdown auto" onClose=${stop} describedBy="auto-where">
    <p id="auto-where">${printer && t("auto.printer", { name: printer.name })}</p>
    <p class="seconds" aria-hidden="true">${view.auto_s}</p>
    <div class="row">
      <button class="danger stop grow" onClick=${stop}><${Icon} name="close" />${t("auto.stop")}</button>
      <button class="primary" onClick=${() => act({ do: "print" })}>${t("auto.now")}</button>
    </div>
  <//>`;
}

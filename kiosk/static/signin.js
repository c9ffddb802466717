// PIN + password (or the password after a card), with a keypad, a keyboard on the glass, and any real keyboard.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact-standalone.js";
import { t } from "./i18n.js";
import { act } from "./link.js";
import { Heading, Icon, Tools } from "./ui.js";
import { Keyboard, Keypad, insert, erase } from "./keys.js";
import { Notice } from "./notice.js";

const ARABIC_DIGITS = /[\u0660-\u0669\u06f0-\u06f9]/g;
const latin = (text) => text.replace(ARABIC_DIGITS, (digit) => String(digit.charCodeAt(0) & 15));

export function SignIn({ view, open }) {
  const cardOnly = view.screen === "card_password";
  const mailed = view.mailed && !cardOnly;
  const [active, setActive] = useState(cardOnly ? "password" : "pin");
  const [letters, setLetters] = useState(false);
  const [visible, setVisible] = useState(false);
  const fields = { pin: useRef(), password: useRef() };
  const busy = view.busy === "sign_in";
  const input = () => fields[active].current;

  useEffect(() => { input()?.focus({ preventScroll: true }); }, [active, letters]);
  useEffect(() => {
    if (view.notice?.kind !== "refusal") return;
    fields.password.current.value = "";
    if (!cardOnly) fields.pin.current.select();
    setActive(cardOnly ? "password" : "pin");
    if (!cardOnly) setLetters(false);
  }, [view.notice]);

  // At once, not after the next frame: a fast typist's next key is already on its way.
  const go = (name) => { setActive(name); fields[name].current?.focus({ preventScroll: true }); };
  const submit = (event) => {
    event?.preventDefault();
    if (busy) return;
    const pin = latin(fields.pin.current?.value ?? "").trim();
    const password = fields.password.current.value;
    if (!cardOnly && !pin) return go("pin");
    if (active === "pin" || !password) return go("password");
    act(mailed ? { do: "sign_in", pin, code: latin(password).trim() } : { do: "sign_in", pin, password });
  };
  const mail = () => {
    const pin = latin(fields.pin.current?.value ?? "").trim();
    if (!pin) return go("pin");
    fields.password.current.value = "";
    go("password");
    setLetters(false);
    act({ do: "mail_code", pin });
  };
  const field = (name, type, label) => html`<label class="field ${active === name ? "active" : ""}" hidden=${letters && active !== name}>
    <span>${label}</span>
    <input ref=${fields[name]} name=${name} type=${type} inputmode="none" autocomplete="off" autocapitalize="off" spellcheck=${false} maxlength="256" dir="ltr" aria-required="true" onFocus=${() => setActive(name)} />
  </label>`;
  const show = html`<button type="button" class="plain square" aria-pressed=${String(visible)} aria-label=${t("sign_in.show")} onClick=${() => setVisible(!visible)}><${Icon} name="eye" /></button>`;
  const ready = html`<button type="submit" class="primary grow" disabled=${busy}>${busy ? t("busy.sign_in") : active === "pin" && !cardOnly ? t("next") : t("sign_in.do")}</button>`;

  return html`<main class="sign-in ${letters ? "letters" : ""}">
    <form onSubmit=${submit} autocomplete="off">
      <div class="row head">
        <button type="button" class="plain square" aria-label=${t("back")} onClick=${() => act({ do: "back" })}><${Icon} name="back" /></button>
        <${Heading} class="grow" quiet=${true}>${cardOnly ? t("sign_in.card") : t("sign_in.title")}<//>
        ${mailed ? html`<p class="offer" role="status"><${Icon} name="info" /><span>${t("mail.sent")}</span></p>`
          : view.link === "offered" ? html`<p class="offer" role="status"><${Icon} name="card" /><span><b>${t("link.offer")}.</b> ${t("link.offer.text")}</span></p>`
          : html`<${Tools} view=${view} open=${open} />`}
      </div>
      <${Notice} view=${view} />
      <div class="fields">
        ${!cardOnly && field("pin", "text", t("pin"))}
        <div class="row tight" hidden=${letters && active !== "password"}>${field("password", visible || mailed ? "text" : "password", mailed ? t("mail.label") : t("password"))}${show}</div>
      </div>
      <div class="row submit ${view.terminal.mails_codes ? "tight" : ""}">${ready}${view.terminal.mails_codes && !cardOnly && html`<button type="button" class="plain mail" disabled=${view.busy === "code"} onClick=${mail}>${mailed ? t("mail.again") : t("mail.do")}</button>`}</div>
    </form>
    ${letters
      ? html`<${Keyboard} language=${view.language} onType=${(text) => insert(input(), text)} onErase=${() => erase(input())} onDigits=${() => setLetters(false)} onEnter=${submit} />`
      : html`<${Keypad} onType=${(text) => insert(input(), text)} onErase=${() => erase(input())} onLetters=${() => setLetters(true)} />`}
  </main>`;
}

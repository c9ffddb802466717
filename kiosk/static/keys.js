// Keys on the glass. They type into the focused field and never take its focus; a real keyboard needs none of them.

import { html, useState } from "./vendor/htm-preact-standalone.js";
import { t } from "./i18n.js";
import { Icon } from "./ui.js";

const ROWS = {
  en: ["qwertyuiop", "asdfghjkl", "zxcvbnm"],
  de: ["qwertzuiopü", "asdfghjklöä", "yxcvbnmß"],
  fr: ["azertyuiop", "qsdfghjklm", "wxcvbnéèç"],
  es: ["qwertyuiop", "asdfghjklñ", "zxcvbnm"],
  ar: ["ضصثقفغعهخح", "شسيبلاتنمك", "ئءؤرىةوزظط"],
};
const SIGNS = ["1234567890", "@#€$%&*-+=", "!?.,:;_/()"];
const MORE_SIGNS = ["[]{}<>|\\^~", "\"'`´°§£¥µ²", "äöüßñéèàçø"];

export function insert(input, text) {
  if (!input) return;
  input.focus({ preventScroll: true });
  const start = input.selectionStart ?? input.value.length;
  if (input.value.length - ((input.selectionEnd ?? start) - start) + text.length > input.maxLength) return;
  input.setRangeText(text, start, input.selectionEnd ?? start, "end");
}

export function erase(input) {
  if (!input) return;
  input.focus({ preventScroll: true });
  const end = input.selectionEnd;
  const start = input.selectionStart === end ? Math.max(0, end - 1) : input.selectionStart;
  input.setRangeText("", start, end, "end");
}

const hold = (event) => event.preventDefault();
const Key = ({ label, name, onPress, class: extra = "" }) => html`<button type="button" tabindex="-1" class="key ${extra}" aria-label=${name} onPointerDown=${hold} onMouseDown=${hold} onClick=${onPress}>${label}</button>`;

export function Keypad({ onType, onErase, onLetters }) {
  return html`<div class="keypad" role="group" aria-label=${t("keys.pad")} dir="ltr">
    ${[..."123456789"].map((digit) => html`<${Key} key=${digit} label=${digit} onPress=${() => onType(digit)} />`)}
    ${onLetters ? html`<${Key} label=${t("keys.letters")} name=${t("keys.letters.name")} class="side" onPress=${onLetters} />` : html`<span></span>`}
    <${Key} label="0" onPress=${() => onType("0")} />
    <${Key} label=${html`<${Icon} name="erase" />`} name=${t("keys.erase")} class="side" onPress=${onErase} />
  </div>`;
}

export function Keyboard({ language, onType, onErase, onDigits, onEnter }) {
  const [shift, setShift] = useState(false);
  const [layer, setLayer] = useState("letters");
  const [latin, setLatin] = useState(true);
  const letters = language === "ar" && !latin ? ROWS.ar : ROWS[language === "ar" ? "en" : language] ?? ROWS.en;
  const rows = layer === "letters" ? letters : layer === "signs" ? SIGNS : MORE_SIGNS;
  const press = (text) => { onType(shift && layer === "letters" ? upper(text, language) : text); setShift(false); };
  const key = (text) => html`<${Key} key=${text} label=${shift && layer === "letters" ? upper(text, language) : text} onPress=${() => press(text)} />`;
  return html`<div class="keyboard" role="group" aria-label=${t("keys.board")} dir="ltr">
    <div class="keys">${[...rows[0]].map(key)}</div>
    <div class="keys">${[...rows[1]].map(key)}</div>
    <div class="keys">
      ${layer === "letters"
        ? html`<${Key} label=${html`<${Icon} name="shift" />`} name=${t("keys.shift")} class="side ${shift ? "on" : ""}" onPress=${() => setShift(!shift)} />`
        : html`<${Key} label=${layer === "signs" ? "[{ä" : "1@?"} name=${t("keys.more")} class="side" onPress=${() => setLayer(layer === "signs" ? "more" : "signs")} />`}
      ${[...rows[2]].map(key)}
      <${Key} label=${html`<${Icon} name="erase" />`} name=${t("keys.erase")} class="side" onPress=${onErase} />
    </div>
    <div class="keys">
      <${Key} label=${layer === "letters" ? "?123" : t("keys.letters")} name=${layer === "letters" ? t("keys.signs") : t("keys.letters.name")} class="side wide" onPress=${() => setLayer(layer === "letters" ? "signs" : "letters")} />
      ${language === "ar" && html`<${Key} label=${latin ? "ع" : "ab"} name=${t("keys.script")} class="side" onPress=${() => setLatin(!latin)} />`}
      <${Key} label="@" onPress=${() => onType("@")} />
      <${Key} label=${t("keys.space")} class="space" onPress=${() => onType(" ")} />
      <${Key} label="." onPress=${() => onType(".")} />
      <${Key} label="123" name=${t("keys.pad")} class="side wide" onPress=${onDigits} />
      <${Key} label=${html`<${Icon} name="enter" />`} name=${t("next")} class="side wide go" onPress=${onEnter} />
    </div>
  </div>`;
}

const upper = (text, language) => (text === "ß" ? "ẞ" : text.toLocaleUpperCase(language));

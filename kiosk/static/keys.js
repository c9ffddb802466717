// Keys on the glass. They type into the focused field and never take its focus; a real keyboard needs none of them.

import { html, useState } from "./vendor/htm-preact-standalone.js";
import { t } from "./i18n.js";
import { Icon } from "./ui.js";

// Ten keys to a row and no more: on a 7 inch screen a key is then as wide as a fingertip. What a language has beyond its
// 26 letters is one touch away.
const ROWS = {
  en: ["qwertyuiop", "asdfghjkl", "zxcvbnm"],
  de: ["qwertzuiop", "asdfghjkl", "yxcvbnm"],
  fr: ["azertyuiop", "qsdfghjklm", "wxcvbn'"],
  es: ["qwertyuiop", "asdfghjklñ", "zxcvbnm"],
  ar: ["ضصثقفغعهخح", "شسيبلاتنمك", "طجدذرزظوةى"],
};
const OWN = {
  de: ["äöüß", "ÄÖÜẞ", "éèàç"],
  fr: ["éèêëàâçîïô", "ùûüœæÿ", "«»’"],
  es: ["áéíóúü", "ñç", "¿¡"],
  ar: ["أإآءؤئ", "٠١٢٣٤٥٦٧٨٩", "،؛؟"],
};
const SIGNS = ["1234567890", "@#€$%&*-+=", "!?,:;_/"];
const MORE_SIGNS = ["[]{}()<>|\\", "\"'`´°§£¥^~", "äöüßñéè"];

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
  const native = language === "ar" && latin ? "en" : language;
  const letters = ROWS[native] ?? ROWS.en;
  const rows = { letters, signs: SIGNS, more: MORE_SIGNS, own: OWN[native] }[layer] ?? letters;
  const capital = shift && layer !== "signs";
  const press = (text) => { onType(capital ? upper(text, language) : text); setShift(false); };
  const key = (text) => html`<${Key} key=${text} label=${capital ? upper(text, language) : text} onPress=${() => press(text)} />`;
  const toggle = (other) => setLayer(layer === other ? "letters" : other);
  const wide = [...rows[2]].length > 7;
  const eraser = html`<${Key} label=${html`<${Icon} name="erase" />`} name=${t("keys.erase")} class="side half" onPress=${onErase} />`;
  const left = layer === "signs" || layer === "more"
    ? html`<${Key} label=${layer === "signs" ? "[{ä" : "1@?"} name=${t("keys.more")} class="side half" onPress=${() => setLayer(layer === "signs" ? "more" : "signs")} />`
    : html`<${Key} label=${html`<${Icon} name="shift" />`} name=${t("keys.shift")} class="side half ${shift ? "on" : ""}" onPress=${() => setShift(!shift)} />`;
  const own = OWN[native] && html`<${Key} label=${[...OWN[native][0]].slice(0, 3).join("")} name=${t("keys.script")} class="side ${layer === "own" ? "on" : ""}" onPress=${() => toggle("own")} />`;
  return html`<div class="keyboard" role="group" aria-label=${t("keys.board")} dir="ltr">
    <div class="keys">${[...rows[0]].map(key)}</div>
    <div class="keys">${[...rows[1]].map(key)}</div>
    <div class="keys">${!wide && left}${[...rows[2]].map(key)}${!wide && eraser}</div>
    <div class="keys">
      <${Key} label=${layer === "signs" || layer === "more" ? t("keys.letters") : "?123"} name=${layer === "signs" || layer === "more" ? t("keys.letters.name") : t("keys.signs")} class="side half" onPress=${() => setLayer(layer === "signs" || layer === "more" ? "letters" : "signs")} />
      ${language === "ar" && html`<${Key} label=${latin ? "ع" : "ab"} name=${t("keys.script")} class="side" onPress=${() => { setLatin(!latin); setLayer("letters"); }} />`}
      ${own}
      ${!wide && html`<${Key} label="@" onPress=${() => onType("@")} />`}
      <${Key} label=${t("keys.space")} class="space" onPress=${() => onType(" ")} />
      ${wide ? eraser : html`<${Key} label="." onPress=${() => onType(".")} />`}
      <${Key} label="123" name=${t("keys.pad")} class="side half" onPress=${onDigits} />
      <${Key} label=${html`<${Icon} name="enter" />`} name=${t("next")} class="side half go" onPress=${onEnter} />
    </div>
  </div>`;
}

const upper = (text, language) => (text === "ß" ? "ẞ" : text.toLocaleUpperCase(language));

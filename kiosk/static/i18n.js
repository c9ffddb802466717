// Words, numbers, money and times in the person's language. Texts come from /texts/LANG.json; formats from Intl.

export const NAMES = { en: "English", de: "Deutsch", fr: "Français", es: "Español", ar: "العربية" };
const RTL = new Set(["ar", "he", "fa", "ur"]);
const loaded = new Map();
let language = "en";
let texts = {};

/** Make `code` the language of everything below; resolves once its texts are here. */
export async function speak(code) {
  if (!loaded.has(code)) {
    const answer = await fetch(`/texts/${code}.json`);
    if (!answer.ok) throw new Error(`no texts for ${code}`);
    loaded.set(code, await answer.json());
  }
  language = code;
  texts = loaded.get(code);
  document.documentElement.lang = code;
  document.documentElement.dir = RTL.has(code) ? "rtl" : "ltr";
  document.title = t("app.title");
}

export const has = (key) => key in texts;

/** The text of `key`; `{name}` is replaced, numbers are formatted, plural forms are chosen by `n`. */
export function t(key, values = {}) {
  let text = texts[key];
  if (text === undefined) return key;
  if (typeof text === "object") text = text[new Intl.PluralRules(language).select(values.n ?? 0)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

export const number = (value) => new Intl.NumberFormat(language).format(value);

/** `{"unit","amount","scale"}` as people read it; digits beyond the currency's own only where they matter. */
export function money(amount) {
  if (!amount) return "";
  const value = amount.amount / 10 ** amount.scale;
  if (amount.unit === "pages" || amount.unit === "colour_pages") return t(`unit.${amount.unit}`, { n: value });
  const plain = new Intl.NumberFormat(language, { style: "currency", currency: amount.unit });
  const digits = plain.resolvedOptions().maximumFractionDigits;
  const exact = amount.amount % 10 ** (amount.scale - digits) === 0;
  if (exact) return plain.format(value);
  const options = { style: "currency", currency: amount.unit, maximumFractionDigits: amount.scale };
  return new Intl.NumberFormat(language, options).format(value);
}

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** "5 minutes ago", "in 23 hours". */
export function relative(time) {
  const seconds = (Date.parse(time) - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(Math.trunc(seconds / 60), "minute");
}

/** "today at 7:30" as short as it can be said: the time, with the day when it is not today. */
export function moment(time) {
  const at = new Date(time);
  const today = new Date().toDateString() === at.toDateString();
  const day = today ? {} : { weekday: "long", ...(at - Date.now() > 6 * 86400e3 ? { day: "numeric", month: "long" } : {}) };
  return new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit", ...day }).format(at);
}

export const clock = () => new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" }).format(new Date());

/** A refusal's title and what to do next; a code without a text gets the general one. */
export function refusal(code, data = {}) {
  const key = has(`refusal.${code}`) ? code : "unknown";
  const { needed, available, total } = data;
  const values = {
    needed: money(needed), available: money(available), total: money(total), n: data.retry_after_s ?? 0, code,
  };
  return { title: t(`refusal.${key}`, values), next: t(`refusal.${key}.next`, values) };
}

/** Why a printer stands still, in words; the first reason somebody here can do something about. */
export function printerTrouble(reasons = []) {
  const known = reasons.map((reason) => reason.replace(/-(report|warning|error)$/, ""));
  const found = known.find((reason) => has(`printer.${reason}`));
  return found ? t(`printer.${found}`) : null;
}

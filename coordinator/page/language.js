// The page's language: which one it is, and its sentences.

import { foreign } from "./foreign.js";
import { remembered } from "./remembered.js";

const LOCALES = { en: "en-GB", zh: "zh-CN" };

export const language = (remembered("language") ?? navigator.language).toLowerCase().startsWith("zh") ? "zh" : "en";
export const locale = LOCALES[language];

const { default: strings } = await import(`./strings.${language}.js`);

/** The string under a key, with `values` in its {places}; several values for one place are listed there. */
export function t(key, values = {}) {
  return strings[key].replace(/\{(\w+)\}/g, (_, name) => filled(values[name]));
}

const filled = (value) => (Array.isArray(value) ? listed(value.map(foreign)) : foreign(value));

/** The same for values that are elements: the pieces in their order. */
export function parts(key, values) {
  return strings[key].split(/\{(\w+)\}/).map((piece, place) => (place % 2 ? values[piece] : piece));
}

/** The string for a word of the API's; a word that this page does not know is shown as it is. */
export const word = (group, value) => strings[`${group}.${value}`] ?? value;

/** Several names in one phrase. */
export const listed = (names) => new Intl.ListFormat(locale).format(names);

/** Fill in what index.html names. */
export function translate() {
  document.documentElement.lang = locale;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]"))
    node.setAttribute("aria-label", t(node.dataset.tLabel));
}

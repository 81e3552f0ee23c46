// Elements made from values. Text is always text: nothing that the site says can become markup.

import { straight } from "./foreign.js";

/** Make an element. `props` are attributes, `onclick` and its like listeners; null and false leave one out. */
export function el(name, props = {}, ...children) {
  return filled(document.createElement(name), props, children);
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an element of a drawing. */
export function svg(name, props = {}, ...children) {
  return filled(document.createElementNS(SVG, name), props, children);
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...wanted(children));
  return node;
}

const wanted = (children) =>
  children
    .flat(3)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "string" ? straight(child) : child));

/**
 * Put children in the place of an element's own. What looks the same is left alone, and whoever was on an element with
 * an id stays there, so that news does not take the keyboard away from anybody.
 */
export function put(target, ...children) {
  const next = target.cloneNode(false);
  next.append(...wanted(children));
  if (next.isEqualNode(target)) return;
  const held = target.contains(document.activeElement) ? document.activeElement.id : "";
  target.replaceChildren(...next.childNodes);
  if (held) target.querySelector(`#${CSS.escape(held)}`)?.focus({ preventScroll: true });
}

export const byId = (id) => document.getElementById(id);

/** A word for screen readers only. */
export const unseen = (text) => el("span", { class: "unseen" }, text);

/** A sentence of the server's, which is English whatever the page's language is. */
export const said = (text, name = "span") => el(name, { lang: "en" }, text);

// Dates, spans of time and numbers in the page's language.

import { now } from "./clock.js";
import { el } from "./dom.js";
import { locale, t } from "./language.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const DATE = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const DATE_AND_TIME = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const TIME = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });

const utc = (iso) => `${new Date(iso).toISOString().replace("T", " ").slice(0, 19)} UTC`;
const element = (form) => (iso) => el("time", { datetime: iso, title: utc(iso) }, form.format(new Date(iso)));

/** A moment in local time; in UTC when it is pointed at. */
export const when = element(DATE_AND_TIME);
export const day = element(DATE);
export const clockTime = element(TIME);

/** The same as plain text. */
export const dated = (iso) => DATE_AND_TIME.format(new Date(iso));

export const number = (value) => value.toLocaleString(locale);

const unit = (value, name) =>
  new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "long" }).format(value);

/** How long something lasts, as exactly as people need it. */
export function span(milliseconds) {
  const length = Math.max(0, milliseconds);
  if (length >= 2 * DAY) return unit(Math.floor(length / DAY), "day");
  if (length >= 2 * HOUR) return unit(Math.floor(length / HOUR), "hour");
  if (length >= 2 * MINUTE) return unit(Math.floor(length / MINUTE), "minute");
  return unit(Math.floor(length / SECOND), "second");
}

/** How long it is until a moment; negative when it has passed. */
export const until = (iso) => Date.parse(iso) - now();

/** What is left until a moment, in words. */
export const left = (iso) => (until(iso) > 0 ? t("time.left", { span: span(until(iso)) }) : t("time.over"));

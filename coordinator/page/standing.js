// What the licence's standing means, as words: are we licensed, until when, why, and what next. No elements.

import { listed, t, word } from "./language.js";

/** What a licence can be counted in. */
export const units = ["hosts", "cpuSockets", "cpuCores"];

/** The alerts that the server's banner can be about, the gravest first. */
const BANNERED = ["expired", "quota-exceeded", "buffer-ending", "expiring", "service-expiring"];
const GRAVE = new Set(["expired", "quota-exceeded"]);

/** The units in which more is used than the licence covers. */
const exceeded = ({ quota, usage }) =>
  units.filter((unit) => quota?.[unit] !== undefined && quota[unit] !== null && (usage?.[unit] ?? 0) > quota[unit]);

/** When the licence can no longer be used: its own end, or that of the buffer that stands in. */
export function usableUntil({ license, buffer }) {
  const ends = [license.expires, buffer?.expires].filter(Boolean);
  return ends.length ? ends.reduce((first, end) => (Date.parse(end) < Date.parse(first) ? end : first)) : null;
}

/** How grave it is: ok, warning or error. */
export function level(status) {
  if (status.license.status !== "Valid" || status.restricted) return "error";
  return status.alerts.length ? "warning" : "ok";
}

/** The alert that the banner's sentence, which names whom to contact, is about. */
export const bannerAlert = ({ alerts, banner }) => banner && BANNERED.find((alert) => alerts.includes(alert));

export const alertLevel = (alert) => (GRAVE.has(alert) ? "error" : "warning");

/** Why the licence stands as it does, from the data. */
export function why(status, now) {
  const { license, buffer, keyState } = status;
  const over = exceeded(status);
  if (license.name === null) return t("why.none");
  if (license.status !== "Valid") return t(...unusable(license, buffer, now));
  if (over.length) return t("why.quota", { units: listed(over.map((unit) => amount(unit, status))) });
  if (buffer) return t("why.buffer", { key: license.keyId });
  if (license.source !== "usb-key") return word("why", license.source);
  const unsettled = keyState === "Missing" || keyState === "Fault";
  return t(unsettled ? "why.unsettled" : "why.usb-key", { key: license.keyId });
}

const amount = (unit, { usage, quota }) =>
  t("why.amount", { unit: word("unit", unit), used: usage[unit], limit: quota[unit] });

function unusable({ expires, keyId }, buffer, now) {
  if (Date.parse(expires) <= now) return ["why.expired"];
  return [buffer ? "why.bufferOver" : "why.noBuffer", { key: keyId }];
}

/** What to do next, for the gravest thing there is. */
export function next(status, now) {
  if (status.license.name === null) return t("next.none");
  const gravest = [...BANNERED, ...status.alerts].find((alert) => status.alerts.includes(alert));
  return gravest ? step(gravest, status, now) : t("next.nothing");
}

/** What to do about an alert. Of those of the USB key it depends on the licence what there is to win. */
export function step(alert, { license }, now) {
  if (alert !== "key-missing" && alert !== "key-fault") return word("next", alert);
  if (license.source !== "usb-key") return t("next.key-unaffected");
  if (license.status === "Valid") return word("next", alert);
  return t(Date.parse(license.expires) <= now ? "next.expired" : "next.key-over");
}

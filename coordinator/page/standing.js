// What the licence's standing means, as words: are we licensed, until when, why, and what next. No elements.

import { serves, unseen } from "./keystate.js";
import { listed, t, word } from "./language.js";

/** What a licence can be counted in. */
export const units = ["hosts", "cpuSockets", "cpuCores"];

/** The alerts that the server's banner can be about, the gravest first. */
const BANNERED = ["expired", "quota-exceeded", "buffer-ending", "expiring", "service-expiring"];
const GRAVE = new Set(["expired", "quota-exceeded"]);
const OF_KEYS = new Set(["key-missing", "key-fault", "key-abnormal"]);

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
  return status.alerts.length || keyUnseen(status) ? "warning" : "ok";
}

/** Whether the key whose licence is in force was last seen in a node that does not report. */
const keyUnseen = ({ license, nodes }) => license.source === "usb-key" && unseen(license.keyId, nodes);

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
  const unsettled = keyState === "Missing" || keyState === "Fault" || !serves(status);
  if (!unsettled && keyUnseen(status)) return t("why.unseen", { key: license.keyId });
  return t(unsettled ? "why.unsettled" : "why.usb-key", { key: license.keyId });
}

/** The server's reasons without those that are told from the data: the first ones, of key, licence and quota. */
export function besides(status) {
  const ofQuota = status.usage === null ? 1 : exceeded(status).length;
  return status.reasons.slice(2 + ofQuota);
}

const amount = (unit, { usage, quota }) =>
  t("why.amount", { unit: word("unit", unit), used: usage[unit], limit: quota[unit] });

function unusable({ expires, keyId }, buffer, now) {
  if (Date.parse(expires) <= now) return ["why.expired"];
  return [buffer ? "why.bufferOver" : "why.noBuffer", { key: keyId }];
}

/** What to do next, for the gravest thing there is, and about nodes that do not report. */
export function next(status, now) {
  if (status.license.name === null) return t("next.none");
  const gravest = [...BANNERED, ...status.alerts].find((alert) => status.alerts.includes(alert));
  const steps = [gravest && step(gravest, status, now), silence(status)].filter(Boolean);
  return steps.join(" ") || t("next.nothing");
}

function silence(status) {
  const silent = status.nodes.filter((node) => !node.reachable);
  if (!silent.length) return "";
  const told = { nodes: silent.map((node) => node.name), key: status.license.keyId };
  return t(keyUnseen(status) ? "next.key-unseen" : "next.node-silent", told);
}

/** What to do about an alert. Of those of the USB key it depends on the licence what there is to win. */
export function step(alert, status, now) {
  const { license } = status;
  if (!OF_KEYS.has(alert) || (alert === "key-abnormal" && serves(status))) return word("next", alert);
  if (license.source !== "usb-key") return t("next.key-unaffected");
  if (license.status === "Valid") return alert === "key-abnormal" ? t("next.key-out") : word("next", alert);
  return t(Date.parse(license.expires) <= now ? "next.expired" : "next.key-over");
}

// The state of the USB key explained from what is inserted where. No elements.

import { t } from "./language.js";

const LEVELS = { None: "info", Ready: "ok", Missing: "warning", Abnormal: "warning", Fault: "error" };
const MANY = 2;

const keysIn = (nodes) => nodes.flatMap((node) => node.ukeys);
const idsOf = (nodes) => [...new Set(keysIn(nodes).map((key) => key.keyId))];
const namesOf = (nodes) => nodes.map((node) => node.name);
const holdersOf = (nodes) => nodes.filter((node) => node.ukeys.length);
const silentOf = (nodes) => nodes.filter((node) => !node.reachable);
const works = (key) => key.reading === "ok" || key.reading === "pending"; // as it did before, until it is read

/** Whether no node that has a key reports, so that nobody knows whether it is still there. */
export function unseen(keyId, nodes) {
  const holders = nodes.filter((node) => node.ukeys.some((key) => key.keyId === keyId));
  return holders.length > 0 && silentOf(holders).length === holders.length;
}

/** Whether the key whose licence is in force is inserted and works. */
export const serves = ({ license, nodes }) =>
  keysIn(nodes).some((key) => key.keyId === license.keyId && works(key));

/** How grave it is: ok, info, warning, error or unknown. */
export function levelOf(status) {
  const holders = holdersOf(status.nodes);
  if (status.keyState === "Abnormal" && (noneWorks(holders) || replaced(status))) return "error";
  if (status.keyState === "Ready" && silentOf(holders).length) return "warning";
  return LEVELS[status.keyState] ?? "unknown";
}

/** A few sentences: what there is, what to do about it, and what nobody sees. */
export function explain(status) {
  const holders = holdersOf(status.nodes);
  const silent = silentOf(status.nodes);
  if (status.keyState === "Ready" && silentOf(holders).length)
    return t("keyState.lastSeen", { keys: idsOf(holders), nodes: namesOf(holders) });
  const unknown = silent.length ? ` ${t("keyState.silent", { nodes: namesOf(silent) })}` : "";
  return found(status, holders) + unknown;
}

function found(status, holders) {
  const { keyState, nodes, license } = status;
  const waiting = keysIn(nodes).filter((key) => key.reading === "pending");
  if (waiting.length) return t("keyState.reading", { keys: waiting.map((key) => key.keyId) });
  const told = { keys: idsOf(holders), nodes: namesOf(holders), key: license.keyId ?? "" };
  if (keyState === "Missing") return t(license.keyId ? "keyState.missingKey" : "keyState.missing", told);
  if (keyState === "Fault") return fault(holders, told);
  if (keyState === "Abnormal") return abnormal(status, holders, told);
  return t(keyState === "Ready" ? "keyState.ready" : "keyState.none", told);
}

function fault(holders, told) {
  const crowded = holders.filter((node) => node.ukeys.length >= MANY);
  if (crowded.length >= MANY) return t("keyState.faultBoth", told);
  if (crowded.length)
    return t("keyState.faultOne", { node: namesOf(crowded), count: crowded[0].ukeys.length, keys: idsOf(crowded) });
  return holders.length ? t("keyState.faultBroken", told) : t("keyState.missing", told);
}

function abnormal(status, holders, told) {
  if (noneWorks(holders)) return t("keyState.abnormalBroken", told);
  if (replaced(status)) return t("keyState.abnormalOut", told);
  return t(cloned(holders) ? "keyState.clone" : "keyState.abnormal", told);
}

const noneWorks = (holders) => !keysIn(holders).some(works);

/** Whether the licence in force is that of a key which is not in service, although others are inserted. */
const replaced = (status) => status.license.source === "usb-key" && !serves(status);

const cloned = (holders) =>
  holders.length === 2 && holders[0].ukeys.some((key) => holders[1].ukeys.some((other) => other.keyId === key.keyId));

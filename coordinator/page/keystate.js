// The state of the USB key explained from what is inserted where. No elements.

import { listed, t } from "./language.js";

const LEVELS = { None: "info", Ready: "ok", Missing: "warning", Abnormal: "warning", Fault: "error" };
const MANY = 2;

export const levelOf = (state) => LEVELS[state] ?? "unknown";

const idsOf = (nodes) => listed([...new Set(nodes.flatMap((node) => node.ukeys.map((key) => key.keyId)))]);
const namesOf = (nodes) => listed(nodes.map((node) => node.name));

/** One or two sentences: what there is, and what to do about it. */
export function explain({ keyState, nodes, license }) {
  const holders = nodes.filter((node) => node.ukeys.length);
  const waiting = nodes.flatMap((node) => node.ukeys.filter((key) => key.reading === "pending"));
  if (waiting.length) return t("keyState.reading", { keys: listed(waiting.map((key) => key.keyId)) });
  const told = { keys: idsOf(holders), nodes: namesOf(holders), key: license.keyId ?? "" };
  if (keyState === "Missing") return t(license.keyId ? "keyState.missingKey" : "keyState.missing", told);
  if (keyState === "Fault") return fault(holders, told);
  if (keyState === "Abnormal") return t(cloned(holders) ? "keyState.clone" : "keyState.abnormal", told);
  return t(keyState === "Ready" ? "keyState.ready" : "keyState.none", told);
}

function fault(holders, told) {
  const crowded = holders.filter((node) => node.ukeys.length >= MANY);
  if (crowded.length >= MANY) return t("keyState.faultBoth", told);
  if (crowded.length)
    return t("keyState.faultOne", { node: namesOf(crowded), count: crowded[0].ukeys.length, keys: idsOf(crowded) });
  return holders.length ? t("keyState.faultBroken", told) : t("keyState.missing", told);
}

const cloned = (holders) =>
  holders.length === 2 && holders[0].ukeys.some((key) => holders[1].ukeys.some((other) => other.keyId === key.keyId));

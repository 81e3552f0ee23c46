// The nodes side by side: what is inserted in each, who leads, who holds the virtual IP, who is stale.

import { copyButton } from "./copying.js";
import { byId, el, put, said } from "./dom.js";
import { clockTime, when } from "./format.js";
import { icon } from "./icons.js";
import { explain, levelOf } from "./keystate.js";
import { parts, t, word } from "./language.js";
import { leading } from "./news.js";
import { previewRemoval } from "./removal.js";
import { status } from "./site.js";

const READINGS = { ok: "ok", pending: "info", faulty: "error", "not-genuine": "error", duplicate: "error" };
const SEEN = { live: "ok", stale: "warning", unknown: "unknown" };

/** Keep the nodes up to date. */
export function showKeys() {
  status.watch((answer) => {
    put(byId("key-state"), state(answer));
    put(
      byId("nodes"),
      answer.nodes.map((node) => card(node, answer)),
    );
  });
}

function state(answer) {
  return [
    el(
      "div",
      { class: `verdict small ${levelOf(answer)}` },
      icon(levelOf(answer)),
      el(
        "div",
        {},
        el("h3", {}, t("keys.state", { state: word("keyState", answer.keyState) })),
        el("p", {}, explain(answer)),
      ),
    ),
    answer.vipState &&
      answer.vipState !== "held" &&
      el("p", { class: "vip" }, icon("warning"), t(`vip.${answer.vipState}`)),
    !answer.leader && el("p", { class: "vip" }, icon("warning"), t("keys.noLeader")),
  ];
}

function card(node, answer) {
  const leads = answer.leader?.managementNodeUuid === node.managementNodeUuid;
  const heading = `node-${node.managementNodeUuid}`;
  return el(
    "article",
    { class: "card node", "aria-labelledby": heading },
    el(
      "header",
      {},
      el("h3", { id: heading }, t("keys.node", { name: node.name })),
      el(
        "p",
        { class: `tag ${SEEN[node.visibility]}` },
        icon(SEEN[node.visibility]),
        word("visibility", node.visibility),
      ),
    ),
    el(
      "ul",
      { class: "roles" },
      leads &&
        el(
          "li",
          { class: "tag accent" },
          leading.since ? parts("keys.leadsSince", { time: clockTime(leading.since) }) : t("keys.leads"),
        ),
      node.vip && el("li", { class: "tag accent" }, t("keys.vip")),
      node.drained && el("li", { class: "tag warning" }, icon("warning"), t("keys.drained")),
    ),
    node.problem && el("p", { class: "small" }, said(node.problem)),
    keysOf(node, answer),
    el(
      "p",
      { class: "muted small" },
      node.reportedAt ? parts("keys.reported", { date: when(node.reportedAt) }) : t("keys.neverReported"),
    ),
    node.abandonedReaders > 0 && el("p", { class: "small" }, t("keys.stuck", { count: node.abandonedReaders })),
    differ(answer.nodes) && el("p", { class: "small" }, versionOf(node)),
  );
}

function differ(nodes) {
  return new Set(nodes.map((node) => node.version)).size > 1;
}

function versionOf(node) {
  return node.version ? t("keys.version", { version: node.version }) : t("keys.noVersion");
}

function keysOf(node, answer) {
  if (!node.ukeys.length) {
    return el("p", { class: "empty" }, t(node.visibility === "unknown" ? "keys.notKnown" : "keys.empty"));
  }
  return el(
    "ul",
    { class: "inserted" },
    node.ukeys.map((key, place) => inserted(key, node, answer, place)),
  );
}

function inserted(key, node, { license }, place) {
  const shape = READINGS[key.reading] ?? "unknown";
  const id = `${node.managementNodeUuid}-${place}`;
  return el(
    "li",
    {},
    el(
      "p",
      { class: "key-name" },
      icon("key"),
      el("code", {}, key.keyId),
      el("span", { class: `tag ${shape}` }, icon(shape), word("reading", key.reading)),
      license.keyId === key.keyId && el("span", { class: "tag accent" }, t("keys.inForce")),
      key.assurance &&
        el("span", { class: "tag", title: t(`assurance.${key.assurance}.text`) }, word("assurance", key.assurance)),
    ),
    key.reason && el("p", { class: "small" }, said(key.reason)),
    el(
      "p",
      { class: "buttons" },
      copyButton(`copy-${id}`, key.keyId, t("copy.short"), t("copy.ofKey", { key: key.keyId })),
      el(
        "button",
        {
          id: `preview-${id}`,
          type: "button",
          "aria-label": t("removal.ofKey", { key: key.keyId }),
          onclick: () => previewRemoval(key.keyId, `preview-${id}`),
        },
        t("removal.button"),
      ),
    ),
  );
}

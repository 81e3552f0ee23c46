// The buffer: removals and the buffers they gave, what is left, and what a removal now would give.

import { read } from "./api.js";
import { everySecond } from "./clock.js";
import { byId, el, put } from "./dom.js";
import { left, when } from "./format.js";
import { parts, t } from "./language.js";
import { note, problem } from "./orders.js";
import { foretell, summary } from "./removal.js";
import { status } from "./site.js";
import { timeline } from "./timeline.js";

let known = null;
let trouble = null;
let foretold = null;

/** Keep it up to date. */
export function showBuffer() {
  status.watch((after, before) => {
    if (!before || after.index !== before.index || after.stale !== before.stale) ask(after);
    show();
  });
  everySecond(show);
}

async function ask(answer) {
  try {
    known = (await read("/licenses/removals")).inventories;
    trouble = null;
  } catch (error) {
    trouble = error;
  }
  foretold = await outlook(answer);
  show();
}

/** What the removal of the key in force would give; nothing where that cannot be told. */
async function outlook({ license, nodes }) {
  const inserted = nodes.flatMap((node) => node.ukeys.map((key) => key.keyId));
  const keyId = inserted.includes(license.keyId) ? license.keyId : inserted[0];
  try {
    return keyId ? await foretell(keyId) : null;
  } catch {
    return null;
  }
}

function show() {
  if (status.value === null) return;
  put(
    byId("buffer-body"),
    now(status.value),
    foretold && outlookNote(),
    trouble && problem(trouble),
    known && history(),
  );
}

function now({ buffer, license }) {
  if (!buffer) return el("p", {}, t("buffer.none"));
  const over = Date.parse(buffer.expires) <= Date.parse(status.value.asOf);
  const level = over || license.status !== "Valid" ? "error" : "warning";
  return note(
    level,
    el(
      "p",
      {},
      parts(over ? "buffer.over" : "buffer.runs", { date: when(buffer.expires) }),
      " ",
      el("strong", {}, left(buffer.expires)),
    ),
  );
}

const outlookNote = () =>
  el("p", {}, el("strong", {}, t("buffer.now", { key: foretold.keyId })), " ", summary(foretold));

function history() {
  if (!known.length) return el("p", { class: "muted" }, t("buffer.noHistory"));
  return [timeline(known), table()];
}

function table() {
  const names = ["key", "node", "removed", "state", "until", "uncapped"];
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("buffer.table") },
    el(
      "table",
      {},
      el("caption", { class: "unseen" }, t("buffer.table")),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          names.map((name) => el("th", { scope: "col" }, t(`buffer.${name}`))),
        ),
      ),
      el("tbody", {}, known.map(row)),
    ),
  );
}

function row(key) {
  const node = status.value.nodes.find((one) => one.managementNodeUuid === key.node);
  const date = (iso) => (iso ? when(iso) : "–");
  const standing = key.outSince
    ? parts("buffer.outSince", { date: when(key.outSince) })
    : t(key.inUse ? "buffer.inUse" : "buffer.inService");
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("code", {}, key.keyId)),
    el("td", {}, node?.name ?? "–"),
    el("td", {}, date(key.lastRemoval)),
    el("td", {}, standing),
    el(
      "td",
      {},
      date(key.bufferExpires),
      key.inUse && key.outSince && key.bufferExpires && ` · ${left(key.bufferExpires)}`,
    ),
    el("td", {}, date(key.bufferUncapped)),
  );
}

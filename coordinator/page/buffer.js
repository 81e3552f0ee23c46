// The buffer: removals and the buffers they gave, what is left, and what a removal now would give.

import { read } from "./api.js";
import { everyMinute, everySecond } from "./clock.js";
import { byId, el, put } from "./dom.js";
import { left, until, when } from "./format.js";
import { parts, t, word } from "./language.js";
import { note, problem } from "./orders.js";
import { foretell, summary } from "./removal.js";
import { status } from "./site.js";
import { timeline } from "./timeline.js";

let known = null;
let trouble = null;
let foretold = null;
let latest = 0; // only the newest question is answered on the page

/** Keep it up to date. */
export function showBuffer() {
  status.watch((after, before) => {
    if (!before || after.index !== before.index || after.stale !== before.stale) ask();
    show();
  });
  everySecond(show);
  everyMinute(ask); // what a removal would give depends on when it happens
}

async function ask() {
  if (status.value === null) return;
  const mine = (latest += 1);
  const [removals, forecast] = await Promise.allSettled([read("/licenses/removals"), outlook(status.value)]);
  if (mine !== latest) return;
  trouble = removals.reason ?? null;
  known = removals.value?.inventories ?? known;
  foretold = forecast.value ?? null;
  show();
}

/** What the removal of the key in force would give; nothing where that cannot be told. */
async function outlook({ license, nodes }) {
  const inserted = nodes.flatMap((node) => node.ukeys.map((key) => key.keyId));
  const keyId = inserted.includes(license.keyId) ? license.keyId : inserted[0];
  return keyId ? foretell(keyId) : null;
}

function show() {
  if (status.value === null) return;
  put(
    byId("buffer-body"),
    present(status.value),
    foretold && outlookNote(),
    trouble && problem(trouble),
    known && history(),
  );
}

function present({ buffer, license }) {
  if (!buffer) return el("p", {}, t("buffer.none"));
  const over = until(buffer.expires) <= 0;
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
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("code", {}, key.keyId)),
    el("td", {}, node?.name ?? "–"),
    el("td", {}, date(key.lastRemoval)),
    el("td", {}, standing(key)),
    el(
      "td",
      {},
      date(key.bufferExpires),
      key.inUse && key.outSince && key.bufferExpires && ` · ${left(key.bufferExpires)}`,
    ),
    el("td", {}, date(key.bufferUncapped)),
  );
}

/** What becomes of a key: what is remembered of it, and whether it is inserted now. */
function standing({ keyId, outSince, inUse }) {
  if (outSince) return parts("buffer.outSince", { date: when(outSince) });
  const inserted = status.value.nodes.flatMap((node) => node.ukeys).filter((key) => key.keyId === keyId);
  if (!inserted.length) return t("buffer.notInserted");
  if (!inserted.some((key) => key.reading === "ok")) return word("reading", inserted[0].reading);
  return t(inUse ? "buffer.inUse" : "buffer.inService");
}

// What pulling out a USB key now would bring, as the site itself foretells it.

import { query, read } from "./api.js";
import { byId, el, put, said } from "./dom.js";
import { span, when } from "./format.js";
import { listed, parts, t, word } from "./language.js";
import { note, problem } from "./orders.js";
import { status } from "./site.js";

/** Ask the site what the removal of a key would bring. */
export const foretell = async (keyId) => (await read(`/licenses/ukeys/removal${query({ keyId })}`)).removal;

let shown = null;

/** Show it for a key below the nodes. */
export async function previewRemoval(keyId) {
  shown = keyId;
  const place = byId("removal");
  place.hidden = false;
  put(place, heading(keyId), el("p", { class: "muted" }, t("removal.asking")));
  await refresh();
  byId("removal-title")?.focus();
}

/** Follow the site while a preview is shown: it is about now. */
export function showRemoval() {
  status.watch((after, before) => {
    if (shown !== null && before && after.index !== before.index) refresh();
  });
}

async function refresh() {
  const keyId = shown;
  let body;
  try {
    body = outlook(await foretell(keyId));
  } catch (error) {
    body = problem(error);
  }
  if (shown === keyId) put(byId("removal"), heading(keyId), body, close());
}

const heading = (keyId) => el("h3", { id: "removal-title", tabindex: "-1" }, t("removal.title", { key: keyId }));

function close() {
  const leave = () => {
    shown = null;
    byId("removal").hidden = true;
  };
  return el(
    "p",
    { class: "buttons" },
    el("button", { id: "close-removal", type: "button", onclick: leave }, t("removal.close")),
  );
}

function outlook(removal) {
  const valid = removal.license.status === "Valid";
  return [
    note(
      valid ? (removal.buffer ? "warning" : "ok") : "error",
      el("p", {}, el("strong", {}, summary(removal))),
      said(removal.reason, "p"),
    ),
    el(
      "dl",
      { class: "facts" },
      fact(t("removal.keyState"), word("keyState", removal.keyState)),
      fact(
        t("removal.licence"),
        `${removal.license.name ?? t("licence.none")} · ${word("validity", removal.license.status)}`,
      ),
      fact(t("removal.buffer"), removal.buffer ? when(removal.buffer.expires) : t("removal.noBuffer")),
      removal.afterBuffer && fact(t("removal.after"), after(removal.afterBuffer)),
      fact(t("removal.settled"), when(removal.settled)),
      removal.alerts.length > 0 && fact(t("alerts.title"), listed(removal.alerts.map((alert) => word("alert", alert)))),
    ),
  ];
}

const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

const after = ({ name, status: validity }) =>
  validity === "Valid" ? t("removal.afterValid", { name }) : t("removal.afterNothing");

/** Whether nobody would see the key go, because no node that has it reports. */
function unseen(keyId) {
  const holders = status.value.nodes.filter((node) => node.ukeys.some((key) => key.keyId === keyId));
  return holders.length > 0 && !holders.some((node) => node.reachable);
}

/** The whole of it in one sentence. */
export function summary({ at, keyId, license, buffer }) {
  if (unseen(keyId)) return t("removal.unseen");
  if (license.status !== "Valid") return t("removal.unusable");
  if (!buffer) return t("removal.unaffected");
  return parts("removal.buffered", {
    date: when(buffer.expires),
    span: span(Date.parse(buffer.expires) - Date.parse(at)),
  });
}

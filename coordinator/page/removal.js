// What pulling out a USB key now would bring, as the site itself foretells it.

import { query, read } from "./api.js";
import { everyMinute } from "./clock.js";
import { byId, el, put, said } from "./dom.js";
import { span, when } from "./format.js";
import { unseen } from "./keystate.js";
import { listed, parts, t, word } from "./language.js";
import { note, problem } from "./orders.js";
import { status } from "./site.js";

/** Ask the site what the removal of a key would bring. */
export const foretell = async (keyId) => (await read(`/licenses/ukeys/removal${query({ keyId })}`)).removal;

let shown = null;
let latest = 0; // only the newest question is answered on the page
let askedBy = ""; // the id of the button, to which the keyboard goes back

/** Show it for a key below the nodes; `button` is the id of what was pressed. */
export async function previewRemoval(keyId, button) {
  shown = keyId;
  askedBy = button;
  const place = byId("removal");
  place.hidden = false;
  put(place, heading(keyId), el("p", { class: "muted" }, t("removal.asking")));
  await refresh();
  byId("removal-title")?.focus();
}

/** Follow the site while a preview is shown: it is about now. */
export function showRemoval() {
  status.watch((after, before) => {
    if (before && after.index !== before.index) refresh();
  });
  everyMinute(refresh);
}

async function refresh() {
  if (shown === null) return;
  const keyId = shown;
  const mine = (latest += 1);
  let body;
  try {
    body = outlook(await foretell(keyId));
  } catch (error) {
    body = problem(error);
  }
  if (shown === keyId && mine === latest) put(byId("removal"), heading(keyId), body, close());
}

const heading = (keyId) => el("h3", { id: "removal-title", tabindex: "-1" }, t("removal.title", { key: keyId }));

function close() {
  const leave = () => {
    shown = null;
    byId("removal").hidden = true;
    (byId(askedBy) ?? byId("keys-title")).focus(); // the key may have gone, and its button with it
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
      fact(t("removal.licence"), `${called(removal.license.name)} · ${word("validity", removal.license.status)}`),
      fact(t("removal.buffer"), removal.buffer ? when(removal.buffer.expires) : t("removal.noBuffer")),
      removal.afterBuffer && fact(t("removal.after"), after(removal.afterBuffer)),
      fact(t("removal.settled"), when(removal.settled)),
      removal.alerts.length > 0 && fact(t("alerts.title"), listed(removal.alerts.map((alert) => word("alert", alert)))),
    ),
  ];
}

const called = (name) => (name === null ? t("licence.none") : word("item", name));

const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

const after = ({ name, status: validity }) =>
  validity === "Valid" ? t("removal.afterValid", { name: word("item", name) }) : t("removal.afterNothing");

/** The whole of it in one sentence. */
export function summary({ at, keyId, license, buffer }) {
  if (unseen(keyId, status.value.nodes)) return t("removal.unseen");
  if (license.status !== "Valid") return t("removal.unusable");
  if (!buffer) return t("removal.unaffected");
  return parts("removal.buffered", {
    date: when(buffer.expires),
    span: span(Date.parse(buffer.expires) - Date.parse(at)),
  });
}

// What can be done beside an upload: synchronise, request code, copy the USB key's ID.

import { call, send } from "./api.js";
import { copyButton } from "./copying.js";
import { byId, el, put, said } from "./dom.js";
import { t } from "./language.js";
import { note, outcomeOf, problem } from "./orders.js";
import { save } from "./saving.js";
import { mayChange, status, watchRights } from "./site.js";

const FILE_NAME = "twinkey-request-code.txt";

let result = null;
let busy = false;

/** Offer what this session allows. */
export function showActions() {
  watchRights(build);
  status.watch(offerCopy);
}

function build() {
  result = el("div", { role: "status", "aria-label": t("actions.result") });
  put(
    byId("actions"),
    el("h3", {}, t("actions.title")),
    el(
      "p",
      { class: "buttons" },
      mayChange() && button("synchronise", t("actions.synchronise"), synchronise),
      button("request-code", t("actions.requestCode"), download),
      mayChange() && button("new-request-code", t("actions.newRequestCode"), renew),
      el("span", { id: "copy-place" }),
    ),
    result,
    el("p", { class: "muted small" }, t(mayChange() ? "actions.text" : "actions.readOnly")),
  );
  offerCopy(status.value);
}

function button(id, label, act) {
  const run = async () => {
    if (busy) return;
    busy = true;
    try {
      await act();
    } catch (error) {
      put(result, problem(error));
    }
    busy = false;
  };
  return el("button", { id, type: "button", onclick: run }, label);
}

function offerCopy(answer) {
  const inserted = answer?.nodes.flatMap((node) => node.ukeys.map((key) => key.keyId)) ?? [];
  const keyId = answer?.license.keyId ?? inserted[0];
  const place = byId("copy-place");
  if (!place || place.dataset.key === (keyId ?? "")) return;
  place.dataset.key = keyId ?? "";
  put(place, keyId && copyButton("copy-key", keyId, t("actions.copyKey")));
}

async function synchronise() {
  working(t("actions.synchronising"));
  const response = await send("PUT", "/licenses/actions", { reloadLicense: {} });
  const done = await outcomeOf(response, () => working(t("orders.waiting")));
  const heading = t(done.changed ? "actions.synchronised" : "actions.nothingNew");
  put(
    result,
    note(
      done.warnings.length ? "warning" : "ok",
      el("p", {}, el("strong", {}, heading), " ", said(done.text)),
      done.warnings.map((text) => said(text, "p")),
    ),
  );
}

const working = (text) => put(result, el("p", {}, text), el("progress", { "aria-label": text }));

async function download() {
  const response = await call("GET", "/licenses/request-code", { headers: { Accept: "text/plain" } });
  save(await response.blob(), FILE_NAME);
  put(result, note("ok", el("p", {}, t("actions.requestCodeSaved", { file: FILE_NAME }))));
}

async function renew() {
  working(t("actions.renewing"));
  const response = await call("POST", "/licenses/request-code", { headers: { Accept: "text/plain" } });
  if (response.status === 202) await outcomeOf(response);
  put(result, note("ok", el("p", {}, t("actions.renewed"))));
}

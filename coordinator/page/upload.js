// Uploading a licence: drop or choose a file, see what it would do, apply it.
//
// Nothing is applied that was not shown: where the site has changed since the dry run, the file is checked once more,
// and only if that says the same as before it is applied at once.

import { Refused, call } from "./api.js";
import { byId, el, put, said } from "./dom.js";
import { number, when } from "./format.js";
import { icon } from "./icons.js";
import { t, word } from "./language.js";
import { note, outcomeOf, problem } from "./orders.js";
import { status, watchRights } from "./site.js";

const LARGEST = 784 * 1024; // what the site reads at most

let file = null;
let checked = null; // what the dry run said, and the site at that time: {answer, before, index}
let busy = false;
let result = null;

/** Offer the upload to those who may. */
export function showUpload() {
  build();
  watchRights((may) => (byId("upload").hidden = !may));
  status.watch(warnOfChange);
  // a browser opens a file that is dropped beside the zone
  for (const event of ["dragover", "drop"]) addEventListener(event, (drag) => drag.preventDefault());
}

function build() {
  result = el("div", { id: "upload-result", role: "status", "aria-label": t("upload.result") });
  const input = el("input", { id: "upload-file", type: "file", class: "unseen" });
  const zone = el(
    "div",
    { class: "drop" },
    el("p", {}, t("upload.drop")),
    input,
    el("label", { for: "upload-file", class: "button primary" }, t("upload.choose")),
    el("p", { class: "muted small" }, t("upload.kinds")),
  );
  input.addEventListener("change", () => {
    take(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  zone.addEventListener("dragover", () => zone.classList.add("over"));
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    zone.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  put(byId("upload"), el("h3", {}, t("upload.title")), zone, result);
}

function take(given) {
  if (!given || busy) return;
  file = given;
  checked = null;
  if (given.size > LARGEST) {
    const size = {
      description: t("upload.tooLarge", { size: number(Math.ceil(given.size / 1024)) }),
      hint: t("upload.tooLarge.hint"),
      ours: true,
    };
    put(result, problem(size, el("p", {}, t("upload.unchanged"))));
    return;
  }
  working(t("upload.checking", { file: given.name }), async () => {
    checked = await check();
    preview();
  });
}

async function working(text, act) {
  busy = true;
  put(result, el("p", {}, text), el("progress", { "aria-label": text }));
  try {
    await act();
  } catch (error) {
    put(result, problem(error, error.code !== "unreachable" && el("p", {}, t("upload.unchanged")), again()));
  }
  busy = false;
}

const again = () =>
  checked &&
  el("p", { class: "buttons" }, el("button", { type: "button", onclick: () => preview() }, t("upload.back")));

const post = (path) => call("POST", path, { body: file, headers: { "Content-Type": "application/octet-stream" } });

/** Let the site say what the file would do now. */
async function check() {
  const { index, license: before } = status.value;
  try {
    return { index, before, answer: await (await post("/licenses/inspect")).json() };
  } catch (error) {
    if (!(error instanceof Refused) || ![400, 409, 413, 422].includes(error.http)) throw error;
    const outcome = { http: error.http, code: error.code, text: error.description, hint: error.hint };
    return { index, before, answer: { accepted: false, outcome } };
  }
}

const same = (one, other) =>
  JSON.stringify([one.before, one.answer.accepted, one.answer.outcome, one.answer.license, one.answer.restricted]) ===
  JSON.stringify([
    other.before,
    other.answer.accepted,
    other.answer.outcome,
    other.answer.license,
    other.answer.restricted,
  ]);

async function apply() {
  if (busy) return;
  await working(t("upload.applying", { file: file.name }), async () => {
    const moved = status.value.index !== checked.index;
    if (moved) {
      const before = checked;
      checked = await check();
      if (!same(before, checked)) {
        preview(note("warning", el("p", {}, el("strong", {}, t("upload.changedMeanwhile")))));
        return;
      }
    }
    const done = await outcomeOf(await post("/licenses"), () => put(result, el("p", {}, t("orders.waiting"))));
    checked = null;
    put(result, finished(done, moved));
  });
}

const finished = (done, moved) =>
  note(
    done.warnings.length ? "warning" : "ok",
    el("p", {}, el("strong", {}, t(done.changed ? "upload.installed" : "upload.already")), " ", said(done.text)),
    done.warnings.map((text) => said(text, "p")),
    done.hint && said(done.hint, "p"),
    moved && el("p", {}, t("upload.checkedAgain")),
  );

/** Say at once that the licence in force is another one by now; what is shown stays until it is applied. */
function warnOfChange(answer) {
  const place = byId("upload-news");
  if (!place || !checked) return;
  const changed = JSON.stringify(answer.license) !== JSON.stringify(checked.before);
  put(place, changed && note("warning", el("p", {}, t("upload.siteChanged"))));
}

function preview(notice = null) {
  const { answer, before } = checked;
  put(
    result,
    notice,
    el("h4", {}, t("upload.preview", { file: file.name })),
    el("div", { id: "upload-news" }),
    answer.accepted ? accepted(answer, before) : refused(answer.outcome),
    el(
      "p",
      { class: "buttons" },
      answer.accepted &&
        el("button", { id: "apply", type: "button", class: "primary", onclick: apply }, t("upload.apply")),
      el("button", { id: "discard", type: "button", onclick: discard }, t("upload.discard")),
    ),
  );
}

function discard() {
  file = checked = null;
  put(result);
  byId("upload-file").focus();
}

const refused = (outcome) => problem({ ...outcome, description: outcome.text }, el("p", {}, t("upload.unchanged")));

function accepted({ outcome, license, restricted }, before) {
  const over = restricted && license.status === "Valid";
  const stays = outcome.changed && JSON.stringify(license) === JSON.stringify(before);
  return [
    note(
      outcome.warnings.length || restricted ? "warning" : "ok",
      el(
        "p",
        {},
        el("strong", {}, t(outcome.changed ? "upload.wouldInstall" : "upload.already")),
        stays && [" ", t("upload.stays")],
      ),
      outcome.warnings.map((text) => said(text, "p")),
      over && el("p", {}, t("upload.wouldRestrict")),
    ),
    comparison(before, license),
  ];
}

function comparison(before, after) {
  const rows = ["name", "status", "edition", "source", "keyId", "issued", "expires", "serviceExpires"];
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("upload.comparison") },
    el(
      "table",
      { class: "comparison" },
      el("caption", { class: "unseen" }, t("upload.comparison")),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["upload.what", "upload.now", "upload.after"].map((key) => el("th", { scope: "col" }, t(key))),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((name) => row(name, before[name], after[name])),
      ),
    ),
  );
}

function row(name, before, after) {
  const differs = before !== after;
  return el(
    "tr",
    { class: differs ? "differs" : "" },
    el("th", { scope: "row" }, t(`licence.${name}`)),
    el("td", {}, shown(name, before)),
    el("td", {}, shown(name, after), differs && el("span", { class: "tag info" }, icon("info"), t("upload.changes"))),
  );
}

function shown(name, value) {
  if (value === null || value === undefined) return "–";
  if (["issued", "expires", "serviceExpires"].includes(name)) return when(value);
  const groups = { status: "validity", edition: "edition", source: "source" };
  return name in groups ? word(groups[name], value) : value;
}

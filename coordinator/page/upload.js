// Uploading a licence: drop or choose a file, see what it would do, apply it.
//
// Nothing is applied that was not shown: before it is applied the file is always checked once more, and only if that
// says the same as before it is applied at once. What this page last heard of the site does not count for either.

import { Refused, call, json, read } from "./api.js";
import { byId, el, put, said } from "./dom.js";
import { number, when } from "./format.js";
import { icon } from "./icons.js";
import { t, word } from "./language.js";
import { tell } from "./news.js";
import { note, outcomeOf, problem, wasRefused } from "./orders.js";
import { status, watchRights } from "./site.js";
import { units } from "./standing.js";

const LARGEST = 784 * 1024; // what the site reads at most
const PATIENCE = 120_000; // as much may take a while on a slow line
const HEADING = "upload-heading"; // where the keyboard stays while the result changes

let file = null;
let checked = null; // what the dry run said, and the site at that time: {answer, before, index}
let busy = false;
let ordered = false; // whether the site has been asked to install it
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
  // it is too long to be read out whenever it changes: what matters of it is told as news
  result = el("div", { id: "upload-result", role: "status", "aria-live": "off", "aria-label": t("upload.result") });
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
    failed(size, t("upload.unchanged"));
    return;
  }
  look();
}

const look = () =>
  working(t("upload.checking", { file: file.name }), async () => {
    checked = await check();
    preview();
  });

async function working(text, act) {
  if (busy) return;
  busy = true;
  ordered = false;
  const here = result.contains(document.activeElement);
  put(result, heading(text), el("progress", { "aria-label": text }));
  if (here) byId(HEADING).focus();
  tell([text]);
  try {
    await act();
  } catch (error) {
    failed(error, t(ordered && !wasRefused(error) ? "upload.unknown" : "upload.unchanged"));
  }
  busy = false;
}

const heading = (text) => el("h4", { id: HEADING, tabindex: "-1" }, text);

function failed(error, sentence) {
  put(result, heading(t("upload.outcome", { file: file.name })), problem(error, el("p", {}, sentence), again()));
  tell([error.ours ? error.description : said(error.description ?? String(error)), sentence]);
}

const again = () =>
  checked && el("p", { class: "buttons" }, el("button", { type: "button", onclick: look }, t("upload.back")));

const post = (path) =>
  call("POST", path, { body: file, headers: { "Content-Type": "application/octet-stream" }, patience: PATIENCE });

/** Let the site say what the file would do now, and what is in force. */
async function check() {
  const { index, license: before } = await read("/status");
  try {
    return { index, before, answer: await json(await post("/licenses/inspect")) };
  } catch (error) {
    if (!(error instanceof Refused) || ![400, 409, 413, 422].includes(error.http)) throw error;
    const outcome = { http: error.http, code: error.code, text: error.description, hint: error.hint };
    return { index, before, answer: { accepted: false, outcome } };
  }
}

/** All that a check says of the file, without when it was said. */
const gist = ({ before, answer: { accepted, outcome, license, restricted, quota, after } }) =>
  JSON.stringify([before, accepted, outcome, license, restricted, quota, after]);

const apply = () =>
  working(t("upload.applying", { file: file.name }), async () => {
    const before = checked;
    checked = await check();
    if (gist(before) !== gist(checked)) {
      preview(t("upload.changedMeanwhile"));
      return;
    }
    ordered = true;
    const done = await outcomeOf(await post("/licenses"), () => put(result, heading(t("orders.waiting"))));
    put(result, heading(t("upload.outcome", { file: file.name })), finished(done, before.index !== checked.index));
    tell([finding(done), said(done.text)]);
    checked = null;
  });

const finding = ({ changed }) => t(changed ? "upload.installed" : "upload.already");

const finished = (done, moved) =>
  note(
    done.warnings.length ? "warning" : "ok",
    el("p", {}, el("strong", {}, finding(done)), " ", said(done.text)),
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

function preview(notice = "") {
  const { answer, before } = checked;
  put(
    result,
    heading(t("upload.preview", { file: file.name })),
    notice && note("warning", el("p", {}, el("strong", {}, notice))),
    el("div", { id: "upload-news", role: "status" }),
    answer.accepted ? accepted(answer, before) : refused(answer.outcome),
    el(
      "p",
      { class: "buttons" },
      answer.accepted &&
        el("button", { id: "apply", type: "button", class: "primary", onclick: apply }, t("upload.apply")),
      el("button", { id: "discard", type: "button", onclick: discard }, t("upload.discard")),
    ),
  );
  tell([notice, answer.accepted ? promise(answer) : said(answer.outcome.text)]);
}

function discard() {
  file = checked = null;
  put(result);
  byId("upload-file").focus();
}

const promise = ({ outcome }) => t(outcome.changed ? "upload.wouldInstall" : "upload.already");

const refused = (outcome) => problem({ ...outcome, description: outcome.text }, el("p", {}, t("upload.unchanged")));

function accepted(answer, before) {
  const { outcome, license, restricted } = answer;
  const over = restricted && license.status === "Valid";
  const stays = outcome.changed && JSON.stringify(license) === JSON.stringify(before);
  return [
    note(
      outcome.warnings.length || restricted ? "warning" : "ok",
      el("p", {}, el("strong", {}, promise(answer)), stays && [" ", t("upload.stays")]),
      outcome.warnings.map((text) => said(text, "p")),
      over && el("p", {}, t("upload.wouldRestrict")),
    ),
    comparison(before, answer),
  ];
}

function comparison(before, { license, quota, after }) {
  const names = ["name", "status", "edition", "source", "keyId", "issued", "expires", "serviceExpires"];
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
        names.map((name) => row(t(`licence.${name}`), shown(name, before[name]), shown(name, license[name]))),
        units.map((unit) => row(word("unit", unit), limit(unit, quota), limit(unit, after.quota))),
      ),
    ),
  );
}

function row(name, before, after) {
  const now = el("td", {}, before);
  const then = el("td", {}, after);
  const differs = !now.isEqualNode(then);
  if (differs) then.append(el("span", { class: "tag info" }, icon("info"), t("upload.changes")));
  return el("tr", { class: differs ? "differs" : "" }, el("th", { scope: "row" }, name), now, then);
}

/** How much of a unit is licensed; without a licence nothing is. */
function limit(unit, quota) {
  if (quota === null) return "–";
  return quota[unit] === undefined || quota[unit] === null ? t("usage.unlimited") : number(quota[unit]);
}

function shown(name, value) {
  if (value === null || value === undefined) return "–";
  if (["issued", "expires", "serviceExpires"].includes(name)) return when(value);
  const groups = { name: "item", status: "validity", edition: "edition", source: "source" };
  return name in groups ? word(groups[name], value) : value;
}

// The licence in force: valid or not, until when, why, what next, and its particulars.

import { everySecond, now } from "./clock.js";
import { byId, el, put, said } from "./dom.js";
import { DAY, day, left, span, until, when } from "./format.js";
import { icon } from "./icons.js";
import { parts, t, word } from "./language.js";
import { doubtful, following, link, status } from "./site.js";
import { besides, level, next, usableUntil, why } from "./standing.js";

/** Keep it up to date; the countdowns go on by themselves. */
export function showLicence() {
  link.watch(show);
  status.watch(show);
  everySecond(show);
}

function show() {
  const answer = status.value;
  if (answer === null) {
    put(byId("standing"), el("p", { class: "muted" }, t("licence.waiting")));
    return;
  }
  const valid = answer.license.status === "Valid";
  const title = valid && answer.restricted ? t("licence.restricted") : word("validity", answer.license.status);
  document.title = [doubtful() && t(`connection.${following()}`), title, t("page.title")].filter(Boolean).join(" · ");
  put(
    byId("standing"),
    el(
      "div",
      { class: `verdict ${level(answer)}` },
      icon(level(answer)),
      el(
        "div",
        {},
        el("h3", {}, title, doubtful() && el("span", { class: "tag warning" }, t("licence.asOfThen"))),
        end(answer, valid),
      ),
    ),
    el(
      "dl",
      { class: "reasons" },
      el("dt", {}, t("licence.why")),
      el(
        "dd",
        {},
        why(answer, now()),
        !answer.stale && besides(answer).map((reason) => el("p", { class: "small" }, said(reason))),
      ),
      el("dt", {}, t("licence.next")),
      el("dd", {}, next(answer, now())),
    ),
    el("div", { class: "terms" }, terms(answer)),
    facts(answer),
  );
}

function end(answer, valid) {
  const at = usableUntil(answer);
  const over = at !== null && until(at) <= 0;
  if (at === null || !(valid || over)) return null; // it cannot be used although its term is not over
  const key = answer.buffer ? "licence.bufferUntil" : "licence.until";
  return el(
    "p",
    { class: "end" },
    parts(over ? "licence.since" : key, { date: when(at) }),
    valid && ` · ${left(at)}`,
  );
}

function terms({ license, buffer }) {
  const found = [];
  if (license.expires) found.push(term(t("term.licence"), license.issued, license.expires, 15));
  if (buffer) found.push(term(t("term.buffer"), null, buffer.expires, 7));
  if (license.serviceExpires) found.push(term(t("term.service"), license.issued, license.serviceExpires, 30));
  else if (license.name)
    found.push(
      el("div", { class: "term" }, el("p", {}, t("term.service")), el("p", { class: "muted" }, t("term.noService"))),
    );
  return found;
}

/** A countdown; `soon` is the number of days from which on it is worth a warning. */
function term(title, from, to, soon) {
  const rest = until(to);
  const state = rest <= 0 ? "error" : rest <= soon * DAY ? "warning" : "ok";
  return el(
    "div",
    { class: `term ${state}` },
    el("p", {}, title),
    el("p", { class: "count" }, rest > 0 ? span(rest) : t("time.over")),
    from && rest > 0 && track(from, to),
    el("p", { class: "muted small" }, parts(rest > 0 ? "term.until" : "term.ended", { date: day(to) })),
  );
}

function track(from, to) {
  const share = Math.min(1, Math.max(0, until(to) / (Date.parse(to) - Date.parse(from))));
  return el("progress", { max: "1", value: share.toFixed(3), "aria-hidden": "true", class: "track" });
}

function facts(answer) {
  const { license } = answer;
  if (license.name === null) return null;
  const rows = [
    [t("fact.licensee"), word("item", license.name)],
    [t("fact.edition"), word("edition", license.edition)],
    [t("fact.source"), word("source", license.source)],
    [t("fact.key"), license.keyId && el("code", {}, license.keyId)],
    [t("fact.issued"), license.issued && when(license.issued)],
    [t("fact.expires"), when(license.expires)],
  ];
  return el(
    "dl",
    { class: "facts" },
    rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    !answer.startAllowed &&
      el("div", { class: "wide" }, el("dt", {}, t("fact.start")), el("dd", {}, t("fact.noStart"))),
  );
}

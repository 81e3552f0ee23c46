// A banner for every alert, the gravest first. The sentence that names whom to contact is the server's own.

import { everySecond, now } from "./clock.js";
import { byId, el, put, said, unseen } from "./dom.js";
import { dated, span, until } from "./format.js";
import { icon } from "./icons.js";
import { t, word } from "./language.js";
import { status } from "./site.js";
import { alertLevel, bannerAlert, step } from "./standing.js";

/** Keep the banners up to date; what is left until a date goes on by itself. */
export function showAlerts() {
  status.watch(show);
  everySecond(show);
}

function show() {
  const answer = status.value;
  if (answer === null) return;
  const grave = (alert) => (alertLevel(alert) === "error" ? 0 : 1);
  const alerts = [...answer.alerts].sort((one, other) => grave(one) - grave(other));
  byId("alerts").hidden = alerts.length === 0;
  put(
    byId("alert-list"),
    alerts.map((alert) => banner(alert, answer)),
  );
}

function banner(alert, answer) {
  const grade = alertLevel(alert);
  const theirs = alert === bannerAlert(answer);
  return el(
    "li",
    { class: `note ${grade}` },
    icon(grade),
    el(
      "div",
      {},
      el("p", {}, unseen(t(`level.${grade}`)), el("strong", {}, word("alert", alert)), date(alert, answer)),
      el("p", {}, theirs ? said(answer.banner.text) : step(alert, answer, now())),
    ),
  );
}

function date(alert, { license, buffer }) {
  const ends = {
    expiring: license.expires,
    "service-expiring": license.serviceExpires,
    "buffer-ending": buffer?.expires,
  }[alert];
  return ends ? t("alert.when", { date: dated(ends), span: span(until(ends)) }) : "";
}

// Whether what is shown is the newest: in a word at the top, and in full where it may not be.

import { everySecond, now } from "./clock.js";
import { byId, el, put, said } from "./dom.js";
import { clockTime, span } from "./format.js";
import { icon } from "./icons.js";
import { parts, t } from "./language.js";
import { doubtful, following, fresh, link, status } from "./site.js";

const SHAPES = {
  connecting: "info",
  live: "ok",
  stale: "warning",
  lost: "warning",
  paused: "info",
  ended: "warning",
  refused: "error",
};

let before = []; // what was said while the answer was fresh: the rest says why it no longer is

/** Keep both up to date. */
export function showConnection() {
  link.watch(show);
  status.watch((answer) => {
    if (!answer.stale) before = answer.reasons;
    show();
  });
  everySecond(count);
}

function show() {
  const state = following();
  put(byId("connection"), icon(SHAPES[state]), t(`connection.${state}`));
  put(byId("freshness"), doubtful() && doubt(state));
  count();
}

function doubt(state) {
  const lost = state === "lost";
  const { error } = link.value;
  return el(
    "div",
    { class: "note warning" },
    icon("warning"),
    el(
      "div",
      {},
      el("p", {}, el("strong", {}, t(`freshness.${state}`)), " ", el("span", { id: "age" })),
      lost && el("p", {}, t("freshness.trying"), " ", otherNode()),
      error && !error.ours && said(`${error.description} ${error.hint}`, "p"),
      state === "stale" && [
        el("p", {}, t("freshness.holds")),
        status.value.reasons.filter((reason) => !before.includes(reason)).map((reason) => said(reason, "p")),
      ],
    ),
  );
}

function otherNode() {
  const names = (status.value?.nodes ?? []).map((node) => node.name);
  return names.length > 1 ? t("freshness.elsewhere", { nodes: names }) : "";
}

/** The age is counted beside the live regions, or a screen reader would read it out every second. */
function count() {
  const place = byId("age");
  if (!place || fresh.at === null) return;
  const age = Date.now() - fresh.at;
  put(place, parts("freshness.age", { age: span(age), time: clockTime(new Date(now() - age).toISOString()) }));
}

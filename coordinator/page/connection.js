// Whether what is shown is the newest: in a word at the top, and in full where it may not be.

import { everySecond, now } from "./clock.js";
import { byId, el, put, said } from "./dom.js";
import { clockTime, span } from "./format.js";
import { icon } from "./icons.js";
import { listed, parts, t } from "./language.js";
import { doubtful, fresh, link, status } from "./site.js";

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
  const state = link.value.state === "live" && status.value?.stale ? "stale" : link.value.state;
  const shapes = { live: "ok", connecting: "info", stale: "warning", lost: "warning" };
  put(byId("connection"), icon(shapes[state]), t(`connection.${state}`));
  put(byId("freshness"), doubtful() && doubt(state));
  count();
}

function doubt(state) {
  const lost = state === "lost";
  return el(
    "div",
    { class: "note warning" },
    icon("warning"),
    el(
      "div",
      {},
      el("p", {}, el("strong", {}, t(`freshness.${state}`)), " ", el("span", { id: "age" })),
      lost ? el("p", {}, t("freshness.trying"), " ", otherNode()) : el("p", {}, t("freshness.holds")),
      lost &&
        link.value.error &&
        !link.value.error.ours &&
        said(`${link.value.error.description} ${link.value.error.hint}`, "p"),
      !lost && status.value.reasons.filter((reason) => !before.includes(reason)).map((reason) => said(reason, "p")),
    ),
  );
}

function otherNode() {
  const names = (status.value?.nodes ?? []).map((node) => node.name);
  return names.length > 1 ? t("freshness.elsewhere", { nodes: listed(names) }) : "";
}

/** The age is counted beside the live regions, or a screen reader would read it out every second. */
function count() {
  const place = byId("age");
  if (!place || fresh.at === null) return;
  const at = clockTime(new Date(fresh.at).toISOString());
  put(place, parts("freshness.age", { age: span(now() - fresh.at), time: at }));
}

// What is used of what is licensed, as bars with their numbers.

import { byId, el, put } from "./dom.js";
import { number, when } from "./format.js";
import { icon } from "./icons.js";
import { parts, t, word } from "./language.js";
import { note } from "./orders.js";
import { status } from "./site.js";
import { units } from "./standing.js";

/** Keep the bars up to date. */
export function showUsage() {
  status.watch((answer) => put(byId("usage"), bars(answer), report(answer.usage)));
}

function bars({ quota, usage, license }) {
  if (license.name === null) return el("p", { class: "muted" }, t("usage.noLicence"));
  return el(
    "ul",
    { class: "bars" },
    units.map((unit) => bar(unit, quota?.[unit] ?? null, usage?.[unit] ?? null)),
  );
}

function bar(unit, limit, used) {
  const name = word("unit", unit);
  const text = share(limit, used);
  const over = limit !== null && used !== null && used > limit;
  return el(
    "li",
    { class: over ? "over" : "" },
    el("span", { class: "bar-name" }, name),
    el(
      "span",
      { class: "bar-text" },
      over && icon("error"),
      text,
      over && el("strong", {}, ` · ${t("usage.over", { count: number(used - limit) })}`),
    ),
    limit !== null && used !== null && gauge(name, text, limit, used),
  );
}

function share(limit, used) {
  if (limit === null) return used === null ? t("usage.unlimited") : t("usage.ofUnlimited", { used: number(used) });
  return t(used === null ? "usage.unknownOf" : "usage.of", { used: number(used ?? 0), limit: number(limit) });
}

function gauge(name, text, limit, used) {
  const most = Math.max(limit, used, 1);
  const filled = el("span", { class: "filled" });
  filled.style.inlineSize = `${(100 * Math.min(used, limit)) / most}%`;
  const beyond = el("span", { class: "beyond" });
  beyond.style.inlineSize = `${(100 * Math.max(0, used - limit)) / most}%`;
  return el(
    "div",
    {
      class: "gauge",
      role: "meter",
      "aria-label": name,
      "aria-valuemin": "0",
      "aria-valuemax": String(most),
      "aria-valuenow": String(used),
      "aria-valuetext": text,
    },
    filled,
    beyond,
  );
}

function report(usage) {
  if (usage === null) return note("unknown", el("p", {}, t("usage.never")));
  if (usage.stale) return note("warning", el("p", {}, parts("usage.stale", { date: when(usage.reportedAt) })));
  return el("p", { class: "muted small" }, parts("usage.reported", { date: when(usage.reportedAt) }));
}

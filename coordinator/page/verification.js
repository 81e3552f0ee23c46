// Whether the licensing record is as it was written; asked for, because the site reads every record for it.

import { read } from "./api.js";
import { el, put, said } from "./dom.js";
import { number, when } from "./format.js";
import { parts, t } from "./language.js";
import { note, problem } from "./orders.js";

const LONG = 300_000; // milliseconds for the whole of a long record

/** The button and its result. */
export function verification() {
  const result = el("div", { role: "status", "aria-label": t("verify.result") });
  const button = el("button", { id: "verify", type: "button" }, t("verify.button"));
  button.addEventListener("click", async () => {
    put(result, el("p", {}, t("verify.running")), el("progress", { "aria-label": t("verify.running") }));
    try {
      put(result, verdict(await read("/licenses/records/verification", { patience: LONG })));
    } catch (error) {
      put(result, problem(error));
    }
  });
  return el("div", { class: "verify" }, el("p", { class: "buttons" }, button), result);
}

function verdict({ intact, count, number: first, why, missing = [] }) {
  const lost = missing.map((gap) =>
    el("p", {}, parts("verify.missing", { first: number(gap.first), last: number(gap.last), date: when(gap.at) })),
  );
  if (intact)
    return note(lost.length ? "warning" : "ok", el("p", {}, t("verify.intact", { count: number(count) })), lost);
  return note(
    "error",
    el("p", {}, el("strong", {}, t("verify.altered", { number: number(first) })), " ", said(why)),
    el("p", {}, t("verify.next")),
    lost,
  );
}

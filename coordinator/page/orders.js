// Changes: waiting for what became of one, and showing that or why it was refused.

import { call } from "./api.js";
import { el, said, unseen } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";

const ACCEPTED = 202;
const AGAIN = 1000;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait until an order that was given has an outcome, and return that; `waits` is called once when it takes longer. */
export async function outcomeOf(response, waits) {
  if (response.status !== ACCEPTED) return response.json();
  const { id } = await response.json();
  waits?.();
  for (;;) {
    await pause(AGAIN);
    const answer = await call("GET", `/licenses/uploads/${encodeURIComponent(id)}`);
    if (answer.status === ACCEPTED) continue;
    const { outcome } = await answer.json();
    if (outcome.code) throw Object.assign(new Error(outcome.text), { ...outcome, description: outcome.text });
    return outcome;
  }
}

/** A refusal for people: why, the code, and what to do next. */
export function problem(error, ...more) {
  const tell = error.ours ? (text) => el("span", {}, text) : said;
  return el(
    "div",
    { class: "note error" },
    icon("error"),
    el(
      "div",
      {},
      el("p", {}, unseen(t("level.error")), tell(error.description ?? String(error)), " ", code(error)),
      error.details && el("p", { class: "small" }, said(error.details)),
      error.hint && el("p", {}, el("strong", {}, t("next.label")), " ", tell(error.hint)),
      more,
    ),
  );
}

const code = ({ code: word, http }) => (word ? el("code", { class: "code" }, http ? `${http} ${word}` : word) : null);

/** Something that went well, or that one should know. */
export const note = (level, ...content) => el("div", { class: `note ${level}` }, icon(level), el("div", {}, content));

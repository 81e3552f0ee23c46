// Changes: waiting for what became of one, and showing that or why it was refused.

import { Refused, call, json } from "./api.js";
import { el, said, unseen } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./language.js";

const ACCEPTED = 202;
const AGAIN = 1000;
const TOO_MANY = 429;
const SERVER_ERRORS = 500;
const REFUSALS = [400, 401, 403, 409, 413, 422, TOO_MANY]; // what is answered with one of these is not carried out

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Wait until an order that was given has an outcome, and return that; `waits` is called once when it takes longer.
 * While the node cannot be asked the order may be carried out all the same, so it is asked until it can say.
 */
export async function outcomeOf(response, waits) {
  if (response.status !== ACCEPTED) return json(response);
  const { id } = await json(response);
  waits?.();
  for (;;) {
    await pause(AGAIN);
    const answer = await asked(id);
    if (answer === null || answer.status === ACCEPTED) continue;
    const { outcome } = await json(answer);
    if (outcome.code) throw new Refused(outcome.http, { ...outcome, description: outcome.text });
    return outcome;
  }
}

/** What the node says of an order; null while it cannot say anything. */
async function asked(id) {
  try {
    return await call("GET", `/licenses/uploads/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!error.http || error.http === TOO_MANY || error.http >= SERVER_ERRORS) return null;
    throw Object.assign(error, { accepted: true });
  }
}

/** Whether an order was refused, so that it has changed nothing and never will; after any other error nobody knows. */
export const wasRefused = (error) =>
  error instanceof Refused && REFUSALS.includes(error.http) && !error.accepted;

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

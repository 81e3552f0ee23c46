// Calls of the coordinator that served this page: every refusal in one shape, and a session that ended is renewed.

import { told } from "./clock.js";
import { t } from "./language.js";
import { session } from "./site.js";

const PREFIX = "/v1";
const UNAUTHORISED = 401;
const PATIENCE = 30_000; // an order waits at the node for a leader, which takes a third of that

/** A refusal: its code, why, and what to do next. */
export class Refused extends Error {
  constructor(http, { code, description, hint, details = "" }, ours = false) {
    super(description);
    Object.assign(this, { http, code, description, hint, details, ours });
  }
}

/** A refusal in the page's own words. */
const refusal = (http, code) =>
  new Refused(http, { code, description: t(`error.${code}`), hint: t(`error.${code}.hint`) }, true);

let signInAgain = null;

/** Name who asks for the token when a session has ended; returns a promise. */
export const whenSessionEnds = (ask) => (signInAgain = ask);

/** The address of something that the browser loads by itself. */
export const address = (path) => PREFIX + path;

/**
 * Make a call and return the response when all of it is there, within `patience` milliseconds; with a `signal` of one's
 * own it is returned as soon as it begins. Where the session has ended it waits until somebody has signed in and makes
 * the call again, but does not make a change in the name of somebody else.
 */
export async function call(method, path, { ask = true, ...options } = {}) {
  const asking = session.value?.name;
  const response = await attempt(method, path, options);
  if (response.ok) return response;
  if (response.status !== UNAUTHORISED || !ask) throw await refusedBy(response);
  await signInAgain();
  if (method !== "GET" && asking !== session.value.name) throw refusal(UNAUTHORISED, "somebody-else");
  return call(method, path, options);
}

async function attempt(method, path, { body = null, headers = {}, signal = null, patience = PATIENCE }) {
  try {
    const options = { method, body, headers, signal: signal ?? AbortSignal.timeout(patience) };
    const response = await fetch(address(path), options);
    told(response.headers.get("Twinkey-Time"));
    return signal ? response : await whole(response);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw refusal(0, error.name === "TimeoutError" ? "slow" : "unreachable");
  }
}

/** The response with all of its body, so that one that breaks off is noticed here. */
async function whole(response) {
  const body = await response.blob();
  const { status, headers } = response;
  return new Response(body.size ? body : null, { status, headers });
}

async function refusedBy(response) {
  try {
    return new Refused(response.status, (await response.json()).error);
  } catch {
    return refusal(response.status, "odd-answer");
  }
}

/** What a response says in JSON. */
export async function json(response) {
  try {
    return await response.json();
  } catch {
    throw refusal(response.status, "odd-answer");
  }
}

/** Read a JSON answer. */
export const read = async (path, options) =>
  json(await call("GET", path, { headers: { Accept: "application/json" }, ...options }));

/** Send JSON and return the response. */
export const send = (method, path, value, options) =>
  call(method, path, { body: JSON.stringify(value), headers: { "Content-Type": "application/json" }, ...options });

/** Query parameters, without those that are empty. */
export function query(values) {
  const found = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return found.length ? `?${new URLSearchParams(found)}` : "";
}

// Calls of the coordinator that served this page: every refusal in one shape, and a session that ended is renewed.

import { heard } from "./clock.js";
import { t } from "./language.js";
import { session } from "./site.js";

const PREFIX = "/v1";
const UNAUTHORISED = 401;

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
 * Make a call and return the response. Where the session has ended it waits until somebody has signed in and makes the
 * call again, but does not make a change in the name of somebody else.
 */
export async function call(method, path, { body = null, headers = {}, signal = null, ask = true } = {}) {
  const asking = session.value?.name;
  const response = await attempt(method, path, { body, headers, signal });
  if (response.ok) return response;
  if (response.status !== UNAUTHORISED || !ask) throw await refusedBy(response);
  await signInAgain();
  if (method !== "GET" && asking !== session.value.name) throw refusal(UNAUTHORISED, "somebody-else");
  return call(method, path, { body, headers, signal });
}

async function attempt(method, path, options) {
  try {
    const response = await fetch(address(path), { method, ...options });
    heard(response);
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw refusal(0, "unreachable");
  }
}

async function refusedBy(response) {
  try {
    return new Refused(response.status, (await response.json()).error);
  } catch {
    return refusal(response.status, "odd-answer");
  }
}

/** Read a JSON answer. */
export async function read(path, options) {
  return (await call("GET", path, { headers: { Accept: "application/json" }, ...options })).json();
}

/** Send JSON and return the response. */
export const send = (method, path, value, options) =>
  call(method, path, { body: JSON.stringify(value), headers: { "Content-Type": "application/json" }, ...options });

/** Query parameters, without those that are empty. */
export function query(values) {
  const found = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return found.length ? `?${new URLSearchParams(found)}` : "";
}

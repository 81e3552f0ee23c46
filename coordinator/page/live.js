// The event stream: read for as long as somebody may look at the page, and taken up again whenever it breaks.
//
// It is read with fetch and not with EventSource, which tells neither that the session has ended nor that the node has
// fallen silent.

import { Refused, call } from "./api.js";
import { everySecond, told } from "./clock.js";
import { askForToken } from "./session.js";
import { fresh, link, status } from "./site.js";

const SILENCE = 12_000; // the node says every 5 s that it is still there
const REST = 30_000; // a browser has six connections to a node for all its tabs, and this one is wanted elsewhere
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const PATIENCE = 1500; // a stream that is taken up again at once is not worth a word
const UNAUTHORISED = 401;
const FORBIDDEN = 403;

let stream = null; // what ends the stream that is being read
let heardAt = 0; // when its last byte came, by the clock of this machine: its timers stand still while it sleeps
let hiddenSince = null;

/** Follow the site until the page is closed. */
export async function follow() {
  let wait = FIRST_WAIT;
  everySecond(look);
  for (;;) {
    await seen();
    try {
      await once(() => (wait = FIRST_WAIT));
      broken(null);
    } catch (error) {
      if (unseen()) continue;
      if (error.http === UNAUTHORISED) {
        become("ended");
        await askForToken();
        continue;
      }
      broken(error instanceof Refused ? error : null);
    }
    await pause(wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

/** End a stream that has fallen silent, and say so at once; or one of a page that nobody has looked at for a while. */
function look() {
  if (!document.hidden) hiddenSince = null;
  else hiddenSince ??= Date.now();
  if (stream === null) return;
  if (unseen()) stream.abort();
  else if (Math.abs(Date.now() - heardAt) > SILENCE) {
    become("lost");
    stream.abort();
  }
}

const unseen = () => hiddenSince !== null && Date.now() - hiddenSince > REST;

/** Wait until somebody may look at the page again, if nobody has for a while. */
async function seen() {
  while (unseen()) {
    become("paused");
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

let complaint = 0;

function become(state, error = null) {
  clearTimeout(complaint);
  complaint = 0;
  if (link.value.state !== state || link.value.error !== error) link.set({ state, error });
}

function broken(error) {
  if (error?.http === FORBIDDEN) become("refused", error);
  else if (link.value.state === "lost") become("lost", error);
  else complaint ||= setTimeout(() => become("lost", error), PATIENCE);
}

/** Wait a while, or until the browser says that the network is back. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      removeEventListener("online", go);
      resolve();
    };
    const timer = setTimeout(go, milliseconds);
    addEventListener("online", go);
  });
}

let last = "";

async function once(connected) {
  stream = new AbortController();
  heardAt = Date.now();
  try {
    const headers = last ? { "Last-Event-ID": last } : {};
    const response = await call("GET", "/status/stream", { headers, signal: stream.signal, ask: false });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    connected();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heardAt = Date.now();
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      events.forEach(take);
      if (status.value && !status.value.stale) fresh.at = heardAt;
      become("live");
    }
  } finally {
    stream.abort();
    stream = null;
  }
}

function take(event) {
  const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  told(fields[""]); // a comment, by which the node says that it is still there
  if (fields.data === undefined) return;
  last = fields.id ?? "";
  const answer = JSON.parse(fields.data);
  if (answer.stale) findAge();
  else fresh.at = Date.now();
  status.set(answer);
}

/** Ask how old a stale answer is: the stream does not say. */
async function findAge() {
  try {
    const response = await call("GET", "/status");
    fresh.at = Date.now() - 1000 * Number(response.headers.get("Age") ?? 0);
  } catch {
    fresh.at ??= Date.now(); // then it is as old as this page has known it
  }
}

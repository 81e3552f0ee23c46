// The event stream: read for as long as the page is open, and taken up again whenever it breaks.
//
// It is read with fetch and not with EventSource, which tells neither that the session has ended nor that the node has
// fallen silent.

import { Refused, call } from "./api.js";
import { now } from "./clock.js";
import { fresh, link, status } from "./site.js";

const SILENCE = 40_000; // the node says every 15 s that it is still there
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const PATIENCE = 1500; // a stream that is taken up again at once is not worth a word

/** Follow the site until the page is closed. */
export async function follow() {
  let wait = FIRST_WAIT;
  for (;;) {
    try {
      await once(() => (wait = FIRST_WAIT));
      broken(null);
    } catch (trouble) {
      broken(trouble instanceof Refused ? trouble : null);
    }
    await pause(wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

let complaint = 0;

function broken(error) {
  const lost = { state: "lost", error };
  if (link.value.state === "lost") link.set(lost);
  else complaint ||= setTimeout(() => link.set(lost), PATIENCE);
}

function whole() {
  clearTimeout(complaint);
  complaint = 0;
  if (link.value.state !== "live") link.set({ state: "live", error: null });
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
  const giveUp = new AbortController();
  let timer = setTimeout(() => giveUp.abort(), SILENCE);
  try {
    const headers = last ? { "Last-Event-ID": last } : {};
    const response = await call("GET", "/status/stream", { headers, signal: giveUp.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    connected();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => giveUp.abort(), SILENCE);
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      events.forEach(take);
      if (status.value && !status.value.stale) fresh.at = now();
      whole();
    }
  } finally {
    clearTimeout(timer);
    giveUp.abort();
  }
}

function take(event) {
  const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  if (fields.data === undefined) return;
  last = fields.id ?? "";
  const answer = JSON.parse(fields.data);
  if (answer.stale) findAge();
  else fresh.at = now();
  status.set(answer);
}

/** Ask how old a stale answer is: the stream does not say. */
async function findAge() {
  try {
    const response = await call("GET", "/status");
    fresh.at = now() - 1000 * Number(response.headers.get("Age") ?? 0);
  } catch {
    fresh.at ??= now(); // then it is as old as this page has known it
  }
}

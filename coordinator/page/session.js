// Signing in: over the page, which keeps what was there. The token goes to the node once and is never kept here.

import { call, json, read, send, whenSessionEnds } from "./api.js";
import { byId, el, put } from "./dom.js";
import { dated } from "./format.js";
import { t } from "./language.js";
import { problem } from "./orders.js";
import { session } from "./site.js";

const AGAIN = 3000;
const UNAUTHORISED = 401;

let pending = null;

/** Return once somebody is signed in. */
export async function signedIn() {
  whenSessionEnds(askForToken);
  if (!(await known())) await askForToken();
}

/** Whether this browser has a session; as long as the node cannot tell, the page says why not. */
async function known() {
  const beginning = byId("beginning");
  for (;;) {
    try {
      session.set(await read("/session", { ask: false }));
      beginning.hidden = true;
      return true;
    } catch (error) {
      beginning.hidden = error.http === UNAUTHORISED;
      if (beginning.hidden) return false;
      put(byId("hindrance"), problem(error, el("p", {}, t("freshness.trying"))));
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

/** Ask for the token; everybody who needs the session waits for the same answer. */
export function askForToken() {
  pending ??= new Promise((resolve) => open(resolve)).finally(() => (pending = null));
  return pending;
}

function open(done) {
  const again = session.value !== null;
  const token = el("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-hint",
  });
  const button = el("button", { type: "submit", class: "primary" }, t("session.signIn"));
  const trouble = el("div", { role: "alert" });
  const form = el(
    "form",
    {},
    el("h2", { id: "sign-in-title" }, again ? t("session.ended") : t("session.title")),
    el("p", { class: "muted" }, again ? t("session.endedText") : t("session.text")),
    el("label", { for: "token" }, t("session.token")),
    token,
    el("p", { id: "token-hint", class: "muted small" }, t("session.tokenHint")),
    trouble,
    button,
  );
  const dialog = el("dialog", { class: "sign-in", "aria-labelledby": "sign-in-title" }, form);
  let over = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const response = await send("POST", "/session", { token: token.value.trim() }, { ask: false });
      session.set(await json(response));
      over = true;
      dialog.close();
    } catch (error) {
      put(trouble, problem(error));
    }
    token.value = "";
    button.disabled = false;
    if (!over) token.focus();
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", () => {
    if (!over) return dialog.showModal(); // some browsers close it all the same
    dialog.remove();
    return done();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** Show who is signed in, and let them go. */
export function showSession() {
  const who = byId("who");
  const leave = byId("sign-out");
  session.watch(({ name, expires }) => {
    who.hidden = leave.hidden = false;
    who.title = t("session.until", { date: dated(expires) });
    put(who, name);
  });
  leave.addEventListener("click", async () => {
    await call("DELETE", "/session", { ask: false }).catch(() => null); // one that has ended is as good as signed out
    location.reload();
  });
}

// What the page knows just now, and whom to tell when that changes.

class Held {
  #listeners = [];

  constructor(value = null) {
    this.value = value;
  }

  /** Hold another value and tell everybody; they get the one before as well. */
  set(value) {
    const before = this.value;
    this.value = value;
    for (const listener of this.#listeners) listener(value, before);
  }

  /** Be told of every value, and of the present one at once. */
  watch(listener) {
    this.#listeners.push(listener);
    if (this.value !== null) listener(this.value, null);
  }
}

/** Who is signed in: `{name, scopes, expires}`. */
export const session = new Held();

/** The newest answer, as `GET /v1/status` gives it. */
export const status = new Held();

/**
 * The stream: `{state, error}`; the error is what made it break, if that is known. Its states: "connecting" until the
 * first answer, "live", "lost", "paused" while nobody looks at the page, "ended" with the session, and "refused" where
 * whoever is signed in may not read.
 */
export const link = new Held({ state: "connecting", error: null });

/** When the answer was last known to be the newest, by the clock of this machine; null before the first. */
export const fresh = { at: null };

/** Be told whether this session may change anything, at once and whenever another one may differ. */
export function watchRights(listener) {
  let known = null;
  session.watch(() => {
    if (mayChange() === known) return;
    known = mayChange();
    listener(known);
  });
}

export const mayChange = () => Boolean(session.value?.scopes.includes("admin"));

/** How well the page follows the site: the state of the stream, or "stale" where the node itself cannot tell. */
export const following = () =>
  link.value.state === "live" && status.value?.stale ? "stale" : link.value.state;

/** Whether the answer that is shown may no longer be the newest. */
export const doubtful = () => !["connecting", "live"].includes(following());

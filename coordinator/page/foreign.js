// Text that others wrote, such as names and IDs of keys: what in it turns the writing around is shown and not obeyed.

const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066\u2067]/g;
const ISOLATES = /[\u2068\u2069]/g; // which this page uses itself, and whoever wrote a name must not end
const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const named = (sign) => `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** A text of which nothing turns what stands beside it. */
export const straight = (text) => text.replace(TURNS, named);

/** The same for a value in the middle of a sentence; one in Hebrew or Arabic keeps its own direction to itself. */
export function foreign(value) {
  const text = straight(String(value)).replace(ISOLATES, named);
  return FROM_THE_RIGHT.test(text) ? `\u2068${text}\u2069` : text;
}

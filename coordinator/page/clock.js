// The node's time. Countdowns go by it, because the clock of the machine in front of the operator may be wrong.

const COARSE = 2000; // the header tells whole seconds, and the answer was on its way for a while
let ahead = 0;

/** Learn from an answer what time it is on the node. */
export function heard(response) {
  const told = Date.parse(response.headers.get("Date") ?? "");
  if (Math.abs(told - Date.now() - ahead) > COARSE) ahead = told - Date.now();
}

/** The node's time in milliseconds. */
export const now = () => Date.now() + ahead;

/** Call something every second, and at once. */
export function everySecond(tick) {
  tick();
  setInterval(tick, 1000);
}

// The site's time, by which licences end. The clock of a node may be wrong, and that of the machine of the operator.

const COARSE = 2000; // it is told in whole seconds, and was on its way for a while
const MINUTE = 60_000;
let ahead = 0;

/** Learn what time it is for the site; a text that tells no time tells nothing. */
export function told(time) {
  const at = Date.parse(time ?? "");
  if (Math.abs(at - Date.now() - ahead) > COARSE) ahead = at - Date.now();
}

/** The site's time in milliseconds. */
export const now = () => Date.now() + ahead;

/** Call something at once, every second, and when the page is hidden or seen: timers may have stood still till then. */
export function everySecond(tick) {
  tick();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}

/** Call something every minute while somebody may look at the page, and when they come back to it. */
export function everyMinute(act) {
  const unlessHidden = () => document.hidden || act();
  setInterval(unlessHidden, MINUTE);
  document.addEventListener("visibilitychange", unlessHidden);
}

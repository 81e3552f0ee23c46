// Removals and buffers drawn on a line of time, a row for every key. The table below it says the same in words.

import { now } from "./clock.js";
import { svg } from "./dom.js";
import { DAY } from "./format.js";
import { locale, t } from "./language.js";

const WIDTH = 960;
const ROW = 34;
const NAMES = 130;
const AXIS = 26;
const TICKS = 6;
const LONGEST_NAME = 16;

/** Draw what is remembered of the keys. */
export function timeline(keys) {
  const times = keys
    .flatMap((key) => [key.lastRemoval, key.outSince, key.bufferExpires, key.bufferUncapped])
    .filter(Boolean);
  if (!times.length) return null;
  const today = Math.floor(now() / 60_000) * 60_000; // so that it is not drawn anew every second
  const moments = [...times.map((time) => Date.parse(time)), today];
  const from = Math.min(...moments) - 4 * DAY;
  const to = Math.max(...moments) + 4 * DAY;
  const place = (moment) => Math.round(NAMES + ((moment - from) / (to - from)) * (WIDTH - NAMES));
  const height = AXIS + keys.length * ROW + 6;
  return svg(
    "svg",
    { class: "timeline", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": t("timeline.label") },
    axis(from, to, place, height),
    keys.map((key, index) => line(key, AXIS + index * ROW, place)),
    svg("line", { class: "today", x1: place(today), x2: place(today), y1: AXIS - 6, y2: height }),
    svg("text", { class: "today-name", x: place(today), y: 13, "text-anchor": "middle" }, t("timeline.now")),
  );
}

function axis(from, to, place, height) {
  const form = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "2-digit" });
  return Array.from({ length: TICKS }, (_, number) => from + ((number + 0.5) * (to - from)) / TICKS).map((moment) => [
    svg("line", { class: "tick", x1: place(moment), x2: place(moment), y1: AXIS, y2: height }),
    Math.abs(place(moment) - place(now())) > 70 &&
      svg("text", { class: "tick-name", x: place(moment), y: 13, "text-anchor": "middle" }, form.format(moment)),
  ]);
}

function line(key, top, place) {
  const middle = top + ROW / 2;
  const at = (time) => place(Date.parse(time));
  const removed = key.lastRemoval && at(key.lastRemoval);
  const capped = key.bufferExpires && at(key.bufferExpires);
  const uncapped = key.bufferUncapped && at(key.bufferUncapped);
  const short = key.keyId.length > LONGEST_NAME ? `${key.keyId.slice(0, LONGEST_NAME - 1)}…` : key.keyId;
  return [
    svg("line", { class: "row", x1: 0, x2: WIDTH, y1: top, y2: top }),
    svg("text", { class: "row-name", x: 0, y: middle + 4 }, short),
    removed && capped && bar(key.inUse && key.outSince ? "running" : "past", removed, capped, middle, 14),
    capped && uncapped > capped && bar("uncapped", capped, uncapped, middle, 8),
    removed && mark("removal", removed, middle),
    key.outSince && key.outSince !== key.lastRemoval && mark("unsettled", at(key.outSince), middle),
  ];
}

const mark = (name, at, middle) => svg("path", { class: name, d: `M${at - 6} ${middle - 11}h12l-6 8z` });

const bar = (name, from, to, middle, high) =>
  svg("rect", { class: name, x: from, y: middle - high / 2, width: Math.max(2, to - from), height: high, rx: 3 });

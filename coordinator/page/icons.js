// Small drawings. Every status has a shape of its own, so that none is told by its colour alone.

import { svg } from "./dom.js";

const SHAPES = {
  ok: "M10 1.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Zm-1.3 12.3L4.9 10l1.4-1.4 2.4 2.4 5-5 1.4 1.4-6.4 6.4Z",
  warning: "M10 1.6 .8 18h18.4L10 1.6Zm-1 5.6h2v5.6H9V7.2Zm0 7h2v2H9v-2Z",
  error:
    "M6.5 1.5h7l5 5v7l-5 5h-7l-5-5v-7l5-5Zm.3 6.7L8.6 10l-1.8 1.8 1.4 1.4L10 11.4l1.8 1.8 1.4-1.4L11.4 10l1.8-1.8-1.4-1.4L10 8.6 8.2 6.8 6.8 8.2Z",
  unknown: "M10 1 19 10l-9 9-9-9 9-9Zm0 3.2L4.2 10l5.8 5.8 5.8-5.8L10 4.2ZM9 9h2v2H9V9Z",
  info: "M10 1.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM9 5h2v2H9V5Zm0 3.5h2V15H9V8.5Z",
  key: "M7 2a5 5 0 1 0 3.7 8.4l1.3 1.3V14h2.3v2.3h2.2V18H19v-3.3l-6.3-6.3A5 5 0 0 0 7 2Zm-.8 2.7a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4Z",
};

/** A shape beside a word that says the same; screen readers are told the word only. */
export const icon = (name) =>
  svg("svg", { viewBox: "0 0 20 20", class: `icon ${name}`, "aria-hidden": "true" }, svg("path", { d: SHAPES[name] }));

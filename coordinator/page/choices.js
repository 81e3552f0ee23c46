// The choices at the top of the page: its language, and light or dark.

import { language } from "./language.js";
import { remember } from "./remembered.js";

/** Let people choose. The session is in a cookie, so the page can simply begin anew in the other language. */
export function offerLanguages(select) {
  select.value = language;
  select.addEventListener("change", () => {
    remember("language", select.value);
    location.reload();
  });
}

/** Let people choose between light and dark; the empty choice is the system's. */
export function offerAppearances(select) {
  const root = document.documentElement.dataset;
  select.value = root.appearance ?? "";
  select.addEventListener("change", () => {
    remember("appearance", select.value);
    if (select.value) root.appearance = select.value;
    else delete root.appearance;
  });
}

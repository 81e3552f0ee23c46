// What has changed since, told to screen readers once; and who leads since when, as far as this page has seen it.

import { byId, put } from "./dom.js";
import { t, word } from "./language.js";
import { link, status } from "./site.js";

/** When the present leader was first seen to lead, for a change that happened while the page was open. */
export const leading = { since: null };

/** Tell what is worth it. */
export function tellNews() {
  status.watch((after, before) => {
    if (!before) return;
    const news = [];
    if (after.leader && after.epoch !== before.epoch) {
      leading.since = after.asOf;
      news.push(t("news.leader", { node: after.leader.name }));
    }
    if (after.license.status !== before.license.status || after.license.name !== before.license.name) {
      const { name, status: validity } = after.license;
      const called = name === null ? t("licence.none") : word("item", name); // the trial is called after its edition
      news.push(t("news.licence", { name: called, status: word("validity", validity) }));
    }
    if (after.keyState !== before.keyState) news.push(t("news.key", { state: word("keyState", after.keyState) }));
    for (const alert of after.alerts)
      if (!before.alerts.includes(alert)) news.push(t("news.alert", { alert: word("alert", alert) }));
    if (after.stale !== before.stale) news.push(t(after.stale ? "freshness.stale" : "news.fresh"));
    tell(news);
  });
  link.watch((after, before) => {
    if (status.value === null || before === null || after.state === before.state) return;
    if (after.state === "lost") tell([t("freshness.lost")]);
    if (after.state === "live" && before.state === "lost") tell([t("news.fresh")]);
  });
}

/** Say something to those who do not see the page; the sentences are texts or elements. */
export function tell(sentences) {
  const told = sentences.filter(Boolean);
  if (told.length) put(byId("news"), told.flatMap((sentence) => [sentence, " "]));
}

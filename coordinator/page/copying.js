// The ID of a USB key into the clipboard, which is what the vendor asks for.

import { el, put } from "./dom.js";
import { t } from "./language.js";
import { tell } from "./news.js";

/** A button that copies a key's ID and says so; `name` is what it is called where its label does not say which key. */
export function copyButton(id, keyId, label, name = null) {
  const button = el("button", { id, type: "button", "aria-label": name }, label);
  button.addEventListener("click", async () => {
    const sentence = (await copied(keyId)) ? t("copy.done", { key: keyId }) : t("copy.failed", { key: keyId });
    put(button, sentence);
    tell([sentence]);
    setTimeout(() => put(button, label), 3000);
  });
  return button;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedAsSelection(text); // plain HTTP has no clipboard to write to, but a selection can be copied
  }
}

function copiedAsSelection(text) {
  const before = document.activeElement;
  const field = el("textarea", { class: "unseen", "aria-hidden": "true", tabindex: "-1" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  return done;
}

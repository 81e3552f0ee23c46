"""Finds English that the page shows to those who read another language; what the site itself says is marked as such."""

from __future__ import annotations

import re

from playwright.sync_api import Page

SAME_EVERYWHERE = {
    *("Twinkey", "English", "USB", "Key", "ID", "IP", "CPU", "CSV", "KiB", "UTC", "GMT", "JavaScript"),
    *("etcd", "keepalived", "admin", "zip", "tar", "gz", "NTP"),
}
"""Names and words that are written alike in every language."""
OF_THE_TESTS = {"demo", "anna", "bob", "rita", "system", "node", "test", "acme", "licence", "twinkey", "txt"}
"""Names that these tests give to sites, people and files."""
_WORD = re.compile(r"[A-Za-z]{2,}")
_SHOWN = """() => {
  const elsewhere = "[lang=en], code, noscript, script";
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest(elsewhere)) found.push(node.data);
  }
  for (const name of ["aria-label", "aria-valuetext", "title", "placeholder", "alt"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      if (!node.closest(elsewhere)) found.push(node.getAttribute(name));
    }
  }
  return [...found, document.title];
}"""


def english_in(page: Page) -> list[str]:
    """Return the texts of a page that have an English word in them, also those that only a screen reader tells."""
    known = SAME_EVERYWHERE | OF_THE_TESTS
    return [
        text
        for text in page.evaluate(_SHOWN)
        if any(word not in known and word.upper() != word for word in _WORD.findall(text))
    ]

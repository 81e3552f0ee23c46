"""What may be written to a terminal; cheap to import."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text without what could confuse a terminal or a reader; USB keys name themselves."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)

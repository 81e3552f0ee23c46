"""The place of the published answer in the order of answers."""

from __future__ import annotations

import pytest

from cluster.store import Entry
from cluster.term import NOBODY, Term, read_ledger_version, read_term
from licensing.ledger_version import NO_LEDGER, LedgerVersion


def stored(value: bytes) -> Entry:
    """Return an entry with this value."""
    return Entry("/twinkey/s/status", value, 1, 1)


def test_only_the_place_of_an_answer_is_read() -> None:
    """Whatever else an answer holds, also of a newer version, does not matter."""
    value = b'{"data":{"epoch":7,"index":40,"news":{"x":[1]}},"more":1,"version":2}'
    assert read_term(stored(value)) == Term(7, 40)


@pytest.mark.parametrize(
    "value",
    [b"", b"\xff", b"{}", b'{"data":{"epoch":"7","index":1}}', b'{"data":{"epoch":-1,"index":1}}', b"[" * 100_000],
    ids=["empty", "not text", "no data", "another type", "negative", "nested"],
)
def test_what_cannot_be_read_is_nobodys(value: bytes) -> None:
    """A bad value is as good as none."""
    assert read_term(stored(value)) == NOBODY


def test_nothing_published_is_nobodys() -> None:
    """Before the first leader there is no term."""
    assert read_term(None) == NOBODY == Term(0, 0)


@pytest.mark.parametrize(
    ("value", "version"),
    [
        (b'{"data":{"epoch":7,"ledger":{"sequence":12,"recordCount":3}},"version":2}', LedgerVersion(12, 3)),
        (b'{"data":{"epoch":7},"version":1}', NO_LEDGER),
        (b'{"data":{"ledger":{"sequence":-1}}}', NO_LEDGER),
        (b"?", NO_LEDGER),
    ],
    ids=["told", "left out", "negative", "bad"],
)
def test_an_answer_says_from_which_ledger_it_was_made(value: bytes, version: LedgerVersion) -> None:
    """An answer of an older version, a bad one and none at all say nothing of it."""
    assert read_ledger_version(stored(value)) == version
    assert read_ledger_version(None) == NO_LEDGER

"""The order of ledgers, by which every node knows which of two counts."""

from __future__ import annotations

import datetime as dt

from licensing.ledger import Ledger, Usage
from licensing.ledger_version import NO_LEDGER, version_of

AT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def test_the_sequence_counts_first_and_then_what_happened() -> None:
    """A higher sequence beats more records, and those beat any hash; no ledger at all is before every other."""
    known = [Ledger(), Ledger(4, record_count=9), Ledger(5, in_use="K1"), Ledger(5, record_count=1)]
    versions = [version_of(ledger) for ledger in known]
    assert [NO_LEDGER, *versions] == sorted([*versions, NO_LEDGER])


def test_two_ledgers_of_one_sequence_are_told_apart() -> None:
    """Whatever differs in them makes another version; usage does not, for it is reported and not decided."""
    ledger = Ledger(5, in_use="K1")
    assert version_of(ledger) != version_of(Ledger(5, in_use="K2"))
    assert version_of(ledger) == version_of(Ledger(5, in_use="K1", usage=Usage(AT, hosts=3)))

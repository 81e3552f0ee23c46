"""What is told of removals and buffers that are remembered."""

from __future__ import annotations

import datetime as dt

from licensing.ledger import KeyHistory, Ledger
from licensing.licence import KeyBinding, SignedLicence
from licensing.removals import KeyRemoval, removals
from tests.unit.licensing.signing import day, licence

DAY = dt.timedelta(days=1)
EXPIRES = day("2026-12-31")


def history(key_id: str, removed: str | None = None, out: str | None = None, buffer_days: int = 30) -> KeyHistory:
    """Return what is remembered of a key whose licence ends with the year."""
    signed = SignedLicence(licence(binding=KeyBinding(key_id), expires=EXPIRES), b"")
    at = day(removed) if removed else None
    until = at + buffer_days * DAY if at else None
    return KeyHistory(key_id, signed, "node-a", day(out) if out else None, at, until)


def test_the_newest_removal_comes_first() -> None:
    """Keys that were never removed come last, and those of one moment in order of their ids."""
    keys = (history("never"), history("b", "2026-03-01"), history("new", "2026-05-01"), history("a", "2026-03-01"))
    assert [each.key_id for each in removals(Ledger(keys=keys))] == ["new", "a", "b", "never"]


def test_everything_that_is_remembered_is_told() -> None:
    """Where, since when, when before, and whether the key is the one that counts."""
    (told,) = removals(Ledger(in_use="K1", keys=(history("K1", "2026-03-01", "2026-06-01"),)))
    end = day("2026-03-31")
    assert told == KeyRemoval("K1", "node-a", day("2026-06-01"), day("2026-03-01"), end, end, in_use=True)


def test_a_buffer_ends_with_its_licence_at_the_latest() -> None:
    """The end as it was granted is told as well."""
    (told,) = removals(Ledger(keys=(history("K1", "2026-12-10", buffer_days=60),)))
    assert (told.buffer_expires, told.buffer_uncapped) == (EXPIRES, day("2027-02-08"))


def test_a_key_that_was_never_removed_has_no_buffer() -> None:
    """It is there for the timeline, with nothing on it."""
    (told,) = removals(Ledger(keys=(history("K1"),)))
    assert told == KeyRemoval("K1", "node-a", None, None, None, None, in_use=False)


def test_before_the_first_key_there_is_nothing() -> None:
    """A site without USB keys has an empty list."""
    assert removals(Ledger()) == ()

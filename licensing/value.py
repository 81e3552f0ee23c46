"""What every value of this product is made of: the base of all of them, and the names, counts and times in them.

Times are aware datetimes in UTC. Every value can be encoded with `licensing.canonical`; member names in JSON are
camelCase, as in the platform's own API. This file knows nothing of licences.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

Time = Annotated[dt.datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Epoch = Annotated[int, Meta(ge=0, le=2**62)]
"""A revision of the store, which counts in 64 bits: the one that made a leader, 0 for none."""
LAST_INDEX = 2**53 - 1
Index = Annotated[int, Meta(ge=0, le=LAST_INDEX)]
"""Counts published answers; what every JSON reader can count to."""

EARLIEST, LATEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(5000, 1, 1, tzinfo=dt.UTC)
"""Between them is every time that a clock can have shown, and also what comes of adding the difference of two of them
to a third stays in the calendar."""


def is_possible(at: Time) -> bool:
    """Whether a clock can have shown this time, so that it can be reckoned with."""
    return EARLIEST <= at <= LATEST


def nearest_possible(at: Time) -> Time:
    """Return the time itself, or which of those that can be reckoned with is nearest to it."""
    return min(max(at, EARLIEST), LATEST)


class Value(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of every value that is stored or sent: immutable, strict, camelCase in JSON."""

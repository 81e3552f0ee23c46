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
Index = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""Counts published answers; what every JSON reader can count to."""


class Value(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of every value that is stored or sent: immutable, strict, camelCase in JSON."""

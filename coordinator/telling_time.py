"""The time by which a node goes, told with every answer: what counts down must not go by the reader's own clock.

It is effective time, in which everything that the answers speak of happens; the header `Date` has the wall clock's.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from aiohttp import web

from coordinator.calls import SERVICES
from licensing.value import Time

TIME = "Twinkey-Time"


def told_time(request: web.Request) -> str:
    """Return effective time as RFC 3339 has it, in UTC, to the second."""
    return written(request.app[SERVICES].outlook.clock.now())


def written(at: Time) -> str:
    """Return a time in the same form."""
    return _written(int(at.timestamp()))


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    return f"{dt.datetime.fromtimestamp(second, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


async def tell_time(request: web.Request, response: web.StreamResponse) -> None:
    """Put the time into an answer's header, in the moment in which it begins."""
    response.headers[TIME] = told_time(request)

"""The time by which a node goes, told with every answer: what counts down must not go by the reader's own clock.

It is effective time, in which everything that the answers speak of happens; the header `Date` has the wall clock's.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from aiohttp import web

from coordinator.calls import SERVICES

TIME = "Twinkey-Time"


def told_time(request: web.Request) -> str:
    """Return effective time as RFC 3339 has it, in UTC, to the second."""
    return _written(int(request.app[SERVICES].outlook.clock.now().timestamp()))


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    return f"{dt.datetime.fromtimestamp(second, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


async def tell_time(request: web.Request, response: web.StreamResponse) -> None:
    """Put the time into an answer's header, in the moment in which it begins."""
    response.headers[TIME] = told_time(request)

"""Reporting anew when this node's wall clock was set, since a report says what it shows.

The coordinators judge a node's clock by its reports, and a report is written when something has changed: a clock that
somebody set is such a change, one that runs is none.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

STEP = dt.timedelta(seconds=2)
"""More than NTP slews in a day, and less than anybody would mind."""
EVERY = 1.0
"""Seconds from one look to the next; a look reads two clocks of the machine."""


async def follow_clock(
    report_again: Callable[[], None], wall: Callable[[], dt.datetime], boot: Callable[[], float], every: float = EVERY
) -> None:
    """Call `report_again` whenever the wall clock has moved against the boot clock, for ever."""
    began = _began(wall, boot)
    while True:
        await asyncio.sleep(every)
        now = _began(wall, boot)
        if abs(now - began) > STEP:
            began = now
            report_again()


def _began(wall: Callable[[], dt.datetime], boot: Callable[[], float]) -> dt.datetime:
    """Return when this machine was switched on, by its wall clock."""
    return wall() - dt.timedelta(seconds=boot())

"""Looking after the clocks: notices when one was set, and asks the etcd members' machines while one looks wrong.

Nobody who decides or answers waits for this task; it notes what it learns and wakes them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Protocol

from coordinator.clocks import Clocks
from coordinator.time_base import KeptTime
from licensing.value import Time

EVERY = dt.timedelta(seconds=1)
"""From one look at the own clock to the next; a look reads two clocks of the machine."""
LEAP = dt.timedelta(seconds=1)
"""By how much effective time must move against the boot clock for others to look again."""
ASK_EVERY = dt.timedelta(seconds=30)


class Witnesses(Protocol):
    """The clocks of other machines, as `cluster.member_clock` reads them."""

    async def elsewhere(self) -> bool:
        """Whether there are any."""

    async def read(self) -> Mapping[str, Time]:
        """Return what they show, by machine, of those that say it in time."""


class ClockWatch:
    """The task."""

    def __init__(self, clocks: Clocks, witnesses: Witnesses, kept: KeptTime, every: dt.timedelta = EVERY) -> None:
        self._clocks = clocks
        self._witnesses = witnesses
        self._kept = kept
        self._every = every.total_seconds()
        self._ask_at = 0.0
        self._seen: tuple[object, Time] | None = None

    async def begin(self) -> None:
        """Ask the members once before anything is decided; a site may have been off for weeks."""
        self._clocks.asks = await self._witnesses.elsewhere()
        if self._clocks.asks:
            await self._ask()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Look once; wake whoever depends on it where something is different."""
        clocks, clock = self._clocks, self._clocks.clock
        clocks.judge()
        if clocks.to_ask or (clocks.asks and clocks.wrong and clock.boot() >= self._ask_at):
            await self._ask()
            clocks.judge()
        self._kept.keep(clock)
        began = clock.now() - dt.timedelta(seconds=clock.boot())
        seen, self._seen = self._seen, (clocks.notices, began)
        if seen is not None and (seen[0] != self._seen[0] or began - seen[1] > LEAP):
            clocks.moved.beat()

    async def _ask(self) -> None:
        self._ask_at = self._clocks.clock.boot() + ASK_EVERY.total_seconds()
        self._clocks.asked(await self._witnesses.read())

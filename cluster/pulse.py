"""Telling several waiting tasks that something changed, without losing a change to one that was busy.

Knows nothing of what changed.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class Pulse:
    """A counter that can be waited for: `count` grows with every `beat`.

    Who waits is woken in the order in which the waiting began.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiting: dict[asyncio.Future[None], None] = {}

    def beat(self) -> None:
        """Count one change and wake everybody who waits."""
        self.count += 1
        waiting, self._waiting = self._waiting, {}
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)

    def mark(self) -> Mark:
        """Return how far it has counted: take that before looking, and no change is missed."""
        return Mark(self, self.count)

    def wakes(self, woken: asyncio.Future[None]) -> None:
        """Have the next beat set a future that is not done by then."""
        self._waiting[woken] = None

    def leaves(self, woken: asyncio.Future[None]) -> None:
        """Leave a future alone after all."""
        self._waiting.pop(woken, None)

    async def after(self, seen: int) -> int:
        """Return the count as soon as it is more than `seen`: at once, if that happened while the caller was busy."""
        while self.count <= seen:
            woken = asyncio.get_running_loop().create_future()
            self.wakes(woken)
            try:
                await woken
            finally:
                self.leaves(woken)
        return self.count


class Mark(NamedTuple):
    """How far a pulse had counted at some moment."""

    pulse: Pulse
    seen: int

    @property
    def passed(self) -> bool:
        """Whether it has counted on since."""
        return self.pulse.count > self.seen

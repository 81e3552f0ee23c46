"""Telling several waiting tasks that something changed, without losing a change to one that was busy.

Knows nothing of what changed.
"""

from __future__ import annotations

import asyncio


class Pulse:
    """A counter that can be waited for: `count` grows with every `beat`."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Count one change and wake everybody who waits."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def after(self, seen: int) -> int:
        """Return the count as soon as it is more than `seen`: at once, if that happened while the caller was busy."""
        while self.count <= seen:
            await self._event.wait()
        return self.count

"""The newest set of keys, for those who wait for the next one. Knows nothing of where it comes from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from usbwatch.bus import KeySet


class Latest:
    """Holds one set; every reader sees the newest and never an old one."""

    def __init__(self) -> None:
        self._current: KeySet | None = None
        self._version = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None

    def offer(self, keys: KeySet) -> None:
        """Replace the set; readers wake only when it differs."""
        if keys != self._current:
            self._current = keys
            self.repeat()

    def repeat(self) -> None:
        """Tell the set again: something beside it has changed."""
        self._version += 1
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """End all readers, with the error that broke the source if there is one."""
        self._ended, self._error = True, error
        self._wake()

    async def readings(self) -> AsyncIterator[KeySet]:
        """Yield the set now, if there is one, and then each time that it is told until the end."""
        shown = 0
        while not self._ended:
            changed, current, version = self._changed, self._current, self._version
            if current is not None and version != shown:
                shown = version
                yield current
            else:
                await changed.wait()
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

"""A copy of a part of the store in memory, kept up to date, that knows whether it is.

Knows nothing of what the values mean. It reads and never writes; while nothing changes it asks the store at most one
small question a second, and none when the same client renews a lease anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

from cluster.pulse import Pulse
from cluster.store import Compacted, StoreError, View

if TYPE_CHECKING:
    from cluster.store import Changes, Store
    from cluster.timings import Timings

log = logging.getLogger(__name__)

Clock = Callable[[], float]

_RETRY = 0.5
_RELIST = 0.05


class _Interrupted(Exception):  # noqa: N818 - it says what happened to the watch
    """The watch goes on, perhaps in a store that was put back to an old copy."""


class Mirror:
    """Everything under `prefix` but what is under `without`, while `run` runs.

    `view` is the newest known; it stays when the store is out of reach. `connected` says whether it is up to date: an
    outage is noticed within `timings.probe + timings.call_deadline` seconds. `since` is when `connected` last changed,
    on the clock that was passed in; `problem` says why it is not connected. `pulse` beats whenever `view` or
    `connected` changes. An entry that did not change is the same object in every view.
    """

    def __init__(
        self, store: Store, prefix: str, timings: Timings, clock: Clock = time.monotonic, *, without: str = ""
    ) -> None:
        self.view = View()
        self.connected = False
        self.since = clock()
        self.problem = "not connected yet"
        self.pulse = Pulse()
        self._store = store
        self._prefix = prefix
        self._without = without
        self._timings = timings
        self._clock = clock

    @property
    def version(self) -> int:
        """A number that grows whenever `view` or `connected` changes."""
        return self.pulse.count

    async def changed(self, seen: int) -> int:
        """Return the version as soon as it is more than `seen`: take that before looking, and no change is missed."""
        return await self.pulse.after(seen)

    async def run(self) -> None:
        """Follow the store until cancelled, through every kind of outage."""
        while True:
            pause = _RELIST
            try:
                await self._session()
            except* Compacted as errors:
                log.info("%s: reading everything again: %s", self._prefix, errors.exceptions[0])
            except* _Interrupted:
                log.debug("%s: reading everything again: the watch was interrupted", self._prefix)
            except* StoreError as errors:
                self._disconnect(str(errors.exceptions[0]))
                pause = _RETRY
            await asyncio.sleep(pause)

    async def _session(self) -> None:
        """Read everything, then follow the changes; ends with an error only."""
        self._relist(await self._store.snapshot(self._prefix, self._without))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name=f"follow {self._prefix}")
            group.create_task(self._probe(), name=f"probe {self._prefix}")

    async def _follow(self) -> None:
        async with contextlib.aclosing(self._store.watch(self._prefix, self.view.revision)) as watched:
            async for changes in watched:
                if not changes.events:
                    raise _Interrupted
                self._apply(changes)

    async def _probe(self) -> None:
        while True:
            revision = await self._store.probe(self._prefix, self._timings.probe)
            if revision < self.view.revision:  # restored from a copy: our watch would wait for ever
                raise Compacted(revision)

    def _relist(self, view: View) -> None:
        """Take what was read as it is, but keep the objects of entries that did not change."""
        before = self.view.entries
        kept = {key: old if (old := before.get(key)) == new else new for key, new in view.entries.items()}
        news = kept != before or not self.connected
        self.view = View(view.revision, MappingProxyType(kept))
        if not self.connected:
            self.connected, self.since, self.problem = True, self._clock(), ""
        if news:
            self.pulse.beat()

    def _apply(self, changes: Changes) -> None:
        events = [event for event in changes.events if not self._leaves_out(event.key)]
        if not events:
            return
        entries = dict(self.view.entries)
        for event in events:
            if event.entry is None:
                entries.pop(event.key, None)
            else:
                entries[event.key] = event.entry
        if entries.keys() - self.view.entries.keys():
            entries = dict(sorted(entries.items()))
        self.view = View(changes.revision, MappingProxyType(entries))
        self.pulse.beat()

    def _leaves_out(self, key: str) -> bool:
        return bool(self._without) and key.startswith(self._without)

    def _disconnect(self, problem: str) -> None:
        self.problem = problem
        if self.connected:
            log.warning("%s: %s", self._prefix, problem)
            self.connected, self.since = False, self._clock()
            self.pulse.beat()

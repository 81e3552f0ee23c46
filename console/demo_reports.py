"""What the agents of the demo have seen, read from their reports in the store: no guess by timing.

Only reports under a lease count: a node that has stopped has none. Knows the store's port and no process.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from cluster.keys import last_part
from cluster.report import Report
from cluster.store import StoreError
from cluster.values import BadValue, read_message
from licensing.seen import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster.keys import Keys
    from cluster.store import Entry, Store

    Seen = Mapping[str, Report]
    """The live reports by node uuid."""


class NotSeen(Exception):  # noqa: N818 - it says what happened
    """The reports did not come to show what was waited for; the text says why."""


class Reports:
    """The live reports of one site."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._prefix = keys.nodes

    async def until(self, shown: Callable[[Seen], bool], within: float) -> None:
        """Return as soon as the reports show it.

        Raises:
            NotSeen: not within so many seconds, the store does not answer, or a report makes no sense.
        """
        try:
            async with asyncio.timeout(within):
                await self._follow(shown)
        except TimeoutError:
            raise NotSeen(f"not within {within:g} s") from None
        except (StoreError, BadValue) as error:
            raise NotSeen(str(error)) from error

    async def _follow(self, shown: Callable[[Seen], bool]) -> None:
        view = await self._store.snapshot(self._prefix)
        entries = dict(view.entries)
        if shown(_decoded(entries)):
            return
        async with aclosing(self._store.watch(self._prefix, view.revision)) as watch:
            async for changes in watch:
                for event in changes.events:
                    _apply(entries, event.key, event.entry)
                if shown(_decoded(entries)):
                    return


def reading_of(seen: Seen, node: str, key: str) -> Reading | None:
    """Return what came of reading this key in this node; None when its live report does not show the key."""
    keys = seen[node].keys if node in seen else ()
    return next((each.reading for each in keys if each.key_id == key), None)


def _apply(entries: dict[str, Entry], key: str, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(key, None)
    else:
        entries[key] = entry


def _decoded(entries: Mapping[str, Entry]) -> Seen:
    return {last_part(key): read_message(key, entry.value, Report) for key, entry in entries.items()}

"""The newest ledger that this node has seen, on its disk.

It outlives an etcd that is restored from an old copy: the report says it, so that no leader decides on an older ledger.
And such an etcd has an old report of this node: when what is published goes back, the report is written again. Knows
nothing of what is in a ledger but its version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from cluster.kept_file import KeptFile
from cluster.mirror import Mirror
from cluster.term import read_ledger_version, read_term
from cluster.values import BadValue, encode_value, read_message
from cluster.waking import AFTERWARDS, first_of
from licensing.ledger_version import NO_LEDGER, LedgerVersion
from licensing.value import Name, Value

log = logging.getLogger(__name__)

FILE = "ledger-seen"
WRITE_AGAIN = 5.0
"""Seconds until a file that could not be written is tried again, if nothing is published before."""


class Seen(Value, frozen=True):
    """What the file holds."""

    site_id: Name
    ledger: LedgerVersion


class LedgerSeen:
    """Follows what is published under `key`; `newest` is the last in order that was seen, also before a restart.

    `went_back` is called when something older is published than before.
    """

    def __init__(
        self,
        published: Mirror,
        key: str,
        site_id: str,
        state_dir: Path,
        went_back: Callable[[], None],
        *,
        write_again: float = WRITE_AGAIN,
    ) -> None:
        self._published = published
        self._key = key
        self._site_id = site_id
        self._file = KeptFile(state_dir / FILE, "ledger's version not kept")
        self._went_back = went_back
        self._write_again = write_again
        self._index = self._revision = 0
        self.newest = self._load()

    async def run(self) -> None:
        """Follow it and keep the newest version on the disk, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._write_down())

    async def _follow(self) -> None:
        """Look after each change, and tell where what is published went back, by itself or with all of the store."""
        while True:
            news, view = self._published.pulse.mark(), self._published.view
            entry = view.entries.get(self._key)
            index = read_term(entry).index
            if index < self._index or view.revision < self._revision:
                log.warning("what is published went back", extra={"index": index, "was": self._index})
                self._went_back()
            self._index, self._revision = index, view.revision
            self.newest = max(self.newest, read_ledger_version(entry))
            await first_of(news)

    async def _write_down(self) -> None:
        """Have it on the disk a moment after each change."""
        while True:
            news = self._published.pulse.mark()
            kept = await asyncio.to_thread(self._keep)
            await first_of(news, timeout=None if kept else self._write_again)
            try:
                await asyncio.sleep(AFTERWARDS)
            except asyncio.CancelledError:
                self._keep()
                raise

    def _keep(self) -> bool:
        """Have the newest version on the disk, if there is one; return whether it is."""
        return self.newest == NO_LEDGER or self._file.keep(encode_value(Seen(self._site_id, self.newest)))

    def _load(self) -> LedgerVersion:
        """Return what the disk remembers of this site; a file that cannot be used is told and counts for nothing."""
        try:
            seen = read_message(str(self._file.path), self._file.read(), Seen)
        except FileNotFoundError:
            return NO_LEDGER
        except (OSError, BadValue) as error:
            log.error("ledger's version not known", extra={"file": self._file.path, "why": str(error)})  # noqa: TRY400
            return NO_LEDGER
        return seen.ledger if seen.site_id == self._site_id else NO_LEDGER

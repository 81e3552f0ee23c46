"""What a node remembers of its site: the newest good state that it saw, in memory and on its disk.

Every coordinator keeps one, leader or not, so that a node that starts without etcd can answer, and so that an etcd that
was restored from an old copy takes nothing back. What is read from the disk is checked as if it came from etcd: every
licence in it is verified again. This file knows nothing of leading.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from cluster.keys import Keys
from cluster.pulse import Pulse
from cluster.store import Entry, View
from cluster.values import BadValue, encode_value
from cluster.waking import AFTERWARDS
from cluster.whole_file import write_whole
from coordinator.facts import FactReader, Facts
from coordinator.notices import Notice
from coordinator.published import Published, Snapshot
from licensing import canonical
from licensing.keyring import Keyring
from licensing.ledger import Ledger
from licensing.ledger_version import version_of
from licensing.status import Alert

log = logging.getLogger(__name__)

FILE = "snapshot"
LARGEST = 8 * 1024 * 1024
"""Bytes; its parts are at most 1 MiB each."""
PARTED = (
    "etcd was restored from an old copy and has another ledger than this node had seen, of the same sequence: that of "
    "etcd counts. Check that no licence is missing, and that nobody restores etcd by itself."
)
_HEAD = b"twinkey snapshot 1 sha256 "


class BadSnapshot(ValueError):  # noqa: N818 - it says what it is
    """The bytes are no snapshot of this site that can be believed; the text says why."""


def snapshot_of(facts: Facts) -> Snapshot | None:
    """Return what is worth remembering of these facts; None while the site or its ledger is missing or bad."""
    if facts.site is None or facts.ledger is None or not facts.ledger.sequence:
        return None
    ledger = replace(facts.ledger, usage=None)
    return Snapshot(facts.site, ledger, facts.ledger.usage, facts.clock, facts.published)


def facts_in(snapshot: Snapshot, keys: Keys, keyring: Keyring) -> Facts:
    """Return a snapshot as facts, every value checked and every licence verified.

    Raises:
        BadSnapshot: it is of another site, or one of its values cannot be used.
    """
    values = {
        keys.site: snapshot.site,
        keys.ledger: snapshot.ledger,
        keys.usage: snapshot.usage,
        keys.clock: snapshot.clock,
        keys.status: snapshot.published,
    }
    try:
        entries = {key: Entry(key, encode_value(value), 1, 1) for key, value in values.items() if value is not None}
    except BadValue as bad:
        raise BadSnapshot(str(bad)) from bad
    facts = FactReader(keys, keyring).read(View(1, MappingProxyType(entries)))
    if facts.problems:
        raise BadSnapshot("; ".join(facts.problems))
    return facts


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return the file's content: a line with the version and a checksum, then canonical JSON."""
    body = canonical.encode(snapshot)
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def from_bytes(data: bytes) -> Snapshot:
    """Return what a file's content says.

    Raises:
        BadSnapshot: it is of another version, damaged or too large.
    """
    head, _, body = data.partition(b"\n")
    if len(data) > LARGEST or not head.startswith(_HEAD):
        raise BadSnapshot("it is no snapshot of this version")
    if head.removeprefix(_HEAD) != hashlib.sha256(body).hexdigest().encode():
        raise BadSnapshot("its checksum is wrong, so it is damaged")
    try:
        return canonical.decode(body, Snapshot)
    except canonical.Malformed as malformed:
        raise BadSnapshot(str(malformed)) from malformed


def _completed(seen: Snapshot, before: Snapshot | None) -> Snapshot:
    """Return what was seen, with what was there before in the place of what is missing, bad or older."""
    if before is None:
        return seen
    return replace(
        seen,
        usage=seen.usage or before.usage,
        clock=seen.clock or before.clock,
        published=_newer(seen.published, before.published),
    )


def _newer(seen: Published | None, before: Published | None) -> Published | None:
    """Return what was seen, unless that is an older answer from the same ledger, which an old copy of the store has."""
    if seen is None or before is None:
        return seen or before
    return before if seen.ledger == before.ledger and seen.index < before.index else seen


class Memory:
    """This node's memory of its site; `run` keeps the disk up to date.

    `newest`: what was seen, None for nothing. `kept`: what the disk held at the start, as facts. A ledger never gives
    way to one that counts less. `notices`: that it gave way to another one of the same sequence, until a restart.
    """

    def __init__(self, keys: Keys, keyring: Keyring, state_dir: Path) -> None:
        self._keys = keys
        self._keyring = keyring
        self._file = state_dir / FILE
        self._pulse = Pulse()
        self._complained = False
        self.kept: Facts | None = None
        self.newest: Snapshot | None = None
        self.notices: tuple[Notice, ...] = ()
        self._load()

    @property
    def sequence(self) -> int:
        """The sequence of the newest ledger that this node has seen; 0 for none."""
        return self.newest.ledger.sequence if self.newest else 0

    def take(self, facts: Facts) -> None:
        """Remember these facts, unless they are older than what is remembered, or cannot be used."""
        seen = snapshot_of(facts)
        if seen is None or self._counts_less(seen.ledger):
            return
        seen = _completed(seen, self.newest)
        if seen != self.newest:
            self.newest = seen
            self._pulse.beat()

    def _counts_less(self, ledger: Ledger) -> bool:
        """Whether a ledger may not take the place of the one that is remembered; note where it parts from that."""
        known = self.newest.ledger if self.newest else Ledger()
        if ledger.sequence != known.sequence or ledger == known:
            return ledger.sequence < known.sequence
        if version_of(ledger) < version_of(known):
            return True
        self.notices = (Notice(Alert.STORE_RESTORED, PARTED),)
        log.warning("ledger gave way to another of the same sequence", extra={"sequence": ledger.sequence})
        return False

    async def run(self) -> None:
        """Write what is remembered to the disk soon after each change, until cancelled; a burst is one write."""
        written = 0
        while True:
            await self._pulse.after(written)
            try:
                await asyncio.sleep(AFTERWARDS)
            except asyncio.CancelledError:
                self._save_newest()
                raise
            written = self._pulse.count
            await asyncio.to_thread(self._save_newest)

    def _save_newest(self) -> None:
        """Write the file; a disk that takes none is told once and stops nothing."""
        assert self.newest is not None, "saved before anything was seen"
        try:
            write_whole(self._file, to_bytes(self.newest))
        except OSError as error:
            if not self._complained:
                log.error("snapshot not kept on disk", extra={"file": self._file, "why": error.strerror})  # noqa: TRY400
            self._complained = True
        else:
            self._complained = False

    def _load(self) -> None:
        """Take what the disk holds; what cannot be believed is told and left alone."""
        try:
            with self._file.open("rb") as file:
                snapshot = from_bytes(file.read(LARGEST + 1))
            self.kept = facts_in(snapshot, self._keys, self._keyring)
        except FileNotFoundError:
            return
        except (OSError, BadSnapshot) as error:
            log.error("snapshot on disk ignored", extra={"file": self._file, "why": str(error)})  # noqa: TRY400
            return
        self.newest = snapshot

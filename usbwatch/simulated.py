"""A USB bus that is a directory: one file per plugged key, watched with inotify, so nothing polls.

It behaves as the real bus does, and passes the same tests; no USB code may be imported here.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from asyncinotify import Event, Inotify, Mask
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licensing.genuine import nonce_of, proof_message
from licensing.seen import Challenge, Reading
from usbwatch.bus import Challenger, Judge, KeySet, Seen, judged, key_set
from usbwatch.latest import Latest
from usbwatch.simulated_key import (
    SUFFIX,
    SimulatedKey,
    id_from_name,
    key_files,
    parse_key_file,
    plug,
    plugged,
    unplug,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

__all__ = ["SimulatedBus", "SimulatedKey", "plug", "plugged", "unplug"]

_EVENTS = Mask.MOVED_TO | Mask.MOVED_FROM | Mask.CLOSE_WRITE | Mask.DELETE | Mask.DELETE_SELF | Mask.MOVE_SELF
BURST = 0.02
"""Seconds after a look in which all changes make one look more; the first change after a rest is looked at at once."""


class SimulatedBus:
    """The keys in one directory; it is created when it is not there. `burst`: see `BURST`."""

    def __init__(self, directory: Path, judge: Judge, new_challenge: Challenger, burst: float = BURST) -> None:
        self._directory = directory
        self._judge = judge
        self._new_challenge = new_challenge
        self._burst = burst
        self._latest = Latest()
        self._known: dict[str, tuple[bytes, Seen]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def abandoned(self) -> int:
        """None: a file is read without any process."""
        return 0

    async def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set at once, then the whole set after each change."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        async for keys in self._latest.readings():
            yield keys

    async def reread(self) -> None:
        """Read every key again, with a new challenge, and return when that is done."""
        await self._round(forget=frozenset(self._known))

    async def prove_again(self) -> None:
        """Do the same with those keys alone that gave a proof."""
        await self._round(forget=frozenset(name for name, (_, seen) in self._known.items() if seen.proof))

    async def close(self) -> None:
        """Stop watching the directory."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._latest.end()

    async def _follow(self) -> None:
        try:
            while True:  # once per life of the directory
                await self._follow_directory()
        except Exception as error:  # noqa: BLE001 - whoever watches must learn what broke the bus
            self._latest.end(error)

    async def _follow_directory(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        with Inotify(sync_timeout=0) as inotify:
            try:
                inotify.add_watch(self._directory, _EVENTS | Mask.ONLYDIR)
            except FileNotFoundError:
                return  # removed again this instant
            await self._round()
            looked = float("-inf")
            while not await _directory_gone(inotify, looked + self._burst):
                looked = time.monotonic()
                await self._round()

    async def _round(self, forget: frozenset[str] = frozenset()) -> None:
        async with self._one_at_a_time:
            files = key_files(self._directory)  # small ones of this machine: a thread would take longer
            former = {name: known for name, known in self._known.items() if name not in forget}
            self._known = {name: self._look(name, data, former.get(name)) for name, data in files.items()}
            self._latest.offer(key_set(seen for _, seen in self._known.values()))

    def _look(self, name: str, data: bytes, former: tuple[bytes, Seen] | None) -> tuple[bytes, Seen]:
        if former is not None and former[0] == data:
            return former
        return data, self._read(name, data)

    def _read(self, name: str, data: bytes) -> Seen:
        key = parse_key_file(data)
        if isinstance(key, str):
            return Seen(key_id=id_from_name(name), reading=Reading.FAULTY, reason=key)
        if key.broken:
            return Seen(key_id=key.key_id, reading=Reading.FAULTY, reason="the key does not answer")
        challenge = self._new_challenge()
        return judged(self._judge, key.key_id, key.licence_file, challenge, _proof(key, challenge))


def _proof(key: SimulatedKey, challenge: Challenge) -> bytes | None:
    if key.device_private_key is None:
        return None
    device = Ed25519PrivateKey.from_private_bytes(key.device_private_key)
    return device.sign(proof_message(key.key_id, nonce_of(challenge)))


async def _directory_gone(inotify: Inotify, burst_ends: float) -> bool:
    """Wait for a change, and for the end of the burst of which it may be a part (monotonic seconds).

    Tell whether the directory itself has gone.
    """
    event = await inotify.get()
    while not _ends(event) and not _is_of_a_key(event):
        event = await inotify.get()
    await asyncio.sleep(burst_ends - time.monotonic())
    return _ends(event) or any(map(_ends, _come(inotify)))


def _come(inotify: Inotify) -> Iterator[Event]:
    """All that has come meanwhile. Giving up on `get` after a time could lose an event that comes just then."""
    while event := inotify.sync_get():
        yield event


def _is_of_a_key(event: Event) -> bool:
    """Whether it may change the set: a key's file comes by a rename, and what it was before that is none."""
    return event.name is None or event.name.suffix == SUFFIX


def _ends(event: Event) -> bool:
    return bool(event.mask & (Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.IGNORED))

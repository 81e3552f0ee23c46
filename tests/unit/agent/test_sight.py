"""What the agent sees: nothing until everything was looked at, then always the newest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent import sight as sight_module
from agent.sight import Facts, Sight
from licensing.seen import Reading
from tests.waiting import eventually
from usbwatch.bus import Seen

HELD, NOT_HELD = True, False
KEY = Seen(key_id="K1", reading=Reading.OK)


class FakeBus:
    """A bus that tells what it is fed."""

    def __init__(self) -> None:
        self.abandoned = 0
        self.feed: asyncio.Queue[tuple[Seen, ...] | Exception] = asyncio.Queue()

    async def watch(self) -> AsyncIterator[tuple[Seen, ...]]:
        """Yield what is fed, or raise it."""
        while True:
            each = await self.feed.get()
            if isinstance(each, Exception):
                raise each
            yield each

    async def reread(self) -> None:
        """Nothing to read again."""

    async def prove_again(self) -> None:
        """Nothing to prove."""

    async def close(self) -> None:
        """Nothing to close."""


class FakeVip:
    """A source of the virtual IP that tells, or fails with, what it is fed."""

    def __init__(self) -> None:
        self.feed: asyncio.Queue[bool | OSError] = asyncio.Queue()

    async def watch(self) -> AsyncIterator[bool]:
        """Yield what is fed, or raise it."""
        while True:
            each = await self.feed.get()
            if isinstance(each, OSError):
                raise each
            yield each


@asynccontextmanager
async def following(sight: Sight, bus: FakeBus, vip: FakeVip) -> AsyncIterator[None]:
    """Let `sight` follow both sources meanwhile."""
    tasks = [asyncio.create_task(sight.follow_keys(bus)), asyncio.create_task(sight.follow_vip(vip.watch))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_nothing_is_known_until_both_have_spoken() -> None:
    """A node that was not looked at yet is not a node without keys."""
    sight, bus, vip = Sight(), FakeBus(), FakeVip()
    async with following(sight, bus, vip):
        bus.feed.put_nowait(())
        await sight.changed.after(0)
        assert sight.facts is None
        vip.feed.put_nowait(NOT_HELD)
        await sight.changed.after(1)
        assert sight.facts == Facts((), vip=False)


async def test_the_newest_is_kept_and_repetition_is_no_change() -> None:
    """A set that equals the last one wakes nobody."""
    sight, bus, vip = Sight(), FakeBus(), FakeVip()
    async with following(sight, bus, vip):
        vip.feed.put_nowait(HELD)
        for keys in ((), (KEY,), (KEY,), (KEY,)):
            bus.feed.put_nowait(keys)
        await eventually(bus.feed.empty)
        await eventually(lambda: sight.facts == Facts((KEY,), vip=True))
        assert sight.changed.count == 3


async def test_a_reader_that_could_not_be_ended_is_counted_although_the_keys_are_the_same() -> None:
    """The count alone is news: the key that the reader hangs on may have gone before."""
    sight, bus, vip = Sight(), FakeBus(), FakeVip()
    async with following(sight, bus, vip):
        vip.feed.put_nowait(HELD)
        bus.feed.put_nowait(())
        await eventually(lambda: sight.facts == Facts((), vip=True))
        bus.abandoned = 1
        bus.feed.put_nowait(())
        await eventually(lambda: sight.facts == Facts((), vip=True, abandoned=1))


async def test_a_virtual_ip_that_cannot_be_seen_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where watching fails the node says that it does not hold the address, and looks again later."""
    monkeypatch.setattr(sight_module, "LOOK_AGAIN", 0.01)
    sight, bus, vip = Sight(), FakeBus(), FakeVip()
    async with following(sight, bus, vip):
        bus.feed.put_nowait(())
        vip.feed.put_nowait(HELD)
        await eventually(lambda: sight.facts == Facts((), vip=True))
        vip.feed.put_nowait(OSError("no netlink here"))
        await eventually(lambda: sight.facts == Facts((), vip=False))
        vip.feed.put_nowait(HELD)
        await eventually(lambda: sight.facts == Facts((), vip=True))


async def test_a_broken_bus_is_told() -> None:
    """Not seeing the keys is an error of the agent, never an empty set."""
    bus = FakeBus()
    bus.feed.put_nowait(OSError("the bus is gone"))
    with pytest.raises(OSError, match="the bus is gone"):
        await Sight().follow_keys(bus)

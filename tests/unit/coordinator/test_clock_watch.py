"""The task that looks after the clocks: when it asks other machines, and when it wakes whoever decides."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from coordinator.clock import EffectiveClock
from coordinator.clock_watch import ASK_EVERY, ClockWatch
from coordinator.clocks import Clocks
from coordinator.time_base import FILE, KeptTime
from licensing.value import Time
from tests.unit.coordinator.stored import DAY, NOW, SECOND, A, Hands
from tests.waiting import eventually


class Members:
    """Etcd members on other machines, whose clocks the test sets; they count how often they are asked."""

    def __init__(self, shown: Mapping[str, Time], *, elsewhere: bool = True) -> None:
        self.shown = shown
        self.asked = 0
        self._elsewhere = elsewhere

    async def elsewhere(self) -> bool:
        """Whether there are any."""
        return self._elsewhere

    async def read(self) -> Mapping[str, Time]:
        """Say what their clocks show."""
        self.asked += 1
        return self.shown


def watching(folder: Path, members: Members, hands: Hands) -> tuple[ClockWatch, Clocks]:
    """Return a watch on a clock that has read the mark NOW."""
    clock = EffectiveClock(hands.wall, hands.boot)
    clock.saw(NOW)
    clocks = Clocks(clock, A, "Node A", 2)
    return ClockWatch(clocks, members, KeptTime(folder, "boot 1"), every=SECOND / 100), clocks


async def test_nobody_is_asked_while_all_is_well(tmp_path: Path) -> None:
    """Once at the start, in case the site was off, and then no more."""
    hands, members = Hands(), Members({"10.0.0.3": NOW})
    watch, clocks = watching(tmp_path, members, hands)
    await watch.begin()
    for _ in range(100):
        hands.pass_by(SECOND)
        await watch.look()
    assert (members.asked, clocks.moved.count) == (1, 0)


async def test_a_node_with_no_member_elsewhere_asks_nobody(tmp_path: Path) -> None:
    """The clock of an etcd on the same machine is the same clock."""
    hands, members = Hands(), Members({}, elsewhere=False)
    watch, clocks = watching(tmp_path, members, hands)
    await watch.begin()
    hands.at += DAY
    await watch.look()
    assert (members.asked, clocks.asks, clocks.clock.quarantined) == (0, False, True)


async def test_the_members_are_asked_at_once_and_then_at_a_slow_pace(tmp_path: Path) -> None:
    """While the own clock looks wrong; each answer lets the others look again."""
    hands, members = Hands(), Members({"10.0.0.3": NOW})
    watch, clocks = watching(tmp_path, members, hands)
    await watch.begin()
    hands.at += DAY
    seconds = int(ASK_EVERY.total_seconds()) * 2 + 1
    for _ in range(seconds):
        await watch.look()
        hands.pass_by(SECOND)
    assert (members.asked, clocks.clock.quarantined) == (4, True)


async def test_a_leap_that_the_witness_confirms_wakes_those_who_depend_on_it(tmp_path: Path) -> None:
    """A month has passed indeed: nobody sleeps on over the end of a licence."""
    hands, members = Hands(), Members({"10.0.0.3": NOW})
    watch, clocks = watching(tmp_path, members, hands)
    await watch.begin()
    await watch.look()
    hands.at += 30 * DAY
    members.shown = {"10.0.0.3": hands.at}
    await watch.look()
    assert (clocks.clock.now(), clocks.notices, clocks.moved.count) == (hands.at, (), 1)


async def test_a_clock_that_goes_wrong_and_right_again_is_news_twice(tmp_path: Path) -> None:
    """The running task notices by itself that somebody set the clock."""
    hands, members = Hands(), Members({"10.0.0.3": NOW})
    watch, clocks = watching(tmp_path, members, hands)
    running = asyncio.create_task(watch.run())
    await eventually((tmp_path / FILE).exists)
    hands.at += DAY
    await eventually(lambda: clocks.moved.count == 1)
    hands.at -= DAY
    await eventually(lambda: clocks.moved.count == 2)
    running.cancel()

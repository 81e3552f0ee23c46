"""A wall clock that was set is news of a node; one that runs is none."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from agent.clock_steps import STEP, follow_clock
from tests.waiting import eventually

NOON = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


class Hands:
    """The hands of a wall clock and a boot clock; they count how often they were read."""

    def __init__(self) -> None:
        self.at, self.up, self.looks = NOON, 1000.0, 0

    def wall(self) -> dt.datetime:
        """What the wall clock shows."""
        self.looks += 1
        return self.at

    def boot(self) -> float:
        """Seconds since boot."""
        return self.up

    async def looked(self) -> None:
        """Wait until the hands as they are now have certainly been looked at."""
        seen = self.looks
        await eventually(lambda: self.looks >= seen + 2)


@pytest.mark.parametrize("step", [dt.timedelta(days=365), -STEP * 1.01], ids=["ahead", "back"])
async def test_a_clock_that_was_set_is_reported_once(step: dt.timedelta) -> None:
    """The report goes out when the clock is set, and no more because it then runs on."""
    hands, told = Hands(), list[dt.datetime]()
    following = asyncio.create_task(follow_clock(lambda: told.append(hands.at), hands.wall, hands.boot, every=0.01))
    await hands.looked()
    hands.at += dt.timedelta(hours=1)
    hands.up += 3600
    hands.at += STEP
    await hands.looked()
    assert told == []
    hands.at += step - STEP
    await hands.looked()
    hands.at += dt.timedelta(hours=1)
    hands.up += 3600
    await hands.looked()
    assert told == [NOON + dt.timedelta(hours=1) + step]
    following.cancel()

"""What is made when it is first asked for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from coordinator.made_once import MadeOnce
from tests.waiting import eventually


class Slow:
    """Makes bytes no sooner than it may, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.may, self.asked = threading.Event(), 0

    def __call__(self) -> bytes:
        """Make them."""
        self.asked += 1
        assert self.may.wait(5)
        return b"made"


async def test_it_is_made_when_it_is_first_asked_for_and_kept() -> None:
    """Who never asks never waits for it, and all who ask are given the same bytes."""
    make = Slow()
    made = MadeOnce(make)
    assert make.asked == 0
    both = asyncio.gather(made.get(), made.get())
    await eventually(lambda: make.asked)
    assert not both.done(), "the loop turns while it is being made"
    make.may.set()
    assert await both == [b"made", b"made"]
    assert await made.get() is (await made.get())
    assert make.asked == 1


async def test_who_gives_up_waiting_does_not_end_it_for_the_others() -> None:
    """A caller that goes away in the meantime does no harm."""
    make = Slow()
    made = MadeOnce(make)
    one, other = asyncio.create_task(made.get()), asyncio.create_task(made.get())
    await eventually(lambda: make.asked)
    one.cancel()
    await asyncio.wait([one])
    make.may.set()
    assert (await other, make.asked) == (b"made", 1)


async def test_an_error_in_making_it_is_told_and_tried_again() -> None:
    """Who waits for it is told, and who asks later is given what could be made then."""
    troubles = [ValueError("no thread can be started"), ValueError("nor now")]

    def make() -> bytes:
        if troubles:
            raise troubles.pop()
        return b"made"

    made = MadeOnce(make)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"thread|now"):
            await made.get()
    assert await made.get() == b"made"

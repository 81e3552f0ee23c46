"""Waiting for pulses: no change is missed, whoever waits is woken in order, and nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from cluster.pulse import Pulse
from cluster.waking import after_others, first_of

LONG = 60.0


async def test_the_first_of_several_pulses_wakes() -> None:
    """Whichever beats first ends the waiting."""
    pulses = [Pulse() for _ in range(3)]
    for pulse in pulses:
        waiting = asyncio.create_task(first_of(*(each.mark() for each in pulses), timeout=LONG))
        await asyncio.sleep(0)
        assert not waiting.done()
        pulse.beat()
        async with asyncio.timeout(5):
            await waiting


async def test_a_beat_between_the_mark_and_the_waiting_is_not_missed() -> None:
    """Who takes the mark before looking is told of what happened while it looked."""
    busy, quiet = Pulse(), Pulse()
    marks = busy.mark(), quiet.mark()
    busy.beat()
    async with asyncio.timeout(5):
        await first_of(*marks)


async def test_two_beats_at_once_wake_once() -> None:
    """Several things that happen in one go are one reason to look."""
    first, second = Pulse(), Pulse()
    waiting = asyncio.create_task(first_of(first.mark(), second.mark()))
    await asyncio.sleep(0)
    for pulse in (first, second, first):
        pulse.beat()
    async with asyncio.timeout(5):
        await waiting


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01])
async def test_time_alone_wakes(seconds: float) -> None:
    """With a time-out it ends although nothing happens, also where the time is over already."""
    async with asyncio.timeout(5):
        await first_of(Pulse().mark(), timeout=seconds)


async def test_others_run_although_there_is_nothing_to_wait_for() -> None:
    """A task that always has something to do does not stop all others."""
    pulse = Pulse()
    mark = pulse.mark()
    pulse.beat()
    other = asyncio.create_task(asyncio.sleep(0))
    for _ in range(3):
        await first_of(mark)
    assert other.done()


async def test_those_who_wait_are_woken_in_the_order_in_which_they_began() -> None:
    """Who was there first goes first, whatever it waits with."""
    pulse, woken = Pulse(), list[str]()

    async def wait(name: str) -> None:
        if name in {"first", "third"}:
            await first_of(pulse.mark())
        else:
            await pulse.after(pulse.count)
        woken.append(name)

    names = ["first", "second", "third"]
    tasks = [asyncio.create_task(wait(name)) for name in names]
    await asyncio.sleep(0)
    pulse.beat()
    await asyncio.gather(*tasks)
    assert woken == names


async def test_who_is_cancelled_while_it_waits_is_forgotten() -> None:
    """A pulse that seldom beats gathers nobody who has gone, nor who was woken by something else."""
    seldom, often = Pulse(), Pulse()
    gone = asyncio.create_task(first_of(seldom.mark(), timeout=LONG))
    after = asyncio.create_task(seldom.after(0))
    woken = asyncio.create_task(first_of(seldom.mark(), often.mark()))
    await asyncio.sleep(0)
    gone.cancel()
    after.cancel()
    often.beat()
    await asyncio.gather(gone, after, woken, return_exceptions=True)
    assert not seldom._waiting


async def test_whoever_goes_after_others_finds_their_calls_begun() -> None:
    """All who were woken by the same beat have run by then, and the tasks that they made have begun."""
    pulse, done = Pulse(), list[str]()
    mark = pulse.mark()

    async def answer() -> None:
        await first_of(mark)
        await after_others()
        done.append("answered")

    async def call() -> None:
        done.append("called")

    async def decide() -> None:
        await first_of(mark)
        await asyncio.create_task(call())

    both = asyncio.gather(answer(), decide())
    await asyncio.sleep(0)
    pulse.beat()
    async with asyncio.timeout(5):
        await both
    assert done == ["called", "answered"]

"""Sleeping until the first of several things happens.

Every daemon sleeps like this in each of its tasks and is woken by every change: one future stands for all that may
wake a task, where a task for each would cost more than most of what they do when they are awake.
"""

from __future__ import annotations

import asyncio

from cluster.pulse import Mark

AFTERWARDS = 0.05
"""Seconds after a change in which everybody has been told of it who waits for that. What nobody waits for is done then,
once for all changes that came meanwhile, and is in nobody's way; what a change means is safe in etcd already."""
_TURNS = 3
"""Turns of the loop: in the first whoever was woken makes a call of gRPC, which begins in the second."""


async def first_of(*marks: Mark, timeout: float | None = None) -> None:  # noqa: ASYNC109
    """Return when one of the pulses has counted on, or after `timeout` seconds; others run meanwhile in any case."""
    if any(mark.passed for mark in marks) or (timeout is not None and timeout <= 0):
        await asyncio.sleep(0)
        return
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    timer = None if timeout is None else loop.call_later(timeout, _wake, woken)
    for mark in marks:
        mark.pulse.wakes(woken)
    try:
        await woken
    finally:
        if timer is not None:
            timer.cancel()
        for mark in marks:
            mark.pulse.leaves(woken)


async def after_others() -> None:
    """Return when all others that were woken have run, and what they then called for has begun."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)

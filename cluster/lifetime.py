"""The life of a daemon's process: it runs until a signal, or until one of its parts breaks. Knows no part."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from cluster.service_manager import ALONE, ServiceManager


class CannotStart(Exception):  # noqa: N818 - it says what the daemon cannot do
    """Something on this node is missing or taken; the text says what and what to do."""


class PartEnded(Exception):  # noqa: N818 - it says what happened
    """A part that should run for ever has come to an end."""


async def run_until_told(*parts: Coroutine[Any, Any, None], manager: ServiceManager = ALONE) -> None:
    """Run all parts until SIGTERM or SIGINT, then cancel them and wait for them; the `manager` sees that we live.

    The first part that breaks ends the others, and what broke it is raised here.

    Raises:
        PartEnded: a part ended by itself without an error.
    """
    told = _on_signals(signal.SIGTERM, signal.SIGINT)
    tasks = [asyncio.create_task(part) for part in (*parts, manager.keep_alive())]
    waiting = asyncio.create_task(told.wait())
    try:
        await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        manager.stopping()
        for task in (*tasks, waiting):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    if not told.is_set():
        raise PartEnded("a part of this daemon ended by itself")


async def on_hangup(action: Callable[[], Awaitable[None]], manager: ServiceManager = ALONE) -> None:
    """Do `action` after each SIGHUP, for ever; the `manager` sees it begin and end."""
    told = _on_signals(signal.SIGHUP)
    while True:
        await told.wait()
        told.clear()
        with manager.reloading():
            await action()


async def within(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    """Do `action`, and give up on it after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await action()


def _on_signals(*numbers: signal.Signals) -> asyncio.Event:
    told = asyncio.Event()
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told

"""The life of a daemon's process around its parts."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from cluster.lifetime import PartEnded, on_hangup, run_until_told, within
from cluster.service_manager import ServiceManager
from tests.notify_socket import NotifySocket
from tests.waiting import eventually


class Part:
    """A part that runs until it is cancelled, and knows whether it was."""

    def __init__(self) -> None:
        self.running = False
        self.cancelled = False

    async def run(self) -> None:
        """Run for ever."""
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_parts_in_peace(number: signal.Signals) -> None:
    """SIGTERM and SIGINT cancel every part; ending so is no error."""
    part = Part()
    running = asyncio.create_task(run_until_told(part.run()))
    await eventually(lambda: part.running)
    os.kill(os.getpid(), number)
    await asyncio.wait_for(running, 5)
    assert part.cancelled


async def test_what_breaks_a_part_is_raised_and_ends_the_others() -> None:
    """One broken part takes the daemon down, so that whoever supervises it starts it anew."""
    part = Part()

    async def broken() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await run_until_told(part.run(), broken())
    assert part.cancelled


async def test_a_part_that_ends_by_itself_is_an_error() -> None:
    """A daemon without one of its parts does not pretend to be whole."""

    async def short() -> None:
        return

    with pytest.raises(PartEnded):
        await run_until_told(Part().run(), short())


async def test_each_hangup_is_acted_on() -> None:
    """SIGHUP does its action once per signal, again and again."""
    done: list[int] = []

    async def action() -> None:
        done.append(len(done))

    running = asyncio.create_task(on_hangup(action))
    try:
        for count in (1, 2):
            await eventually(lambda: signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda count=count: len(done) == count)  # type: ignore[misc]
    finally:
        running.cancel()


async def test_the_manager_sees_a_daemon_live_reload_and_stop(tmp_path: Path) -> None:
    """Signs of life as long as the parts run, a reload for each SIGHUP, and at the end that it stops."""
    with NotifySocket(str(tmp_path / "notify")) as notified:
        manager, part, done = ServiceManager(notified.address, watchdog=0.05), Part(), asyncio.Event()

        async def action() -> None:
            assert notified.states == ["RELOADING=1"]
            done.set()

        running = asyncio.create_task(run_until_told(part.run(), on_hangup(action, manager), manager=manager))
        await eventually(lambda: part.running and notified.count("WATCHDOG=1") > 1)
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(5):
            await done.wait()
        await eventually(lambda: notified.states == ["RELOADING=1", "READY=1"])
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await running
        assert notified.states == ["RELOADING=1", "READY=1", "STOPPING=1"]


async def test_an_action_that_hangs_is_given_up() -> None:
    """Closing does not keep the process from ending."""
    part = Part()
    await asyncio.wait_for(within(0.01, part.run), 5)
    assert part.cancelled

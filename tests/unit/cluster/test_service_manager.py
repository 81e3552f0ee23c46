"""What the service manager is told, over a socket like its own."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.service_manager import ALONE, ServiceManager
from tests.notify_socket import NotifySocket
from tests.waiting import eventually


@pytest.fixture(params=["path", "abstract"])
def notified(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    """Give a manager's socket of either kind."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@twinkey-test-{os.getpid()}"
    with NotifySocket(address) as found:
        yield found


def test_a_daemon_is_ready_once(notified: NotifySocket) -> None:
    """Readiness is told once: a second word of it would end a reload too early."""
    manager = ServiceManager(notified.address)
    manager.ready()
    manager.ready()
    manager.stopping()
    assert notified.said == ["READY=1", "STOPPING=1"]


def test_what_it_does_is_one_line_and_told_when_it_changes(notified: NotifySocket) -> None:
    """No text can forge a message of its own, and the same line is not told twice."""
    manager = ServiceManager(notified.address)
    for text in ("leads", "leads", "is told\nREADY=1"):
        manager.say(text)
    assert notified.said == ["STATUS=leads", "STATUS=is told READY=1"]


def test_a_reload_has_a_beginning_and_an_end(notified: NotifySocket) -> None:
    """The beginning tells the time of the machine's clock, without which systemd does not believe it."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    with ServiceManager(notified.address).reloading():
        first, second = notified.said
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert notified.said[2:] == ["READY=1"]


def test_a_reload_that_breaks_ends_too(notified: NotifySocket) -> None:
    """Else systemd would wait for it until it gives up on the daemon."""
    with pytest.raises(OSError, match="broken"), ServiceManager(notified.address).reloading():
        raise OSError("broken")
    assert notified.states == ["RELOADING=1", "READY=1"]


async def test_signs_of_life_come_in_time(tmp_path: Path) -> None:
    """The second comes before the time is over that the manager waits for it."""
    with NotifySocket(str(tmp_path / "notify")) as notified:
        living = asyncio.create_task(ServiceManager(notified.address, watchdog=2.0).keep_alive())
        await eventually(lambda: notified.count("WATCHDOG=1") == 2, within=1.9)
        living.cancel()


async def test_a_loop_that_hangs_gives_no_sign_of_life(tmp_path: Path) -> None:
    """Signs come while the event loop turns, not faster than they must, and none while it does not."""
    with NotifySocket(str(tmp_path / "notify")) as notified:
        living = asyncio.create_task(ServiceManager(notified.address, watchdog=0.1).keep_alive())
        began = time.monotonic()
        await eventually(lambda: notified.count("WATCHDOG=1") >= 3)
        assert time.monotonic() - began >= 0.09
        before = notified.count("WATCHDOG=1")
        time.sleep(0.3)  # noqa: ASYNC251 - the loop must hang
        assert notified.count("WATCHDOG=1") == before
        living.cancel()


def test_the_environment_names_it_and_loses_it(tmp_path: Path) -> None:
    """Address and watchdog are taken out, so that no child speaks for us; the watchdog counts if it is for us."""
    with NotifySocket(str(tmp_path / "notify")) as notified:
        for pid, watchdog in (("", 30.0), (str(os.getpid()), 30.0), ("1", 0.0)):
            environ = {"NOTIFY_SOCKET": notified.address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": pid, "HOME": "/"}
            manager = ServiceManager.taken_from(environ)
            manager.say(pid or "anybody")
            assert (manager._watchdog, environ) == (watchdog, {"HOME": "/"})
        assert notified.said == ["STATUS=anybody", f"STATUS={os.getpid()}", "STATUS=1"]


def test_without_a_manager_nothing_is_told() -> None:
    """An environment without one, and one whose watchdog is no number, are nobody; so is `ALONE`."""
    for manager in (ServiceManager.taken_from({}), ServiceManager.taken_from({"WATCHDOG_USEC": "soon"}), ALONE):
        manager.ready()
        manager.say("nobody hears")
        assert (manager._address, manager._watchdog) == ("", 0.0)


def test_a_manager_that_is_gone_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be told is a line in the log."""
    with caplog.at_level(logging.WARNING):
        ServiceManager(str(tmp_path / "nobody")).ready()
    assert "service manager is not told" in caplog.text


def test_a_child_of_ours_does_not_know_it(tmp_path: Path) -> None:
    """What is taken from a process's own environment does not reach what it starts."""
    program = (
        "import os, subprocess, sys; from cluster.service_manager import ServiceManager; "
        "ServiceManager.taken_from(os.environ).ready(); "
        "print(subprocess.run(['/usr/bin/env'], capture_output=True, text=True).stdout)"
    )
    with NotifySocket(str(tmp_path / "notify")) as notified:
        environ = os.environ | {"NOTIFY_SOCKET": notified.address}
        ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
        assert notified.said == ["READY=1"]
    assert "PATH=" in ran.stdout
    assert "NOTIFY_SOCKET" not in ran.stdout

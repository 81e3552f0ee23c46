"""Hot-plug on a real kernel: keys are seen by the kernel's events, wherever the agent runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from signal import SIGKILL

import pytest

from tests.kernel.agent import NOBODY_SPECIAL
from tests.kernel.devices import Devices
from tests.kernel.machine import Machine
from tests.kernel.udevd import udevd
from tests.usbmodel.testbed import Key
from tests.waiting import eventually_sync

START = 60.0
"""Seconds that a Python process may take to start on the emulated processor."""
WATCH = (sys.executable, "-m", "tests.kernel.watch_events")


@contextmanager
def watching(machine: Machine, argv: tuple[str, ...], uid: int) -> Iterator[None]:
    """Run a process that looks at the bus when there is an event and never else; it has looked once."""
    machine.order("start", name="watch", argv=argv, uid=uid)
    try:
        eventually_sync(lambda: seen(machine) == ["0"], START)
        yield
    finally:
        machine.order("send", name="watch", number=SIGKILL)
        eventually_sync(lambda: machine.order("state", name="watch")["code"] is not None)


def seen(machine: Machine) -> list[str]:
    """Return the number of keys after each change."""
    state = machine.order("state", name="watch")
    if state["code"] is not None:
        raise RuntimeError(state["printed"])  # no use in waiting for more
    return str(state["printed"]).split()


@pytest.mark.parametrize(
    ("argv", "uid", "with_udevd"),
    [
        pytest.param(WATCH, 0, False, id="no-udevd"),
        pytest.param(WATCH, NOBODY_SPECIAL, True, id="udevd"),
        pytest.param(("unshare", "--net", *WATCH), 0, False, id="network-namespace"),
    ],
)
def test_keys_are_seen_by_events_alone(
    machine: Machine, devices: Devices, argv: tuple[str, ...], uid: int, *, with_udevd: bool
) -> None:
    """Each plug and pull is seen although nobody looks in between."""
    with udevd(machine) if with_udevd else nullcontext(), watching(machine, argv, uid):
        for _ in range(3):
            devices.plug(0, Key("LK-1", b""))
            eventually_sync(lambda: seen(machine)[-1] == "1")
            devices.unplug(0)
            eventually_sync(lambda: seen(machine)[-1] == "0")

"""An agent without privileges on a real kernel: what it may open is what udev has handed to it."""

from __future__ import annotations

from collections.abc import Iterator
from signal import SIGTERM

import pytest

from tests.kernel.agent import NOBODY_SPECIAL, START_SECONDS, GuestAgent
from tests.kernel.devices import Devices
from tests.kernel.guest_site import licence_key, readings
from tests.kernel.machine import Machine
from tests.kernel.udevd import udevd
from tests.site import LiveSite, node_in


@pytest.fixture(scope="module")
def unprivileged(running: LiveSite, machine: Machine) -> Iterator[GuestAgent]:
    """Let node a's agent be a user that nobody knows, in the group that the udev rule names."""
    agent = running.agents["a"]
    assert isinstance(agent, GuestAgent)
    agent.end(SIGTERM)
    machine.order("group", name="twinkey", gid=NOBODY_SPECIAL)
    agent.uid = NOBODY_SPECIAL
    yield agent
    agent.end(SIGTERM)
    agent.uid = 0


@pytest.mark.usefixtures("unprivileged")
def test_a_key_that_may_not_be_opened_names_the_udev_rule(site: LiveSite, devices: Devices) -> None:
    """Without udevd the key is faulty, and the operator is told what is missing."""
    devices.plug(0, licence_key(site, "LK-1"))
    status = site.wait_for("b", lambda status: "faulty" in readings(status).values(), START_SECONDS)
    (key,) = node_in(status, "a")["ukeys"]
    assert "no permission to open /dev/bus/usb/" in key["reason"]
    assert "install the udev rule" in key["reason"]


@pytest.mark.usefixtures("unprivileged")
def test_the_udev_rule_alone_lets_the_agent_read_keys(site: LiveSite, devices: Devices, machine: Machine) -> None:
    """With udevd and the rule that we print, a user without any privilege reads and proves the key."""
    with udevd(machine):
        devices.plug(0, licence_key(site, "LK-1"))
        for status in site.wait_for_all(lambda status: status["keyState"] == "Ready", START_SECONDS):
            assert readings(status) == {"LK-1": "ok"}

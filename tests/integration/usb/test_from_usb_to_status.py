"""A key in a real USB stack, all the way: libusb, driver, agent, etcd, coordinator, both nodes' HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import LiveSite, started
from tests.usbmodel.testbed import KEYBOARD, Key, UmockBus


@pytest.fixture
def site(tmp_path: Path, umock_bus: UmockBus) -> Iterator[LiveSite]:
    """Run a site whose node a has a USB bus made of software instead of a simulated one."""
    folder = tmp_path / "site"
    folder.mkdir()
    site = LiveSite(folder)
    site.agents["a"].environment = umock_bus.environment() | {"TWINKEY_BUS": "usb"}
    with started(site):
        yield site


def test_a_usb_key_becomes_the_published_status(site: LiveSite, umock_bus: UmockBus) -> None:
    """Plugged in, the key proves itself and its licence is in force on both nodes; pulled out, it is Missing."""
    told = site.new_key("LK-1")
    assert told.device_private_key
    umock_bus.plug_other("1-2", KEYBOARD, "")
    umock_bus.plug("1-3", Key("LK-1", told.licence_file, told.device_private_key))
    for status in site.wait_for_all(lambda status: status["keyState"] == "Ready"):
        assert (status["license"]["keyId"], status["license"]["status"]) == ("LK-1", "Valid")
    umock_bus.unplug("1-3")
    site.wait_for_all(lambda status: status["keyState"] == "Missing" and status["buffer"] is not None)
    assert umock_bus.touched("1-2") == 0


def test_a_copied_usb_key_is_a_fault(site: LiveSite, umock_bus: UmockBus) -> None:
    """A key that holds another key's licence but not its device key is shown as not genuine, and grants nothing."""
    told, other = site.new_key("LK-1"), site.new_key("LK-2")
    assert other.device_private_key
    umock_bus.plug("1-3", Key("LK-1", told.licence_file, other.device_private_key))
    for status in site.wait_for_all(lambda status: status["keyState"] == "Fault"):
        assert status["nodes"][0]["ukeys"][0]["reading"] == "not-genuine"
        assert status["license"]["source"] == "built-in"

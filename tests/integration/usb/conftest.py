"""The USB bus of these tests, and a process that watches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from licensing.keyring import render_keyring
from tests.usbmodel.fixtures import umock_bus, vendor
from tests.usbmodel.testbed import UmockBus
from tests.usbmodel.vendor import Vendor
from tests.usbmodel.watched import Watched

__all__ = ["umock_bus", "vendor", "watched"]


@pytest.fixture
def watched(umock_bus: UmockBus, vendor: Vendor, tmp_path: Path) -> Callable[..., Watched]:
    """Give a function that starts watching the bus; `read_deadline` in seconds, `stick_ids` as "0781:5567"."""
    keyring = tmp_path / "keyring.json"
    keyring.write_bytes(render_keyring(vendor.keyring))

    def start(read_deadline: float = 5.0, stick_ids: tuple[str, ...] = ()) -> Watched:
        return Watched.start(umock_bus, keyring, read_deadline, tmp_path / "sets", stick_ids)

    return start

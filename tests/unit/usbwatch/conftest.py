"""Buses under test, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.usbwatch.rigs import Rig, SimulatedRig, UsbRig
from tests.usbmodel.fixtures import vendor
from tests.usbmodel.vendor import Vendor

__all__ = ["rig", "simulated", "usb", "vendor"]


@pytest.fixture(params=[SimulatedRig, UsbRig])
async def rig(request: pytest.FixtureRequest, tmp_path: Path, vendor: Vendor) -> AsyncIterator[Rig]:
    """Give each kind of bus in turn."""
    made: Rig = request.param(tmp_path, vendor)
    yield made
    await made.bus.close()


@pytest.fixture
async def simulated(tmp_path: Path, vendor: Vendor) -> AsyncIterator[SimulatedRig]:
    """Give the simulated bus."""
    made = SimulatedRig(tmp_path, vendor)
    yield made
    await made.bus.close()


@pytest.fixture
async def usb(tmp_path: Path, vendor: Vendor) -> AsyncIterator[UsbRig]:
    """Give the real bus over a made-up sysfs and reader."""
    made = UsbRig(tmp_path, vendor)
    yield made
    await made.bus.close()

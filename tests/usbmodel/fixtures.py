"""Fixtures for tests that need USB devices: import them in a conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.usbmodel.testbed import UmockBus, umockdev_bus
from tests.usbmodel.vendor import Vendor


@pytest.fixture
def umock_bus(tmp_path: Path) -> Iterator[UmockBus]:
    """Give a USB bus made of software."""
    with umockdev_bus(tmp_path) as bus:
        yield bus


@pytest.fixture(scope="session")
def vendor() -> Vendor:
    """Give a vendor with throw-away keys."""
    return Vendor()

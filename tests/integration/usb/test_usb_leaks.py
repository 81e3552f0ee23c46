"""A node runs for years: whatever is plugged in and pulled out, nothing of it stays behind in the agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.integration.usb.hub import all_ok, plug_eight, unplug_eight
from tests.usbmodel.testbed import UmockBus
from tests.usbmodel.vendor import Vendor
from tests.usbmodel.watched import Watched

Watch = Callable[..., Watched]
ROUNDS = 125
"""With eight keys in each, a thousand."""


@pytest.mark.timeout(600)
def test_plugging_again_and_again_leaves_nothing_behind(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """After a thousand keys were plugged, read and pulled, the watching process is what it was."""
    watch = watched()
    for _ in range(5):  # until all is loaded that is loaded once
        plug_and_pull_eight(umock_bus, vendor, watch)
    watch.until_ready()
    before = watch.footprint()
    for _ in range(ROUNDS):
        plug_and_pull_eight(umock_bus, vendor, watch)
    watch.until_ready()
    after = watch.footprint()
    assert replace(after, memory=0) == replace(before, memory=0)
    assert after.memory < before.memory + 4 * 1024


def plug_and_pull_eight(umock_bus: UmockBus, vendor: Vendor, watch: Watched) -> None:
    """Plug a hub in, wait until its keys are read, and pull it out."""
    plug_eight(umock_bus, vendor)
    watch.until(all_ok, within=60)
    unplug_eight(umock_bus)
    watch.until(lambda keys: keys == ())

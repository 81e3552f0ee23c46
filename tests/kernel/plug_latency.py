"""How long it takes from plugging a licence key in until the site's published status says so, on a real kernel.

Usage: python -m tests.kernel.plug_latency [--plugs N]

Node a's agent runs on an emulated processor, ten times slower than a real one or worse; etcd, both coordinators and
this program run on the host. Measured with the host's clock, from the order to plug in until node b answers a waiting
client (`GET /v1/status?wait=`) with the key's licence in force: the kernel's own work, the event, reading the key with
its challenge and response, the report, the decision, the answer. What the kernel takes until its event is measured
with the guest's clock and taken off for the second figure; the way of the order to the guest, below a millisecond, is
not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.kernel.agent import START_SECONDS
from tests.kernel.devices import Devices
from tests.kernel.guest_site import licence_key, site_with_guest
from tests.kernel.machine import Machine
from tests.site import LiveSite, Status
from tests.usbmodel.testbed import Key


class Latency(NamedTuple):
    """Seconds from the order, and from the kernel's event, to the published status."""

    from_order: float
    from_event: float


def measure(machine: Machine, site: LiveSite, plugs: int) -> list[Latency]:
    """Plug a key in and pull it out so many times."""
    devices, key = Devices(machine), licence_key(site, "LK-1")
    return [_plug_once(machine, site, devices, key) for _ in range(plugs)]


def report(latencies: list[Latency]) -> str:
    """Return the figures as a table, in milliseconds."""
    lines = [f"{len(latencies)} plugs; milliseconds      p50     p99     max"]
    columns = zip(("order -> published", "kernel event -> published"), zip(*latencies, strict=True), strict=True)
    for name, seconds in columns:
        figures = (statistics.median(seconds), _percentile(seconds, 99), max(seconds))
        lines.append(f"{name:26}" + "".join(f"{1000 * figure:8.0f}" for figure in figures))
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugs", type=int, default=50, help="how often the key is plugged in")
    plugs = parser.parse_args().plugs
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        machine = Machine(Path(folder))
        try:
            machine.start()
            (Path(folder) / "site").mkdir()
            with site_with_guest(machine, Path(folder) / "site") as site:
                sys.stdout.write(report(measure(machine, site, plugs)) + "\n")
        finally:
            machine.stop()


def _plug_once(machine: Machine, site: LiveSite, devices: Devices, key: Key) -> Latency:
    machine.order("uevents")
    index = site.status("b")["index"]
    ordered = time.monotonic()
    begun = devices.plug(0, key)
    _wait_until_ready(site, index)
    from_order = time.monotonic() - ordered
    events = machine.order("uevents")
    (found,) = (event["at"] for event in events if (event["action"], event["kind"]) == ("add", "usb_device"))
    devices.unplug(0)
    site.wait_for("b", lambda status: status["keyState"] == "Missing" and status["buffer"] is not None, START_SECONDS)
    return Latency(from_order, from_order - (found - begun))


def _wait_until_ready(site: LiveSite, index: int) -> None:
    """Return as soon as node b tells a client that waits for news, so that nothing is added by looking."""
    give_up = time.monotonic() + START_SECONDS
    status: Status = {}
    while status.get("keyState") != "Ready":
        assert time.monotonic() < give_up, status
        status = json.loads(site.get("b", f"/v1/status?wait=30&index={index}", within=40).body)
        index = status["index"]


def _percentile(values: tuple[float, ...], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)]


if __name__ == "__main__":
    main()

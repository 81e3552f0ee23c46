"""Measures the USB bus on one made of software: how soon a plug is published, and what watching costs.

Usage: python -m tests.measure.usb_bus [--plugs 50] [--idle SECONDS]. The bus is umockdev's; libusb, the driver, the
agent, etcd and both coordinators are real. Keys prove themselves by challenge and response.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.measure.listening import Listener, Status
from tests.site import LiveSite
from tests.usbmodel.testbed import KEYBOARD, Key, UmockBus, umockdev_bus

ALLOWED = 2.0
"""Seconds in which the platform's documentation has the information of a key appear."""
WITHIN = 10.0
REST = 1.0
"""Seconds between two plugs: nobody is faster, and what the last one set off has ended."""
DEVICES = 20
LEASE_TTL = "5"
"""Of the agent, as it is by default; tests use a shorter one."""
CARD_READER = (0x08E6, 0x3437)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugs", type=int, default=50, help="how often the key is plugged in")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to watch an idle bus")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_site(Path(folder)) as (site, bus):
        print_latencies(plug_latencies(site, bus, arguments.plugs))
        print_idle(*idle(site, bus, arguments.idle), arguments.idle)


@contextmanager
def running_site(folder: Path) -> Iterator[tuple[LiveSite, UmockBus]]:
    """Run a site whose node a has a USB bus made of software."""
    (folder / "site").mkdir()
    with umockdev_bus(folder) as bus:
        site = LiveSite(folder / "site")
        site.agents["a"].environment = bus.environment() | {"TWINKEY_BUS": "usb", "TWINKEY_LEASE_TTL": LEASE_TTL}
        try:
            site.start()
            yield site, bus
        finally:
            site.close()


def plug_latencies(site: LiveSite, bus: UmockBus, plugs: int) -> dict[str, list[float]]:
    """Return the seconds from each plug to the status that shows it, as it arrives from each node."""
    told = site.new_key("LK-1")
    key = Key("LK-1", told.licence_file, told.device_private_key or b"")
    listeners = {label: Listener(node.port, site.site.token) for label, node in site.nodes.items()}
    seconds: dict[str, list[float]] = {label: [] for label in listeners}
    for _ in range(plugs):
        time.sleep(REST)
        plugged = time.monotonic()
        bus.plug("1-3", key)
        for label, listener in listeners.items():
            seconds[label].append(listener.first(ready, plugged, WITHIN) - plugged)
        pulled = time.monotonic()
        bus.unplug("1-3")
        for listener in listeners.values():
            listener.first(lambda status: status["keyState"] == "Missing", pulled, WITHIN)
    return seconds


def ready(status: Status) -> bool:
    """Whether the key is there, has proved itself, and its licence is in force."""
    keys = [key for node in status["nodes"] for key in node["ukeys"]]
    proven = [key["assurance"] for key in keys] == ["proven"]
    return proven and status["keyState"] == "Ready" and status["license"]["status"] == "Valid"


def idle(site: LiveSite, bus: UmockBus, seconds: float) -> tuple[float, int, int]:
    """Return what the agent's processor share is with a full bus, and the calls made to keys and to other devices."""
    told = site.new_key("LK-1")
    bus.plug("1-1", Key("LK-1", told.licence_file, told.device_private_key or b""))
    for number in range(2, DEVICES + 1):
        bus.plug_other(f"1-{number}", KEYBOARD if number % 2 else CARD_READER, "")
    site.wait_for("a", ready)
    time.sleep(1)  # what the plugging set off has ended
    touched, used = bus.touched("1-1"), site.agents["a"].cpu_seconds
    time.sleep(seconds)
    used = site.agents["a"].cpu_seconds - used
    others = sum(bus.touched(f"1-{number}") for number in range(2, DEVICES + 1))
    return used / seconds, bus.touched("1-1") - touched, others


def print_latencies(seconds: dict[str, list[float]]) -> None:
    """Print what was measured of plugs, in milliseconds."""
    for label, each in seconds.items():
        each.sort()
        p99 = each[math.ceil(0.99 * len(each)) - 1]
        print(  # noqa: T201
            f"plug to published, as told by node {label}: p50 {1000 * median(each):.0f} ms, p99 {1000 * p99:.0f} ms, "
            f"slowest {1000 * each[-1]:.0f} ms of {len(each)} plugs; the platform allows {1000 * ALLOWED:.0f} ms"
        )


def print_idle(share: float, keys: int, others: int, seconds: float) -> None:
    """Print what was measured at rest."""
    print(  # noqa: T201
        f"idle agent with {DEVICES} devices on its bus: {100 * share:.2f} % of a core over {seconds:.0f} s, "
        f"{keys} calls to the key, {others} calls to other devices"
    )


if __name__ == "__main__":
    main()

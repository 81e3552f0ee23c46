"""Wakes the bus when the kernel says that something was plugged in or pulled out.

The events are a hint to look, and nothing more: they get lost, and what is true is read from sysfs. They come
from the kernel and not from udevd, so that they also come where no udevd runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

import pyudev

from usbwatch.driver import Ids
from usbwatch.heard import Heard, heard_of

logger = logging.getLogger(__name__)

LOST = 100
"""As how many events those count whose number is not known, because there were too many."""


Ring = Callable[[Heard], None]
"""Is called with what has just been heard."""


def kernel_monitor() -> pyudev.Monitor:
    """Open a socket on which the kernel tells of USB devices; OSError or ImportError where it cannot."""
    monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
    monitor.filter_by("usb", "usb_device")
    monitor.start()
    return monitor


@contextmanager
def kernel_uevents(
    ring: Ring, claims: AbstractSet[Ids], open_monitor: Callable[[], pyudev.Monitor] = kernel_monitor
) -> Iterator[None]:
    """Call `ring` in the running loop when USB events come, until the context is left; without netlink, never.

    What is in `claims` is counted apart.
    """
    try:
        monitor = open_monitor()
    except (OSError, ImportError) as error:  # ImportError: no libudev
        logger.warning("no hot-plug events, keys are found by looking for them: %s", error)
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(monitor.fileno(), _drain, monitor, ring, claims)
    try:
        yield
    finally:
        loop.remove_reader(monitor.fileno())


def _drain(monitor: pyudev.Monitor, ring: Ring, claims: AbstractSet[Ids]) -> None:
    heard = Heard()
    try:
        while (device := monitor.poll(timeout=0)) is not None:
            # What the event itself says; the attributes in sysfs are not asked, they may make the asker wait.
            heard += heard_of(device.action, device.properties.get("PRODUCT"), claims)
    except OSError as error:  # the queue overflowed: a reason more to look
        logger.info("hot-plug events were lost: %s", error)
        heard += Heard(events=LOST)
    ring(heard)

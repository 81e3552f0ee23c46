"""A process that sees keys by the kernel's events alone: it never looks again without one. Prints the number of keys.

Usage: python -m tests.kernel.watch_events
"""

from __future__ import annotations

import asyncio

from tests.usbmodel.vendor import Vendor
from usbwatch.bus import challenger
from usbwatch.real import UsbBus
from usbwatch.timings import UsbTimings

NEVER = 1e6


async def watch() -> None:
    """Print the number of keys after each change, for ever; what is on the keys does not matter."""
    bus = UsbBus(Vendor().judge, challenger("site"), timings=UsbTimings(reconcile=NEVER))
    async for keys in bus.watch():
        print(len(keys), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(watch())

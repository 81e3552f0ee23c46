"""A process that watches the real USB bus: prints each set of keys as a JSON line; a line on stdin makes it reread.

Usage: python -m tests.usbmodel.watch_bus KEYRING READ_DEADLINE
"""

from __future__ import annotations

import asyncio
import functools
import sys
from pathlib import Path

from licensing import canonical
from licensing.genuine import judge_key
from licensing.keyring import parse_keyring
from usbwatch.real import UsbBus


async def watch(keyring: Path, read_deadline: float) -> None:
    """Print sets until stdin ends, then close the bus."""
    keys = parse_keyring(keyring.read_bytes())  # noqa: ASYNC240 - before anything else runs
    bus = UsbBus(functools.partial(judge_key, keys), read_deadline=read_deadline)
    printing = asyncio.create_task(_print_sets(bus))
    while await asyncio.to_thread(sys.stdin.readline):
        await bus.reread()
        print('"reread"', flush=True)  # noqa: T201
    await bus.close()
    await printing


async def _print_sets(bus: UsbBus) -> None:
    async for keys in bus.watch():
        print(canonical.encode(keys).decode(), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(watch(Path(sys.argv[1]), float(sys.argv[2])))

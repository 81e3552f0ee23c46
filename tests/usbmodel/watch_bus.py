"""A process that watches the real USB bus: prints each set of keys as a JSON line.

A line on stdin names a method of the bus, as `reread`; its name is printed when that is done.

Usage: python -m tests.usbmodel.watch_bus KEYRING READ_DEADLINE [STICK_IDS …]
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from pathlib import Path

from licensing import canonical
from licensing.genuine import judge_key
from licensing.keyring import parse_keyring
from usbwatch.bus import challenger
from usbwatch.driver import drivers_with, parse_ids
from usbwatch.real import UsbBus


async def watch(keyring: Path, read_deadline: float, stick_ids: list[str]) -> None:
    """Print sets until stdin ends, then close the bus."""
    keys = parse_keyring(keyring.read_bytes())  # noqa: ASYNC240 - before anything else runs
    judge = functools.partial(judge_key, keys)
    drivers = drivers_with(map(parse_ids, stick_ids))
    bus = UsbBus(judge, challenger("site"), drivers, read_deadline=read_deadline)
    printing = asyncio.create_task(_print_sets(bus))
    orders = {"reread": bus.reread, "prove_again": bus.prove_again}
    while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
        await orders[order]()
        print(json.dumps(order), flush=True)  # noqa: T201
    await bus.close()
    await printing


async def _print_sets(bus: UsbBus) -> None:
    async for keys in bus.watch():
        print(canonical.encode(keys).decode(), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(watch(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))

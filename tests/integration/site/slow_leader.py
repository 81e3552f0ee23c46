"""A leader that may be frozen between its decision and its write, which no test can time in the real coordinator.

It stands for election as the coordinator does, with the product's own parts. For each line on standard input it commits
what it had decided before under its leadership's fence alone, so that nothing but the fence can refuse it.

Usage: python slow_leader.py ENDPOINT SITE. Prints `deciding EPOCH`, then per line `accepted REVISION` or `refused`.
"""

from __future__ import annotations

import asyncio
import sys

from msgspec.structs import replace

from cluster.election import Election, Leadership
from cluster.etcd import EtcdStore
from cluster.keys import Keys
from cluster.mirror import Mirror
from cluster.store import Put, Refused
from cluster.timings import Timings
from cluster.values import decode_value, encode_value
from coordinator.published import Published

NODE = "11111111-1111-4111-8111-111111111111"


async def main(endpoint: str, site: str) -> None:
    """Lead, decide, and commit when told to."""
    keys, timings = Keys(site), Timings()
    store = EtcdStore([endpoint], timings)
    mirror = Mirror(store, keys.prefix, timings)
    election = Election(store, mirror, key=keys.leader, node=NODE, name="slow", timings=timings)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(mirror.run()), group.create_task(election.run())]
        leadership = await _lead(election)
        decided = _decided(mirror, keys, leadership)
        tell(f"deciding {leadership.epoch}")
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                revision = await store.commit((leadership.fence(),), (Put(keys.status, decided),))
                tell(f"accepted {revision}")
            except Refused:
                tell("refused")
        for task in tasks:
            task.cancel()
    await store.close()


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _lead(election: Election) -> Leadership:
    while election.leadership is None:
        await election.changed(election.version)
    return election.leadership


def _decided(mirror: Mirror, keys: Keys, leadership: Leadership) -> bytes:
    """Return the published answer, a publication on and under our epoch."""
    entry = mirror.view.entries[keys.status]
    before = decode_value(entry.key, entry.value, Published)
    return encode_value(replace(before, index=before.index + 1, epoch=leadership.epoch))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Moving records to their places: what stood there goes, whatever it was."""

from __future__ import annotations

from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.record_batches import next_moves
from cluster.store import Put
from licensing.ledger import Staged

KEYS = Keys("s")


async def test_a_record_that_cannot_be_read_goes_too() -> None:
    """Where nothing is staged for its place nothing stays; what is behind the end is left alone."""
    cluster = MemoryCluster()
    cluster.apply([Put(KEYS.record(number), b"?") for number in range(4)])
    moves, staged = await next_moves(cluster.client(), KEYS, Staged("area", 1), 3)
    cluster.apply(moves)
    assert staged == Staged("area", 3)
    assert list(cluster.entries) == [KEYS.record(0), KEYS.record(3)]

"""Moving records to their places: what stood there goes, whatever it was."""

from __future__ import annotations

from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.record_batches import behind_the_end, next_moves
from cluster.records import index_writes
from cluster.store import Put
from licensing.ledger import Staged
from tests.history import content, history

KEYS = Keys("s")


async def test_a_record_that_cannot_be_read_goes_too() -> None:
    """Where nothing is staged for its place nothing stays; what is behind the end is left alone."""
    cluster = MemoryCluster()
    cluster.apply([Put(KEYS.record(number), b"?") for number in range(4)])
    moves, staged = await next_moves(cluster.client(), KEYS, Staged("area", 1), 3)
    cluster.apply(moves)
    assert staged == Staged("area", 3)
    assert list(cluster.entries) == [KEYS.record(0), KEYS.record(3)]


async def test_what_is_behind_the_end_goes_with_its_places_in_all_orders() -> None:
    """Batch by batch until nothing is left, also what cannot be read; the history before it and what is staged stay."""
    cluster = MemoryCluster()
    records, _ = history([content(number) for number in range(30)])
    for record in records[:5]:
        cluster.apply(index_writes(KEYS, record))
    cluster.apply([Put(KEYS.staged("area", 9), b"?"), Put(KEYS.ledger, b"x")])
    before = dict(cluster.entries)
    for record in records[5:]:
        cluster.apply(index_writes(KEYS, record))
    cluster.apply([Put(KEYS.record(40), b"?")])
    batches = 0
    while writes := await behind_the_end(cluster.client(), KEYS, 5):
        cluster.apply(writes)
        batches += 1
    assert cluster.entries == before
    assert batches == 2

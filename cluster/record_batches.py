"""Records in bulk: reading all of a history, and putting another one in its place.

What takes more than one transaction must be right between any two of them. So records are first staged, each in an area
that nobody reads; once the ledger says that they count, they are moved to their places batch by batch, and the ledger
says how far. Whoever leads can go on with that.
"""

from __future__ import annotations

from collections.abc import Sequence

from cluster.keys import Keys
from cluster.records import decode_record, index_writes
from cluster.store import Condition, Delete, Entry, Put, Store, Write
from cluster.values import encode_value
from licensing.ledger import Staged
from licensing.records import Record

_READ = 200
_STAGE = 100
"""Records in one transaction, with one write for each; etcd takes 128."""
_MOVE = 16
"""The same with up to six: a record with its two places by date, two places of the one before it, and where it was."""


async def read_records(store: Store, keys: Keys, count: int) -> tuple[Record, ...]:
    """Return the first `count` records, in order; those that are missing or cannot be read are left out.

    Raises:
        StoreError
    """
    found = list[Record]()
    for first in range(0, count, _READ):
        end = min(first + _READ, count)
        found += _readable(await store.page(keys.record(first), keys.record(end), _READ))
    return tuple(found)


async def stage(store: Store, keys: Keys, area: str, still: Condition, records: Sequence[Record]) -> None:
    """Write records into an area of their own, where nobody looks for any, as long as `still` holds.

    Raises:
        Refused: it does not hold any more.
        StoreError
    """
    for first in range(0, len(records), _STAGE):
        batch = records[first : first + _STAGE]
        await store.commit([still], [Put(keys.staged(area, record.number), encode_value(record)) for record in batch])


async def next_moves(store: Store, keys: Keys, staged: Staged, end: int) -> tuple[tuple[Write, ...], Staged]:
    """Return the writes that put the next staged records in their places, and what is staged after them.

    What stands in the places is deleted, also where nothing is staged for one. `end`: the number before which they end.

    Raises:
        StoreError
    """
    area, first, last = staged.area, staged.first, min(staged.first + _MOVE, end)
    waiting = await store.page(keys.staged(area, first), keys.staged(area, last), _MOVE)
    standing = await store.page(keys.record(first), keys.record(last), _MOVE)
    puts = {put.key: put for record in _readable(waiting) for put in index_writes(keys, record)}
    gone = {entry.key for entry in (*waiting, *standing)}
    gone |= {put.key for record in _readable(standing) for put in index_writes(keys, record)}
    return (*puts.values(), *map(Delete, sorted(gone - puts.keys()))), Staged(area, last)


async def behind_the_end(store: Store, keys: Keys, count: int) -> tuple[Write, ...]:
    """Return the writes that delete the next records behind the first `count`, with their places in all orders.

    Raises:
        StoreError
    """
    standing = await store.page(keys.record(count), keys.records_end, _MOVE)
    places = {put.key for record in _readable(standing) for put in index_writes(keys, record)}
    return tuple(map(Delete, sorted({entry.key for entry in standing} | places)))


async def clear_staging(store: Store, keys: Keys, area: str = "", *, but: str = "") -> None:
    """Delete what is staged in an area, or in all of them `but` one.

    Raises:
        StoreError
    """
    first = keys.staged(area, 0) if area else keys.staging
    end = f"{keys.staging}{area}0" if area else f"{keys.staging[:-1]}0"  # a digit comes right after the slash
    while batch := await store.page(first, end, _STAGE):
        others = [entry.key for entry in batch if not but or not entry.key.startswith(f"{keys.staging}{but}/")]
        if others:
            await store.commit([], [Delete(key) for key in others])
        first = batch[-1].key + "\0"


def _readable(entries: Sequence[Entry]) -> list[Record]:
    decoded = (decode_record(entry.key, entry) for entry in entries)
    return [record for record in decoded if isinstance(record, Record)]

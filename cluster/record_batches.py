"""Records in bulk: reading all of a history, and putting the records of a backup behind the end of another one.

What is behind the end that the ledger knows is no history: nobody verifies it, and the leader writes over it. So it can
be written in as many transactions as it takes, until the ledger says that it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cluster.keys import Keys
from cluster.records import BadRecord, decode_record, index_writes
from cluster.store import Condition, Delete, ModifiedAt, Put, Refused, Store
from licensing.records import Record

_READ = 200
_WRITE = 32
"""Records in one transaction; each is three writes."""


async def read_records(store: Store, keys: Keys, count: int) -> tuple[Record, ...]:
    """Return the first `count` records, in order; those that are missing or cannot be read are left out.

    Raises:
        StoreError
    """
    found = list[Record]()
    for first in range(0, count, _READ):
        end = min(first + _READ, count)
        read = (
            decode_record(entry.key, entry) for entry in await store.page(keys.record(first), keys.record(end), _READ)
        )
        found += [record for record in read if not isinstance(record, BadRecord)]
    return tuple(found)


async def write_behind(store: Store, keys: Keys, end: Condition, records: Sequence[Record]) -> None:
    """Write records of numbers that no history reaches yet, as long as `end` holds: that the ledger is the same.

    Raises:
        Refused: the ledger is another one by now.
        StoreError
    """
    for first in range(0, len(records), _WRITE):
        await store.commit([end], _writes(keys, records[first : first + _WRITE]))


async def take_back(store: Store, keys: Keys, records: Iterable[Record]) -> None:
    """Delete what `write_behind` wrote, where it still stands; a record that took its place stays as it is.

    Raises:
        StoreError
    """
    for record in records:
        (entry,) = await store.read([keys.record(record.number)])
        if entry is None:
            continue
        stands = decode_record(entry.key, entry)
        own = {write.key for write in index_writes(keys, record)}
        if isinstance(stands, Record) and stands != record:
            own -= {write.key for write in index_writes(keys, stands)}
        try:
            await store.commit([ModifiedAt(entry.key, entry.mod_revision)], [Delete(key) for key in sorted(own)])
        except Refused:
            continue  # the leader was faster, and what it wrote stays


def _writes(keys: Keys, records: Iterable[Record]) -> list[Put]:
    return [write for record in records for write in index_writes(keys, record)]

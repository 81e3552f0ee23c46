"""Which records make up the history: what the ledger says of that, and whether one history goes on from another.

The ledger and its records are written together. Whoever reads the ledger in the same call as some records knows which
history they are of.
"""

from __future__ import annotations

import msgspec

from cluster.keys import Keys
from cluster.store import Entry, Store
from cluster.values import VERSION
from licensing.ledger import MOST, Restored
from licensing.records import Hash
from licensing.value import Count, Time, Value

_BATCH = 200


class Extent(Value, frozen=True, forbid_unknown_fields=False):
    """How many records there are, the hash of the last, and what was lost of them, as in `licensing.ledger.Ledger`.

    Without a record nobody knows how many there are. Two that are equal are of the same records: each hash is also that
    of all records before it.
    """

    record_count: Count = 0
    record_hash: str = ""
    restored: tuple[Restored, ...] = ()

    @property
    def staged(self) -> bool:
        """Whether some records are still those of another history."""
        return any(each.staged is not None for each in self.restored)


class Link(Value, frozen=True, forbid_unknown_fields=False):
    """What of a record shows its place in the chain and in the orders by date."""

    number: Count
    previous_hash: Hash
    hash: Hash
    issued_date: Time
    expired_date: Time


class _StoredExtent(msgspec.Struct, frozen=True):
    data: Extent
    version: int


class _StoredLink(msgspec.Struct, frozen=True):
    data: Link


def extent_of(ledger: Entry | None) -> Extent:
    """Return what a stored ledger says; nothing is known where it is missing, cannot be read or cannot be true."""
    if ledger is None:
        return Extent()
    try:
        stored = msgspec.json.decode(ledger.value, type=_StoredExtent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Extent()
    return stored.data if stored.version == VERSION and stored.data.record_count <= MOST else Extent()


async def growth(store: Store, keys: Keys, old: Extent, new: Extent) -> tuple[Link, ...] | None:
    """Return the records by which one history is longer than another; None where it does not go on from that.

    Raises:
        StoreError
    """
    if new.restored != old.restored or new.record_count < old.record_count:
        return None
    links, last = list[Link](), old.record_hash
    for first in range(old.record_count, new.record_count, _BATCH):
        end = min(first + _BATCH, new.record_count)
        entries = await store.page(keys.record(first), keys.record(end), _BATCH)
        if len(entries) < end - first:  # a ledger that is damaged may count any number of records
            return None
        for entry in entries:
            link = _link(entry)
            if link is None or link.number != old.record_count + len(links) or link.previous_hash != last:
                return None
            links.append(link)
            last = link.hash
    return tuple(links) if last == new.record_hash else None


def _link(entry: Entry) -> Link | None:
    try:
        return msgspec.json.decode(entry.value, type=_StoredLink).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

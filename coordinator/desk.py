"""The desk: takes an order in, puts it into the inbox, and waits for what the leader makes of it.

An order in the inbox is carried out or withdrawn, never both: who gives up waiting deletes it by comparing, and if the
leader was faster the outcome is there to be asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import msgspec

from cluster.keys import Keys
from cluster.mirror import Mirror
from cluster.store import Absent, CreatedAt, Delete, Entry, Put, Refused, Store, StoreError, Unavailable
from cluster.values import BadValue, encode_value, read_message
from coordinator.clock import EffectiveClock
from coordinator.orders import Errand, Order, Origin, Outcome, Restore

PATIENCE = 10.0
"""Seconds an order waits for a leader before it is withdrawn."""
LOOK_EVERY = 0.2
"""Seconds between two looks for an order whose coming in was not confirmed, while etcd does not answer."""
UNCONFIRMED = (
    "etcd did not confirm the order: it may be carried out yet, or be lost. The same order may be given again."
)


class Receipt(msgspec.Struct, frozen=True):
    """What the desk can say: the order's id and its outcome; None when the leader has it and has not answered yet."""

    order_id: str
    outcome: Outcome | None


class Closed(Exception):  # noqa: N818 - it says what the desk is
    """The order was not accepted: the store is out of reach or nobody leads. The text says if it may still be done."""


class Desk:
    """One node's desk; `node` is the node that receives the orders."""

    def __init__(self, store: Store, mirror: Mirror, keys: Keys, clock: EffectiveClock, node: str) -> None:
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._clock = clock
        self._node = node

    async def give(
        self,
        errand: Errand | Restore,
        who: str,
        *,
        console: bool = False,
        node: str = "",
        patience: float = PATIENCE,
    ) -> Receipt:
        """Give an order and wait for its outcome; `node` is the node it is meant for, this one when left out.

        Raises:
            Closed: the order was not accepted, or was withdrawn because no leader took it in time, or it is not known
                whether etcd has it.
        """
        order_id = secrets.token_hex(16)
        origin = Origin(who, node or self._node, self._clock.now(), console)
        order = Order(origin, errand, fresh=secrets.token_hex(16))
        created = await self._put(order_id, encode_value(order))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                created = created or await self._came_in(order_id)
                return Receipt(order_id, await self._outcome(order_id))
        if not created:
            raise Closed(UNCONFIRMED)
        return await self._withdraw(order_id, created)

    def outcome(self, order_id: str) -> Outcome | None:
        """Return what became of an order; None when nothing is known of it (yet, or any more)."""
        return _read(self._mirror.view.entries.get(self._keys.outcome(order_id)))

    def waits(self, order_id: str) -> bool:
        """Whether the order is still in the inbox."""
        return self._keys.inbox(order_id) in self._mirror.view.entries

    async def _put(self, order_id: str, value: bytes) -> int:
        """Return the revision at which the order was put into the inbox; 0 where that is not known."""
        if not self._mirror.connected:
            raise Closed("This node cannot reach etcd, so nothing can be changed now.")
        key = self._keys.inbox(order_id)
        try:
            return await self._store.commit([Absent(key)], [Put(key, value)])
        except Unavailable:
            return 0  # it may have been written all the same
        except StoreError as error:
            raise Closed(f"etcd refused the order: {error}") from error

    async def _outcome(self, order_id: str) -> Outcome:
        while True:
            seen = self._mirror.version
            outcome = self.outcome(order_id)
            if outcome is not None:
                return outcome
            await self._mirror.changed(seen)

    async def _withdraw(self, order_id: str, created: int) -> Receipt:
        """Take the order back if it is still in the inbox; one that is not there was answered.

        Raises:
            Closed: it was withdrawn, or it is not known what became of it.
        """
        inbox, outcome = self._keys.inbox(order_id), self._keys.outcome(order_id)
        try:
            await self._store.commit([CreatedAt(inbox, created), Absent(outcome)], [Delete(inbox)])
        except Refused as refused:
            return self._left(order_id, refused.current[inbox], refused.current[outcome])
        except StoreError:
            return await self._left_after_all(order_id)
        raise Closed("No coordinator leads just now, so the order was withdrawn and nothing was changed.")

    async def _left_after_all(self, order_id: str) -> Receipt:
        """Look for an order whose withdrawal was not confirmed.

        Raises:
            Closed: it is gone, or cannot be looked for.
        """
        try:
            inbox, outcome = await self._store.read([self._keys.inbox(order_id), self._keys.outcome(order_id)])
        except StoreError as error:
            raise Closed(UNCONFIRMED) from error
        return self._left(order_id, inbox, outcome)

    def _left(self, order_id: str, inbox: Entry | None, outcome: Entry | None) -> Receipt:
        """Return the receipt for an order of which something is left.

        Raises:
            Closed: nothing is left, so nobody may be told that it was accepted.
        """
        if inbox is None and outcome is None:
            raise Closed(UNCONFIRMED)
        return Receipt(order_id, _read(outcome))

    async def _came_in(self, order_id: str) -> int:
        """Return the revision at which an order came in that was not confirmed, or that of its outcome.

        Raises:
            Closed: neither is there. The order may still be on its way, so nobody may be told that it was accepted, nor
                that it never will be.
        """
        while True:
            try:
                found = await self._store.read([self._keys.outcome(order_id), self._keys.inbox(order_id)])
            except Unavailable:
                await asyncio.sleep(LOOK_EVERY)
                continue
            except StoreError as error:
                raise Closed(UNCONFIRMED) from error
            for entry in found:
                if entry is not None:
                    return entry.create_revision
            raise Closed(UNCONFIRMED)


def _read(entry: Entry | None) -> Outcome | None:
    try:
        return None if entry is None else read_message(entry.key, entry.value, Outcome)
    except BadValue:
        return None

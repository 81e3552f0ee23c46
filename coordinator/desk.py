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
from cluster.values import BadValue, decode_value, encode_value
from coordinator.clock import EffectiveClock
from coordinator.orders import Errand, Order, Origin, Outcome

PATIENCE = 10.0
"""Seconds an order waits for a leader before it is withdrawn."""
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
        self, errand: Errand, who: str, *, console: bool = False, node: str = "", patience: float = PATIENCE
    ) -> Receipt:
        """Give an order and wait for its outcome; `node` is the node it is meant for, this one when left out.

        Raises:
            Closed: the order was not accepted, or was withdrawn because no leader took it in time.
        """
        order_id = secrets.token_hex(16)
        origin = Origin(who, node or self._node, self._clock.now(), console)
        order = Order(origin, errand, fresh=secrets.token_hex(16))
        created = await self._put(order_id, encode_value(order))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return Receipt(order_id, await self._outcome(order_id))
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
            return 0  # it may have been written all the same: wait for its outcome, and withdraw it if there is none
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
        """Take the order back if it is still in the inbox; one that is not there was answered."""
        inbox, outcome = self._keys.inbox(order_id), self._keys.outcome(order_id)
        if not created:
            return await self._look_for(order_id)
        try:
            await self._store.commit([CreatedAt(inbox, created), Absent(outcome)], [Delete(inbox)])
        except Refused as refused:
            return Receipt(order_id, _read(refused.current[outcome]))
        except StoreError:
            return Receipt(order_id, None)  # it may be carried out yet: its outcome can be asked for
        raise Closed("No coordinator leads just now, so the order was withdrawn and nothing was changed.")

    async def _look_for(self, order_id: str) -> Receipt:
        """Find an order whose coming in was not confirmed; what nobody has seen must not be called accepted."""
        try:
            waiting, answered = await self._store.read([self._keys.inbox(order_id), self._keys.outcome(order_id)])
        except StoreError as error:
            raise Closed(UNCONFIRMED) from error
        if answered is not None:
            return Receipt(order_id, _read(answered))
        if waiting is None:
            raise Closed(UNCONFIRMED)  # it may still be on its way
        return await self._withdraw(order_id, waiting.create_revision)


def _read(entry: Entry | None) -> Outcome | None:
    try:
        return None if entry is None else decode_value(entry.key, entry.value, Outcome)
    except BadValue:
        return None

"""The shared store in etcd: the port of `cluster.store` on etcd's protocol.

Knows which message says what; choosing members, deadlines and streams are in the files beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cluster.etcd_access import Login, Tls
from cluster.etcd_members import Members
from cluster.etcd_renewals import Renewals
from cluster.etcd_rpc import rpc_pb2
from cluster.etcd_watch import entry_of, prefix_end, watch
from cluster.store import (
    Absent,
    CreatedAt,
    Delete,
    Lease,
    LeaseLost,
    Part,
    Refused,
    View,
)
from cluster.timings import Timings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from cluster.etcd_rpc import Member
    from cluster.settings import EtcdSettings
    from cluster.store import Changes, Condition, Entry, Write


def open_etcd(settings: EtcdSettings, timings: Timings | None = None) -> EtcdStore:
    """Return a client made of the `[etcd]` settings; it connects with its first call."""
    tls = Tls(settings.ca, settings.cert, settings.key) if settings.ca else None
    login = Login(settings.user, settings.password_file) if settings.user and settings.password_file else None
    return EtcdStore(settings.endpoints, timings, tls=tls, login=login)


class EtcdStore:
    """One client of an etcd cluster, for one event loop.

    `endpoints` are host:port, the preferred one first. With `tls` all connections are encrypted, with `login` we
    authenticate by password.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        timings: Timings | None = None,
        *,
        tls: Tls | None = None,
        login: Login | None = None,
    ) -> None:
        self._timings = timings or Timings()
        self._members = Members(endpoints, self._timings, tls, login)
        self._renewals = Renewals()

    async def snapshot(self, prefix: str, without: str = "") -> View:
        """See the port."""
        bounds = [prefix.encode(), prefix_end(prefix)]
        if without:
            bounds[1:1] = [without.encode(), prefix_end(without)]
        parts = [_range(*pair) for pair in zip(bounds[::2], bounds[1::2], strict=True)]
        answer = await self._ranges(parts)
        entries = {entry.key: entry for part in answer.responses for entry in map(entry_of, part.response_range.kvs)}
        return View(answer.header.revision, MappingProxyType(entries))

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """See the port."""
        request = _range(start.encode(), end.encode(), limit=limit)
        answer = await self._unary("kv", "Range", request)
        return tuple(map(entry_of, answer.kvs))

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """See the port."""
        answer = await self._ranges([rpc_pb2.RangeRequest(key=key.encode()) for key in keys])
        found = (part.response_range.kvs for part in answer.responses)
        return tuple(entry_of(kvs[0]) if kvs else None for kvs in found)

    async def parts(self, bounds: Sequence[str]) -> tuple[Part, ...]:
        """See the port; an answer cut short by its limit still has the count of all."""
        pairs = itertools.pairwise(bound.encode() for bound in bounds)
        answer = await self._ranges([_range(start, end, limit=1, keys_only=True) for start, end in pairs])
        ranges = [part.response_range for part in answer.responses]
        return tuple(Part(int(each.count), entry_of(each.kvs[0]).key if each.kvs else None) for each in ranges)

    async def _ranges(self, requests: Sequence[Any]) -> Any:
        """Ask for several ranges at one revision."""
        parts = [rpc_pb2.RequestOp(request_range=request) for request in requests]
        return await self._unary("kv", "Txn", rpc_pb2.TxnRequest(success=parts))

    def watch(self, prefix: str, after: int) -> AsyncGenerator[Changes, None]:
        """See the port."""
        return watch(self._members, prefix, after)

    async def probe(self, key: str, silence: float) -> int:
        """See the port."""
        while (left := self._members.answered + silence - time.monotonic()) > 0:  # noqa: ASYNC110 - it is a time
            await asyncio.sleep(left)
        return await self._ask(key)

    async def _ask(self, key: str) -> int:
        answer = await self._unary("kv", "Range", rpc_pb2.RangeRequest(key=key.encode(), count_only=True))
        return int(answer.header.revision)

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """See the port.

        A member that has been silent is first asked something harmless: a commit is sent once only, and better not to
        a member that is dead.
        """
        if writes and self._members.answered + self._timings.probe < time.monotonic():
            await self._ask(writes[0].key)
        request = rpc_pb2.TxnRequest(
            compare=[_compare(condition) for condition in conditions],
            success=[_operation(write) for write in writes],
            failure=[_read(key) for key in dict.fromkeys(condition.key for condition in conditions)],
        )
        answer = await self._unary("kv", "Txn", request, once=True)
        if not answer.succeeded:
            raise Refused(_current(request, answer), answer.header.revision)
        return int(answer.header.revision)

    async def grant(self, ttl: int) -> Lease:
        """See the port."""
        answer = await self._unary("lease", "LeaseGrant", rpc_pb2.LeaseGrantRequest(TTL=ttl))
        return Lease(answer.ID, answer.TTL)

    async def keep_alive(self, lease_id: int) -> int:
        """See the port."""

        async def attempt(member: Member, limit: float) -> int:
            return await self._renewals.renew(lease_id, member, limit)

        ttl = await self._members.call(attempt)
        if ttl <= 0:
            raise LeaseLost(f"lease {lease_id:x} is unknown to etcd")
        return ttl

    async def revoke(self, lease_id: int) -> None:
        """See the port."""
        self._renewals.end(lease_id)
        try:
            await self._unary("lease", "LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=lease_id))
        except LeaseLost:
            return

    async def voters(self) -> int:
        """See the port."""
        answer = await self._unary("cluster", "MemberList", rpc_pb2.MemberListRequest())
        return len(answer.members)

    async def close(self) -> None:
        """See the port."""
        await self._members.close()

    async def _unary(self, service: str, method: str, request: Any, *, once: bool = False) -> Any:
        async def attempt(member: Member, limit: float) -> Any:
            stub = getattr(getattr(member, service), method)
            return await stub(request, timeout=limit, metadata=member.metadata)

        return await self._members.call(attempt, once=once)


def _range(start: bytes, end: bytes, **options: Any) -> Any:
    return rpc_pb2.RangeRequest(key=start, range_end=end, **options)


def _compare(condition: Condition) -> Any:
    compare = rpc_pb2.Compare(result=rpc_pb2.Compare.EQUAL, key=condition.key.encode())
    match condition:
        case Absent():
            compare.target, compare.create_revision = rpc_pb2.Compare.CREATE, 0
        case CreatedAt():
            compare.target, compare.create_revision = rpc_pb2.Compare.CREATE, condition.revision
        case _:
            compare.target, compare.mod_revision = rpc_pb2.Compare.MOD, condition.revision
    return compare


def _operation(write: Write) -> Any:
    key = write.key.encode()
    if isinstance(write, Delete):
        return rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=key))
    return rpc_pb2.RequestOp(request_put=rpc_pb2.PutRequest(key=key, value=write.value, lease=write.lease_id))


def _read(key: str) -> Any:
    return rpc_pb2.RequestOp(request_range=rpc_pb2.RangeRequest(key=key.encode()))


def _current(request: Any, answer: Any) -> dict[str, Entry | None]:
    """Pair the compared keys with what etcd read of them."""
    keys = [operation.request_range.key.decode() for operation in request.failure]
    found = [response.response_range.kvs for response in answer.responses]
    return {key: entry_of(kvs[0]) if kvs else None for key, kvs in zip(keys, found, strict=True)}

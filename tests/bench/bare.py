"""A bare client of etcd: single calls over one connection, nothing tried again, nothing remembered.

It speaks through the same generated messages as the product, so what differs is what the product does around them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from cluster.etcd_rpc import Member, rpc_pb2

PATIENCE = 10


class Bare:
    """One connection."""

    def __init__(self, endpoint: str) -> None:
        self._member = Member(endpoint)

    async def put(self, key: str, value: bytes, lease: int = 0) -> int:
        """Write; return the revision."""
        request = rpc_pb2.PutRequest(key=key.encode(), value=value, lease=lease)
        return int((await self._member.kv.Put(request, timeout=PATIENCE)).header.revision)

    async def read(self, key: str) -> bytes:
        """Return what is stored under a key."""
        answer = await self._member.kv.Range(rpc_pb2.RangeRequest(key=key.encode()), timeout=PATIENCE)
        value: bytes = answer.kvs[0].value
        return value

    async def fenced(self, fence: str, epoch: int, writes: Sequence[tuple[str, bytes]], lease: int = 0) -> int:
        """Write if the key `fence` was created in the revision `epoch`, 0 for not at all; return the revision.

        Raises:
            RuntimeError: it was not.
        """
        compare = rpc_pb2.Compare(
            result=rpc_pb2.Compare.EQUAL, target=rpc_pb2.Compare.CREATE, key=fence.encode(), create_revision=epoch
        )
        puts = [rpc_pb2.PutRequest(key=key.encode(), value=value, lease=lease) for key, value in writes]
        request = rpc_pb2.TxnRequest(compare=[compare], success=[rpc_pb2.RequestOp(request_put=put) for put in puts])
        answer = await self._member.kv.Txn(request, timeout=PATIENCE)
        if not answer.succeeded:
            raise RuntimeError(f"{fence} is not of revision {epoch}")
        return int(answer.header.revision)

    async def grant(self, ttl: int) -> int:
        """Return the id of a new lease."""
        return int((await self._member.lease.LeaseGrant(rpc_pb2.LeaseGrantRequest(TTL=ttl), timeout=PATIENCE)).ID)

    async def renew(self, lease: int, every: float) -> None:
        """Renew a lease over one stream, every so many seconds, until cancelled."""
        call = self._member.lease.LeaseKeepAlive()
        while True:
            await call.write(rpc_pb2.LeaseKeepAliveRequest(ID=lease))
            await call.read()
            await asyncio.sleep(every)

    async def revoke(self, lease: int) -> None:
        """End a lease."""
        await self._member.lease.LeaseRevoke(rpc_pb2.LeaseRevokeRequest(ID=lease), timeout=PATIENCE)

    @asynccontextmanager
    async def watching(self, key: str) -> AsyncIterator[Watch]:
        """Watch one key; etcd has confirmed it when the context begins."""
        call = self._member.streams.Watch()
        await call.write(rpc_pb2.WatchRequest(create_request=rpc_pb2.WatchCreateRequest(key=key.encode())))
        await call.read()
        try:
            yield Watch(call)
        finally:
            call.cancel()

    async def close(self) -> None:
        """End the connection."""
        await self._member.close()


class Watch:
    """The watch of one key."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def delivery(self) -> None:
        """Return when the next change is delivered."""
        answer = await self._call.read()
        assert answer.events, "etcd ended the watch"


@asynccontextmanager
async def connected(endpoint: str) -> AsyncIterator[Bare]:
    """Connect for the length of the context."""
    client = Bare(endpoint)
    try:
        yield client
    finally:
        await client.close()

"""Renewing leases: for each lease one stream, which is kept open from one renewal to the next.

An answer confirms the renewal that it answers and no later one. So a stream whose last renewal failed in any way, or
was not waited for, is never used again: what it might still say would be taken for an answer to the next. Neither is
one of a member that was given up meanwhile, or that is no longer the one to talk to.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cluster.etcd_rpc import end_of_stream, overdue, rpc_pb2
from cluster.store import Unavailable

if TYPE_CHECKING:
    from cluster.etcd_rpc import Member


class Renewals:
    """The streams of one client."""

    def __init__(self) -> None:
        self._kept: dict[int, _Stream] = {}

    async def renew(self, lease_id: int, member: Member, limit: float) -> int:
        """Ask the member once to renew within `limit` seconds; return the time to live in seconds.

        0 is for a lease that is unknown to etcd.

        Raises:
            RpcError: the member does not answer in time, or cannot be reached.
            Unavailable: it ended the stream, or answered for another lease.
        """
        stream = self._take(lease_id, member)
        try:
            async with asyncio.timeout(limit):
                ttl = await stream.renew(lease_id)
        except TimeoutError as error:
            stream.close()
            raise overdue("the renewal is not answered in time") from error
        except BaseException:  # also when nobody waits any longer: its answer may still come
            stream.close()
            raise
        self.end(lease_id)  # one that was kept meanwhile
        if ttl > 0:
            self._kept[lease_id] = stream
        else:
            stream.close()
        return ttl

    def end(self, lease_id: int) -> None:
        """Let go of the lease's stream."""
        if stream := self._kept.pop(lease_id, None):
            stream.close()

    def _take(self, lease_id: int, member: Member) -> _Stream:
        """Return the lease's stream, for one renewal at a time; a new one where the last cannot be used."""
        kept = self._kept.pop(lease_id, None)
        if kept is not None and kept.is_good(member):
            return kept
        if kept is not None:
            kept.close()
        return _Stream(member)


class _Stream:
    """One stream of renewals at one member."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._gone = member.gone
        self._call = member.lease.LeaseKeepAlive(metadata=member.metadata)

    def is_good(self, member: Member) -> bool:
        """Whether it is one of this member, which was not given up since, and nobody has ended it."""
        return self._member is member and not self._gone.is_set() and not self._call.done()

    async def renew(self, lease_id: int) -> int:
        """Ask once and wait for the answer."""
        await self._call.write(rpc_pb2.LeaseKeepAliveRequest(ID=lease_id))
        answer: Any = await self._call.read()
        if answer is end_of_stream:
            raise Unavailable(f"etcd member {self._member.address} ended the stream without an answer")
        if lease_id != answer.ID:
            raise Unavailable(f"etcd member {self._member.address} answered for another lease")
        return int(answer.TTL)

    def close(self) -> None:
        """End it."""
        self._call.cancel()

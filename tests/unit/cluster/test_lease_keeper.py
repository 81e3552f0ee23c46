"""A lease is renewed in time, and trusted no longer than the store can have kept it."""

from __future__ import annotations

import asyncio

import pytest

from cluster.lease import LeaseKeeper
from cluster.memory import MemoryCluster, MemoryStore
from cluster.store import Lease, LeaseLost, Unavailable
from cluster.timings import Timings
from tests.waiting import eventually

FAST = Timings(renew=0.02)


async def test_a_lease_is_renewed_until_it_is_closed() -> None:
    """Trust moves on with every acknowledged renewal; closing revokes the lease at once."""
    store = MemoryCluster().client()
    lease = await LeaseKeeper.start(store, 3, FAST)
    first = lease.trusted_until
    await eventually(lambda: lease.trusted_until > first)
    assert lease.trusted
    await lease.close()
    assert (lease.trusted, lease.lost.count) == (False, 0)
    with pytest.raises(LeaseLost):
        await store.keep_alive(lease.lease_id)


async def test_trust_is_counted_from_before_the_renewal_was_sent() -> None:
    """However long the answer takes, the lease is trusted from the moment of asking, minus the margin."""
    now = 50.0

    class Slow(MemoryStore):
        async def grant(self, ttl: int) -> Lease:
            nonlocal now
            now += 1.0
            return await super().grant(ttl)

    lease = await LeaseKeeper.start(Slow(MemoryCluster()), 3, FAST, clock=lambda: now)
    assert lease.trusted_until == 50.0 + 3 - FAST.margin
    await lease.close()


async def test_a_lease_is_not_trusted_after_the_machine_slept() -> None:
    """The clock that runs in suspend decides, not the timer of the renewal."""
    now = 0.0
    lease = await LeaseKeeper.start(MemoryCluster().client(), 3, Timings(), clock=lambda: now)
    now = 2.49
    assert lease.trusted
    now = 2.5
    assert not lease.trusted
    await lease.close()


async def test_a_lease_that_the_store_ended_is_lost() -> None:
    """The next renewal finds out and says why."""
    store = MemoryCluster().client()
    lease = await LeaseKeeper.start(store, 3, FAST)
    await store.revoke(lease.lease_id)
    async with asyncio.timeout(2):
        await lease.lost.after(0)
    assert (lease.trusted, "unknown" in lease.why) == (False, True)
    await lease.close()


async def test_a_lease_outlives_a_short_outage() -> None:
    """Renewals are tried again while the lease is trusted."""
    store = MemoryCluster().client()
    lease = await LeaseKeeper.start(store, 3, FAST)
    store.offline()
    before = lease.trusted_until
    store.online()
    await eventually(lambda: lease.trusted_until > before)
    assert not lease.lost.count
    await lease.close()


async def test_a_lease_is_lost_when_trust_ends_without_a_renewal() -> None:
    """An outage ends the lease for us when the store may have ended it, not before and not later."""
    store = MemoryCluster().client()
    lease = await LeaseKeeper.start(store, 2, Timings(renew=0.02, margin=1.8, call_deadline=0.1, attempt=0.05))
    store.offline()
    async with asyncio.timeout(2):
        await lease.lost.after(0)
    assert "in time" in lease.why
    await lease.close()


async def test_a_lease_cannot_start_without_the_store() -> None:
    """The caller decides when to try again."""
    store = MemoryCluster().client()
    store.offline()
    with pytest.raises(Unavailable):
        await LeaseKeeper.start(store, 3, FAST)


async def test_who_is_cancelled_while_a_lease_is_closed_is_told_so() -> None:
    """Closing waits for a renewal that is under way, and must not take a cancellation for the end of that."""
    renewing = asyncio.Event()

    class Slow(MemoryStore):
        async def keep_alive(self, lease_id: int) -> int:  # noqa: ARG002 - it never answers
            renewing.set()
            try:
                return await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0.05)  # it takes a moment to let go

    cluster = MemoryCluster()
    lease = await LeaseKeeper.start(Slow(cluster), 3, FAST)
    await renewing.wait()
    closing = asyncio.create_task(lease.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    await lease.close()
    assert not cluster._leases

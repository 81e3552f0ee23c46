"""A lease is renewed on one stream, which is given up whenever its next answer could be taken for another."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import aiohttp
import pytest

from cluster.etcd import EtcdStore
from cluster.etcd_renewals import Renewals
from cluster.etcd_roles import PATIENT
from cluster.etcd_rpc import Member
from cluster.store import LeaseLost, Unavailable
from cluster.timings import Timings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.etcd_server import EtcdCluster, EtcdServer

TTL = 30
IMPATIENT = Timings(attempt=0.5, call_deadline=1.0)
STARTED = re.compile(r'^grpc_server_started_total\{[^}]*grpc_method="LeaseKeepAlive"[^}]*\} (\d+)$', re.MULTILINE)


@pytest.fixture
async def store(server: EtcdServer) -> AsyncIterator[EtcdStore]:
    """Return a client that gives a busy machine time: what is slow is not to be taken for what has failed."""
    store = EtcdStore(server.endpoints, PATIENT)
    yield store
    await store.close()


async def opened(server: EtcdServer) -> int:
    """Return how many streams of renewals have been opened at the server."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{server.endpoints[0]}/metrics") as answer:
        found = STARTED.search(await answer.text())
    return int(found[1]) if found else 0


async def test_one_stream_is_enough(server: EtcdServer, store: EtcdStore) -> None:
    """However often a lease is renewed, etcd sees one stream; a second lease has its own."""
    before = await opened(server)
    first, second = await store.grant(TTL), await store.grant(TTL)
    for _ in range(5):
        assert await store.keep_alive(first.lease_id) == TTL
    assert await opened(server) == before + 1
    assert await store.keep_alive(second.lease_id) == TTL
    assert await opened(server) == before + 2


async def test_an_answer_that_is_late_confirms_nothing(server: EtcdServer) -> None:
    """After a renewal that missed its deadline the next one is asked on a new stream."""
    store = EtcdStore(server.endpoints, IMPATIENT)
    lease = await store.grant(TTL)
    await store.keep_alive(lease.lease_id)
    before = await opened(server)
    server.pause()
    try:
        with pytest.raises(Unavailable, match="DEADLINE_EXCEEDED"):
            await store.keep_alive(lease.lease_id)
    finally:
        server.resume()
    assert not store._renewals._kept
    assert await store.keep_alive(lease.lease_id) == TTL
    assert await opened(server) > before
    await store.close()


async def test_a_renewal_that_nobody_waits_for_takes_its_stream_with_it(server: EtcdServer, store: EtcdStore) -> None:
    """Its answer may still come, and would be taken for that of the next."""
    lease = await store.grant(TTL)
    await store.keep_alive(lease.lease_id)
    before = await opened(server)
    server.pause()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.keep_alive(lease.lease_id)
    finally:
        server.resume()
    assert not store._renewals._kept
    assert await store.keep_alive(lease.lease_id) == TTL
    assert await opened(server) == before + 1


async def test_renewals_at_the_same_time_do_not_share_a_stream(store: EtcdStore) -> None:
    """Each has its own answer, and one stream is left of them."""
    lease = await store.grant(TTL)
    assert set(await asyncio.gather(*(store.keep_alive(lease.lease_id) for _ in range(5)))) == {TTL}
    assert list(store._renewals._kept) == [lease.lease_id]


async def test_the_stream_ends_with_its_lease(store: EtcdStore, other: EtcdStore) -> None:
    """Whether we end the lease or find that it is gone."""
    ours, theirs = await store.grant(TTL), await store.grant(TTL)
    await store.keep_alive(ours.lease_id)
    await store.keep_alive(theirs.lease_id)
    await store.revoke(ours.lease_id)
    assert list(store._renewals._kept) == [theirs.lease_id]
    await other.revoke(theirs.lease_id)
    with pytest.raises(LeaseLost):
        await store.keep_alive(theirs.lease_id)
    assert not store._renewals._kept


async def test_the_stream_of_a_member_that_was_given_up_is_left(three: EtcdCluster) -> None:
    """The lease is renewed at the next member, though the stream of the former one would still answer."""
    store = EtcdStore(three.endpoints, PATIENT)
    lease = await store.grant(TTL)
    await store.keep_alive(lease.lease_id)
    former = store._members.current()
    store._members.fail(former, "a call failed")
    assert await store.keep_alive(lease.lease_id) == TTL
    assert store._renewals._kept[lease.lease_id]._member is store._members.current() is not former
    await store.close()


async def test_a_stream_does_not_outlive_trust_in_its_member(server: EtcdServer, store: EtcdStore) -> None:
    """Where there is no other member to turn to, the next renewal is a new stream to the same one."""
    lease = await store.grant(TTL)
    await store.keep_alive(lease.lease_id)
    before = await opened(server)
    store._members.fail(store._members.current(), "a call failed")
    assert await store.keep_alive(lease.lease_id) == TTL
    assert await opened(server) == before + 1


async def test_a_renewal_goes_to_the_member_that_is_named(server: EtcdServer, store: EtcdStore) -> None:
    """Certificates that changed make a new member of the same address: it is asked over its own connection at once."""
    lease, renewals = await store.grant(TTL), Renewals()
    former, latter = Member(server.endpoints[0]), Member(server.endpoints[0])
    for member in (former, latter):
        assert await renewals.renew(lease.lease_id, member, PATIENT.attempt) == TTL
        assert renewals._kept[lease.lease_id]._member is member
    await former.close()
    await latter.close()


async def test_a_stream_that_etcd_ended_is_opened_anew(three: EtcdCluster) -> None:
    """A member that was restarted between two renewals still knows the lease."""
    store = EtcdStore(three.endpoints[:1], PATIENT)
    lease = await store.grant(TTL)
    await store.keep_alive(lease.lease_id)
    three.members[0].stop(grace=0)
    await three.start()
    assert await store.keep_alive(lease.lease_id) == TTL
    await store.close()

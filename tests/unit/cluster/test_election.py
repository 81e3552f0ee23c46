"""Candidates on the store in memory: one leads, and never two in one epoch."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from cluster.election import Election
from cluster.lease import boottime
from cluster.memory import MemoryCluster, MemoryStore
from cluster.mirror import Mirror
from cluster.store import Delete, Put, Refused
from cluster.timings import Timings
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cluster.store import Condition, Write

    Clock = Callable[[], float]

KEY = "/s/leader"
FAST = Timings(renew=0.05, probe=0.05)


@asynccontextmanager
async def candidate(
    store: MemoryStore, node: str, timings: Timings = FAST, clock: Clock = boottime
) -> AsyncIterator[Election]:
    """Run one candidate with a mirror of its own."""
    mirror = Mirror(store, "/s/", timings)
    election = Election(store, mirror, key=KEY, node=node, name=f"host {node}", timings=timings, clock=clock)
    tasks = {asyncio.create_task(mirror.run()), asyncio.create_task(election.run())}
    try:
        yield election
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_lone_candidate_leads() -> None:
    """It holds the key, its fence holds, and the mirror shows its name."""
    cluster = MemoryCluster()
    async with candidate(cluster.client(), "a") as election:
        await election.changed(0)
        assert election.leadership is not None
        await cluster.client().commit([election.leadership.fence()], [Put("/s/x", b"1")])
        assert cluster.entries[KEY].create_revision == election.leadership.epoch
        await eventually(lambda: election.leader is not None and election.leader.name == "host a")
    assert KEY not in cluster.entries


async def test_resigning_lets_the_other_lead_at_once() -> None:
    """Nobody waits for the lease, the epoch is a new one, and who resigned stays out."""
    cluster = MemoryCluster()
    async with candidate(cluster.client(), "a") as first:
        await first.changed(0)
        async with candidate(cluster.client(), "b") as second:
            await eventually(lambda: second.why == "another node leads")
            epoch = cluster.entries[KEY].create_revision
            await first.resign()
            assert first.leadership is None
            await asyncio.wait_for(second.changed(0), 1)
            assert second.leadership is not None
            assert second.leadership.epoch > epoch
        await eventually(lambda: KEY not in cluster.entries)
        assert first.leadership is None


async def test_a_leader_that_is_cut_off_steps_down_before_another_can_lead() -> None:
    """At no moment do two candidates believe that they lead."""
    cluster = MemoryCluster()
    timings = Timings(lease_ttl=2, renew=0.05, probe=0.05, attempt=0.1, call_deadline=0.2)
    cut_off = cluster.client()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(candidate(cut_off, "a", timings))
        await first.changed(0)
        second = await stack.enter_async_context(candidate(cluster.client(), "b", timings))
        fence = first.leadership.fence()
        cut_off.offline()
        both = False

        def taken_over() -> bool:
            nonlocal both
            both = both or bool(first.leadership and second.leadership)
            return second.leadership is not None

        await eventually(taken_over, within=5)
        assert not both
        cut_off.online()
        with pytest.raises(Refused):
            await cut_off.commit([fence], [Put("/s/x", b"late")])
        assert first.leadership is None


async def test_a_campaign_whose_answer_got_lost_is_won() -> None:
    """The candidate reads the key again and finds its own lease there."""
    cluster = MemoryCluster()
    store = cluster.client()
    store.lose_next_answer()
    async with candidate(store, "a") as election:
        await asyncio.wait_for(election.changed(0), 2)
        assert election.leadership is not None
        assert election.leadership.epoch == cluster.entries[KEY].create_revision == 2


async def test_a_leader_whose_key_was_deleted_steps_down() -> None:
    """An operator who deletes the key ends the term; the next one has a new epoch."""
    cluster = MemoryCluster()
    async with candidate(cluster.client(), "a") as election:
        await election.changed(0)
        epoch = election.leadership.epoch
        await cluster.client().commit([], [Delete(KEY)])
        await eventually(lambda: election.leadership is not None and election.leadership.epoch > epoch)
        assert election.version == 3


async def test_a_garbled_leader_key_is_nobody() -> None:
    """A key that cannot be read still blocks the election, and names no leader."""
    cluster = MemoryCluster()
    cluster.apply([Put(KEY, b"\xff")])
    async with candidate(cluster.client(), "a") as election:
        await eventually(lambda: "delete it" in election.why)
        assert (election.leader, election.leadership) == (None, None)
        await cluster.client().commit([], [Delete(KEY)])
        await asyncio.wait_for(election.changed(0), 2)


async def test_of_many_candidates_one_leads() -> None:
    """However many begin at once, the key has one holder and the others wait."""
    cluster = MemoryCluster()
    async with AsyncExitStack() as stack:
        elections = [await stack.enter_async_context(candidate(cluster.client(), f"n{i}")) for i in range(5)]
        await eventually(lambda: sum(each.leadership is not None for each in elections) == 1)
        await eventually(lambda: sum(each.why == "another node leads" for each in elections) == 4)
        await eventually(lambda: len(cluster._leases) == 5)


async def test_who_waits_holds_a_lease_ready() -> None:
    """To take over is one write under the lease that is there; one that was lost meanwhile is replaced."""
    cluster = MemoryCluster()
    async with candidate(cluster.client(), "a") as first:
        await first.changed(0)
        led_under = cluster.entries[KEY].lease_id
        async with candidate(cluster.client(), "b") as second:

            def ready() -> set[int]:
                return set(cluster._leases) - {led_under}

            await eventually(ready)
            (lost,) = ready()
            await cluster.client().revoke(lost)
            await eventually(lambda: ready() - {lost})
            (held,) = ready()
            await first.resign()
            await eventually(lambda: second.leadership)
            assert cluster.entries[KEY].lease_id == held
        await eventually(lambda: not cluster._leases)


async def test_a_ready_lease_that_the_store_forgot_costs_no_time() -> None:
    """A store that was put back to an old copy does not know it; another one is taken at once."""
    cluster, patient = MemoryCluster(), Timings(lease_ttl=20, agent_lease_ttl=20, renew=8)
    async with candidate(cluster.client(), "a") as first:
        await first.changed(0)
        async with candidate(cluster.client(), "b", patient) as second:
            await eventually(lambda: len(cluster._leases) == 2)
            cluster.end_lease(max(cluster._leases))
            await first.resign()
            await eventually(lambda: second.leadership, within=4)


async def test_who_resigns_while_another_lease_is_taken_leaves_none_behind() -> None:
    """A resignation that is slow to end the lease of before does not forget the one that was taken meanwhile."""
    cluster = MemoryCluster()

    class Slow(MemoryStore):
        pauses = iter((0.05, 0.15))
        revoking = asyncio.Event()

        async def revoke(self, lease_id: int) -> None:
            self.revoking.set()
            await asyncio.sleep(next(self.pauses, 0))
            await super().revoke(lease_id)

        async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
            revision = await super().commit(conditions, writes)
            await asyncio.sleep(0.2)
            return revision

    held, clock = cluster.new_lease(60).lease_id, Hands(cluster)
    cluster.apply([Put(KEY, b"", held)])
    async with candidate(Slow(cluster), "a", clock=clock) as election:
        await eventually(lambda: len(cluster._leases) == 2)
        clock.at += 10  # as after a suspend: the lease that was held ready is not trusted any more
        cluster.end_lease(held)
        async with asyncio.timeout(2):
            await Slow.revoking.wait()
            await election.resign()
        assert not cluster._leases


async def test_a_leader_whose_store_was_put_back_steps_down() -> None:
    """Its fence would not hold, and the store may take long to count as far as its epoch again."""
    cluster = MemoryCluster()
    for number in range(5):
        cluster.apply([Put("/s/news", b"%d" % number)])
    async with candidate(cluster.client(), "a") as first:
        await first.changed(0)
        assert first.leadership
        assert first.leadership.epoch > 2
        await eventually(lambda: first._own_seen)
        cluster.entries, cluster.revision = {}, 1
        cluster.history.clear()
        cluster.moved.beat()
        await eventually(lambda: first.leadership and first.leadership.epoch == 2)
        await cluster.client().commit([first.leadership.fence()], [Put("/s/x", b"1")])


async def test_who_is_cancelled_while_it_steps_down_ends() -> None:
    """The lease is given back all the same."""
    cluster = MemoryCluster()
    asked = asyncio.Event()

    class Slow(MemoryStore):
        async def revoke(self, lease_id: int) -> None:
            if not asked.is_set():
                asked.set()
                await asyncio.Event().wait()
            await super().revoke(lease_id)

    store = Slow(cluster)
    mirror = Mirror(store, "/s/", FAST)
    election = Election(store, mirror, key=KEY, node="a", name="host a", timings=FAST)
    following, leading = asyncio.create_task(mirror.run()), asyncio.create_task(election.run())
    await election.changed(0)
    await cluster.client().commit([], [Delete(KEY)])
    async with asyncio.timeout(2):
        await asked.wait()
        leading.cancel()
        await asyncio.wait([leading])
    assert not cluster._leases
    following.cancel()
    await asyncio.wait([following])


class Hands:
    """A clock that the test moves; each move is news in the store, so that everybody looks again."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self.at = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.at

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds
        self._cluster.apply([Put("/s/news", b"")])


async def test_standing_aside_hands_leadership_over_at_once() -> None:
    """The leader steps down, the other leads without waiting for a lease, and who stands aside says why."""
    cluster = MemoryCluster()
    async with candidate(cluster.client(), "a") as first:
        await first.changed(0)
        async with candidate(cluster.client(), "b") as second:
            await eventually(lambda: second.why == "another node leads")
            first.stand_aside("it is serviced")
            async with asyncio.timeout(1):
                await second.changed(0)
            assert second.leadership is not None
            assert (first.leadership, first.aside) == (None, "it is serviced")


RESERVE_AFTER = 2 * FAST.lease_ttl
SERVICED = "stands aside: it is serviced"


async def test_who_stands_aside_leads_when_nobody_else_does() -> None:
    """Not a moment before nobody has led for twice the life of a lease, and then for good."""
    cluster = MemoryCluster()
    clock = Hands(cluster)
    async with candidate(cluster.client(), "a", clock=clock) as election:
        election.stand_aside("it is serviced")
        await eventually(lambda: election.why == SERVICED)
        clock.pass_by(RESERVE_AFTER - 0.1)
        await eventually(lambda: election._mirror.view.revision == cluster.revision)
        assert election._until_next_step() == pytest.approx(0.1)
        clock.pass_by(0.1)
        await eventually(lambda: election.leadership is not None)
        epoch = cluster.entries[KEY].create_revision
        election.stand_aside("it is serviced")
        clock.pass_by(0.1)
        await eventually(lambda: election._mirror.view.revision == cluster.revision)
        assert election.leadership is not None
        assert cluster.entries[KEY].create_revision == epoch


async def test_time_alone_makes_a_reserve_lead() -> None:
    """Nothing has to happen for it: the candidate wakes by itself."""
    cluster = MemoryCluster()
    timings = Timings(lease_ttl=2, renew=0.05, probe=0.05, attempt=0.1, call_deadline=0.2)
    async with candidate(cluster.client(), "a", timings) as election:
        election.stand_aside("it is serviced")
        await eventually(lambda: election.leadership is not None, within=6)


async def test_a_vacancy_is_counted_anew_after_a_leader() -> None:
    """A leader in between, or a store that was out of reach, begins the waiting again."""
    cluster = MemoryCluster()
    clock = Hands(cluster)
    async with candidate(cluster.client(), "a", clock=clock) as election:
        election.stand_aside("it is serviced")
        await eventually(lambda: election.why == SERVICED)
        clock.pass_by(RESERVE_AFTER - 0.1)
        cluster.apply([Put(KEY, b"", cluster.new_lease(5).lease_id)])
        await eventually(lambda: election.why == "another node leads")
        cluster.apply([Delete(KEY)])
        await eventually(lambda: election.why == SERVICED)
        assert election._until_next_step() == RESERVE_AFTER


@pytest.mark.parametrize("again", [True, False], ids=["same-reason", "new-reason"])
async def test_a_reserve_steps_down_when_told_anew(again: bool) -> None:  # noqa: FBT001
    """Whoever sees that another could lead by now takes the wish back and makes it again, or has a new one."""
    cluster = MemoryCluster()
    clock = Hands(cluster)
    async with candidate(cluster.client(), "a", clock=clock) as election:
        election.stand_aside("it is serviced")
        await eventually(lambda: election.why == SERVICED)
        clock.pass_by(RESERVE_AFTER)
        await eventually(lambda: election.leadership is not None)
        if again:
            election.stand_up()
        election.stand_aside("it is serviced", of="" if again else "clock")
        await eventually(lambda: election.leadership is None and KEY not in cluster.entries)


async def test_two_reasons_are_taken_back_one_by_one() -> None:
    """A node that is serviced and whose clock is wrong stands aside until both are over."""
    cluster = MemoryCluster()
    async with candidate(cluster.client(), "a") as election:
        election.stand_aside("it is serviced", of="drain")
        election.stand_aside("its clock is wrong", of="clock")
        await eventually(lambda: election.why == "stands aside: it is serviced; its clock is wrong")
        election.stand_up(of="drain")
        await eventually(lambda: election.why == "stands aside: its clock is wrong")
        election.stand_up(of="clock")
        await eventually(lambda: election.leadership is not None)

"""The desk and a leader: an order is carried out once or withdrawn, whoever fails in between, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.memory import MemoryStore
from cluster.mirror import Mirror
from cluster.records import verify_stored
from cluster.store import Condition, Delete, PermissionRefused, Put, Unavailable, Write
from cluster.values import decode_value, encode_value
from coordinator.clock import EffectiveClock
from coordinator.desk import PATIENCE, Closed, Desk
from coordinator.orders import Install, Order, Outcome, RenewRequestCode
from coordinator.publisher import OutcomeLease
from licensing.envelope import seal
from licensing.ledger import KeyState, Ledger
from licensing.ledger import Site as SiteIdentity
from licensing.records import ChainHead
from licensing.request_code import binding_of, parse
from tests.unit.coordinator.ordered import order
from tests.unit.coordinator.running import QUICK, Coordinator, Counting, Site, ready
from tests.unit.coordinator.stored import KEYS, NOW, A, B, good_key
from tests.unit.licensing.signing import KID, VENDOR, licence
from tests.waiting import eventually

Meanwhile = Callable[[], Awaitable[object]]

AT_ONCE = 0.05
"""Seconds of patience where nobody will answer."""
DONE = Outcome(200, "", "done", "", changed=True)
NEW_CODE = RenewRequestCode()


@asynccontextmanager
async def desk_at(store: MemoryStore) -> AsyncIterator[Desk]:
    """Give a desk of node b with a mirror of its own, and no coordinator behind it."""
    mirror = Mirror(store, KEYS.prefix, QUICK, without=KEYS.records)
    task = asyncio.create_task(mirror.run())
    try:
        await eventually(lambda: mirror.connected)
        yield Desk(store, mirror, KEYS, EffectiveClock(lambda: NOW, lambda: 0.0), B)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def inbox(site: Site) -> list[str]:
    """Return the keys of the orders that wait."""
    return [key for key in site.cluster.entries if key.startswith(KEYS.inboxes)]


def outcomes(site: Site) -> list[Outcome]:
    """Return every outcome that was ever written."""
    events = [event for changes in site.cluster.history for event in changes.events]
    return [
        decode_value(event.key, event.entry.value, Outcome)
        for event in events
        if event.key.startswith(KEYS.outcomes) and event.entry is not None
    ]


def identity(site: Site) -> SiteIdentity:
    """Return the stored identity; LookupError before it is there."""
    return decode_value(KEYS.site, site.cluster.entries[KEYS.site].value, SiteIdentity)


def ledger(site: Site) -> Ledger:
    """Return the stored ledger."""
    return decode_value(KEYS.ledger, site.cluster.entries[KEYS.ledger].value, Ledger)


async def at_rest(site: Site, coordinator: Coordinator) -> None:
    """Wait until the site has its request code and the answer to it."""
    await ready(coordinator)
    await eventually(lambda: len(identity(site).nonces) == 1)


# --- with a leader -------------------------------------------------------------------------------------------------


async def test_an_upload_is_installed_recorded_and_answered_in_one_transaction(site: Site, tmp_path: Path) -> None:
    """The order goes, and ledger, records, answer and outcome come with the same revision."""
    await site.report(A, good_key(), vip=True)
    async with Coordinator(site.client(), tmp_path).at_work() as one, desk_at(site.client()) as desk:
        await at_rest(site, one)
        asked = licence(binding=binding_of(parse(identity(site).request)), licence_id="L-1", lineage="C-9")
        receipt = await desk.give(Install((seal(asked, KID, VENDOR),)), "admin")
        assert receipt.outcome is not None
        assert (receipt.outcome.http, receipt.outcome.changed, receipt.outcome.node) == (200, True, A)
        stored = site.cluster.entries
        outcome = stored[KEYS.outcome(receipt.order_id)]
        assert outcome.lease_id
        assert {stored[key].mod_revision for key in (KEYS.ledger, KEYS.status, KEYS.site)} == {outcome.mod_revision}
        assert inbox(site) == []
        assert desk.outcome(receipt.order_id) == receipt.outcome
    kept = ledger(site)
    assert [(each.licence.licence_id, each.who, each.node) for each in kept.installed] == [("L-1", "admin", A)]
    assert await verify_stored(site.client(), KEYS, ChainHead(kept.record_count, kept.record_hash)) is None
    assert len(identity(site).nonces) == 2


async def test_orders_are_carried_out_once_each_in_the_order_in_which_they_came(site: Site, tmp_path: Path) -> None:
    """Two desks at once do not disturb each other."""
    async with (
        Coordinator(site.client(), tmp_path).at_work() as one,
        desk_at(site.client()) as here,
        desk_at(site.client()) as there,
    ):
        await at_rest(site, one)
        receipts = await asyncio.gather(*(desk.give(NEW_CODE, "admin") for desk in (here, there) * 3))
        assert all(each.outcome and each.outcome.http == 200 for each in receipts)
    assert len(outcomes(site)) == 6
    assert len(set(identity(site).nonces)) == 7


async def test_of_two_uploads_with_one_nonce_one_is_installed(site: Site, tmp_path: Path) -> None:
    """The other is refused by what the first one left."""
    await site.report(A, good_key(), vip=True)
    async with Coordinator(site.client(), tmp_path).at_work() as one, desk_at(site.client()) as desk:
        await at_rest(site, one)
        binding = binding_of(parse(identity(site).request))
        files = [seal(licence(binding=binding, licence_id=name, lineage=name), KID, VENDOR) for name in ("L-1", "L-2")]
        receipts = await asyncio.gather(*(desk.give(Install((file,)), "admin") for file in files))
        assert sorted(each.outcome.http for each in receipts if each.outcome) == [200, 409]
    assert len(ledger(site).installed) == 1


@pytest.mark.parametrize("name", ["bad-1", "a/b"])
async def test_a_bad_order_is_taken_out_and_stops_nothing(site: Site, tmp_path: Path, name: str) -> None:
    """Whatever somebody writes there, it is answered where that can be, and the next order is carried out."""
    site.put(KEYS.inboxes + name, b"?")
    async with Coordinator(site.client(), tmp_path).at_work() as one, desk_at(site.client()) as desk:
        await at_rest(site, one)
        await eventually(lambda: inbox(site) == [])
        assert (await desk.give(NEW_CODE, "admin")).outcome is not None
    assert [each.code for each in outcomes(site)] == (["bad-order", ""] if name == "bad-1" else [""])


async def test_outcomes_survive_the_loss_of_their_lease(site: Site, tmp_path: Path) -> None:
    """A leader whose lease the store has forgotten takes another."""
    async with Coordinator(site.client(), tmp_path).at_work() as one, desk_at(site.client()) as desk:
        await at_rest(site, one)
        first = await desk.give(NEW_CODE, "admin")
        site.cluster.end_lease(site.cluster.entries[KEYS.outcome(first.order_id)].lease_id)
        await eventually(lambda: desk.outcome(first.order_id) is None)
        assert (await desk.give(NEW_CODE, "admin")).outcome is not None


async def test_an_outcome_lease_is_renewed_at_half_its_life() -> None:
    """Every outcome can be asked for at least half of it."""
    now = [1000.0]
    lease = OutcomeLease(Site().client(), lambda: now[0])
    first = await lease.current()
    now[0] += OutcomeLease.TTL / 2 - 1
    assert await lease.current() == first
    now[0] += 1
    second = await lease.current()
    assert second != first
    lease.forget()
    assert await lease.current() != second


# --- nobody leads --------------------------------------------------------------------------------------------------


async def test_an_order_is_withdrawn_when_nobody_leads(site: Site) -> None:
    """Nothing stays behind that could be carried out later."""
    async with desk_at(site.client()) as desk:
        with pytest.raises(Closed):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert (inbox(site), outcomes(site)) == ([], [])


async def test_an_order_waits_for_a_leader(site: Site, tmp_path: Path) -> None:
    """A leader that comes in time carries it out."""
    async with desk_at(site.client()) as desk:
        giving = asyncio.create_task(desk.give(NEW_CODE, "admin"))
        await eventually(lambda: len(inbox(site)) == 1)
        assert desk.waits(inbox(site)[0].rpartition("/")[2])
        async with Coordinator(site.client(), tmp_path).at_work():
            assert (await giving).outcome is not None


async def test_a_desk_without_a_store_is_closed(site: Site) -> None:
    """What cannot be written is not accepted."""
    store = site.client()
    async with desk_at(store) as desk:
        store.offline()
        await eventually(lambda: not desk._mirror.connected)
        with pytest.raises(Closed):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert inbox(site) == []


class Interrupted(Counting):
    """A client to which something happens just before a commit; by default before a withdrawal."""

    def __init__(self, site: Site, before: Meanwhile, at: type[Write] | None = None) -> None:
        super().__init__(site.cluster)
        self._before = before
        self._puts = at is Put

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Let it happen, and commit."""
        if any(isinstance(write, Put) for write in writes) == self._puts:
            await self._before()
        return await super().commit(conditions, writes)


async def _refuse() -> None:
    raise PermissionRefused("not allowed")


async def _nothing() -> None:
    pass


async def _lose() -> None:
    raise Unavailable("not sent")


async def test_a_store_that_refuses_the_order_closes_the_desk(site: Site) -> None:
    """Such as one that does not know our name any more."""
    async with desk_at(Interrupted(site, _refuse, Put)) as desk:
        with pytest.raises(Closed, match="not allowed"):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)


async def test_a_leader_that_is_faster_than_the_withdrawal_wins(site: Site) -> None:
    """The order was carried out, and that is the answer."""

    async def answered() -> None:
        (key,) = inbox(site)
        await site.client().commit([], [Put(KEYS.outcome(key.rpartition("/")[2]), encode_value(DONE))])

    async with desk_at(Interrupted(site, answered)) as desk:
        receipt = await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert receipt.outcome == DONE


async def test_an_order_that_cannot_be_withdrawn_may_be_asked_for(site: Site) -> None:
    """A desk that lost the store does not say that nothing was changed."""
    async with desk_at(Interrupted(site, _lose)) as desk:
        receipt = await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert receipt.outcome is None
    assert inbox(site) == [KEYS.inbox(receipt.order_id)]


async def test_an_order_that_was_withdrawn_unseen_is_not_said_to_be_accepted(site: Site) -> None:
    """The answer of the store got lost, the withdrawal did not: nobody will ever know of the order."""
    store = Interrupted(site, _nothing)

    async def lose_the_answer() -> None:
        store.lose_next_answer()

    store._before = lose_the_answer
    async with desk_at(store) as desk:
        with pytest.raises(Closed, match="did not confirm"):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert (inbox(site), outcomes(site)) == ([], [])


async def test_an_order_that_vanished_is_not_said_to_be_accepted(site: Site) -> None:
    """Such as one in a store that was restored from an old copy while it waited."""

    async def vanish() -> None:
        (key,) = inbox(site)
        await site.client().commit([], [Delete(key)])

    async with desk_at(Interrupted(site, vanish)) as desk:
        with pytest.raises(Closed, match="did not confirm"):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)


async def test_an_order_is_not_said_to_be_accepted_when_the_store_is_gone_at_its_withdrawal(site: Site) -> None:
    """It may be in the inbox yet, or be withdrawn: that is said."""
    store = Interrupted(site, _nothing)

    async def cut_off() -> None:
        store.offline()
        await _lose()

    store._before = cut_off
    async with desk_at(store) as desk:
        with pytest.raises(Closed, match="may be carried out yet"):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
        await eventually(lambda: not desk._mirror.connected)


async def test_the_outcome_of_an_order_whose_withdrawal_was_not_confirmed_is_told(site: Site) -> None:
    """A leader carried it out meanwhile."""

    async def answered() -> None:
        (key,) = inbox(site)
        done = Put(KEYS.outcome(key.rpartition("/")[2]), encode_value(DONE))
        await site.client().commit([], [Delete(key), done])
        await _lose()

    async with desk_at(Interrupted(site, answered)) as desk:
        receipt = await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert receipt.outcome == DONE


# --- it is not known whether the order came in ---------------------------------------------------------------------


async def test_an_order_that_came_in_unseen_is_carried_out_once(site: Site, tmp_path: Path) -> None:
    """The answer of the store got lost, the order did not."""
    store = site.client()
    async with Coordinator(site.client(), tmp_path).at_work() as one, desk_at(store) as desk:
        await at_rest(site, one)
        store.lose_next_answer()
        receipt = await desk.give(NEW_CODE, "admin")
        assert receipt.outcome is not None
    assert len(identity(site).nonces) == 2


async def test_an_order_that_came_in_unseen_is_withdrawn_when_nobody_leads(site: Site) -> None:
    """Nothing stays behind then either."""
    store = site.client()
    async with desk_at(store) as desk:
        store.lose_next_answer()
        with pytest.raises(Closed):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert inbox(site) == []


async def test_an_order_that_nobody_saw_come_in_is_not_said_to_be_accepted(site: Site) -> None:
    """Nor is it said that nothing will be changed: it may be on its way to the store."""
    async with desk_at(Interrupted(site, _lose, Put)) as desk:
        with pytest.raises(Closed, match="may be carried out yet"):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)


async def test_an_order_that_was_lost_is_told_as_soon_as_the_store_answers(site: Site) -> None:
    """Such as one that came in while etcd elected a leader: nobody waits for an outcome that cannot come."""
    store = Interrupted(site, _lose, Put)

    async def cut_off() -> None:
        store.offline()
        asyncio.get_running_loop().call_later(3 * AT_ONCE, store.online)
        await _lose()

    store._before = cut_off
    async with desk_at(store) as desk, asyncio.timeout(PATIENCE / 4):
        with pytest.raises(Closed, match="did not confirm"):
            await desk.give(NEW_CODE, "admin")


async def test_an_order_that_came_in_during_an_outage_is_waited_for(site: Site, tmp_path: Path) -> None:
    """It is found when the store answers again, and its outcome is that of any other."""
    store = site.client()
    async with Coordinator(site.client(), tmp_path).at_work() as one, desk_at(store) as desk:
        await at_rest(site, one)
        one.store.offline()  # the leader cannot take it yet
        store.lose_next_answer()
        giving = asyncio.create_task(desk.give(NEW_CODE, "admin"))
        await eventually(lambda: len(inbox(site)) == 1)
        store.offline()
        await eventually(lambda: not desk._mirror.connected)
        store.online()
        one.store.online()
        assert (await giving).outcome is not None
    assert len(identity(site).nonces) == 2


async def test_an_order_is_not_said_to_be_accepted_when_the_store_is_gone_before_it_was_seen(site: Site) -> None:
    """A store that is killed between the order and its answer never had it."""
    gone = Interrupted(site, _lose, Put)

    async def cut_off() -> None:
        gone.offline()
        await _lose()

    gone._before = cut_off
    async with desk_at(gone) as desk:
        with pytest.raises(Closed, match="did not confirm"):
            await desk.give(NEW_CODE, "admin", patience=AT_ONCE)
    assert inbox(site) == []


# --- a leader dies -------------------------------------------------------------------------------------------------


class Dying(Counting):
    """A leader's client that is cut off for good at the outcome of an order, just before it or just after it."""

    def __init__(self, site: Site, *, after: bool) -> None:
        super().__init__(site.cluster)
        self._after = after

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Die at the outcome."""
        if not any(write.key.startswith(KEYS.outcomes) for write in writes):
            return await super().commit(conditions, writes)
        if self._after:
            await super().commit(conditions, writes)
        self.offline()
        raise Unavailable("cut off")


@pytest.mark.parametrize("after", [False, True], ids=["before the outcome", "after the outcome"])
async def test_an_order_outlives_the_leader_and_is_carried_out_once(
    site: Site,
    tmp_path: Path,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The next leader finds it, or finds it done."""
    first, second = Coordinator(Dying(site, after=after), tmp_path, A), Coordinator(site.client(), tmp_path, B)
    async with first.at_work(), desk_at(site.client()) as desk:
        await at_rest(site, first)
        async with second.at_work():
            receipt = await desk.give(NEW_CODE, "admin")
            assert receipt.outcome is not None
            assert receipt.outcome.http == 200
            await eventually(lambda: second.leads)
            await site.report(A)
            await ready(second, KeyState.MISSING)  # the next leader has looked at everything
    assert (len(outcomes(site)), len(identity(site).nonces), inbox(site)) == (1, 2, [])


async def test_an_order_of_a_receiver_that_died_is_carried_out(site: Site, tmp_path: Path) -> None:
    """Who was told that it is accepted can rely on it."""
    site.put(KEYS.inbox("left"), encode_value(order(NEW_CODE)))
    async with Coordinator(site.client(), tmp_path).at_work():
        await eventually(lambda: inbox(site) == [])
    assert [each.http for each in outcomes(site)] == [200]


def test_an_order_survives_being_stored() -> None:
    """What is in the inbox is what was given."""
    given = replace(order(Install((b"one", b"two"))), fresh="abc")
    assert decode_value("inbox", encode_value(given), Order) == given

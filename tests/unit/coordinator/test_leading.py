"""Publishing, answering and the election together: what two coordinators make of a site, and of trouble with it."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cluster.store import Condition, PermissionRefused, Put, StoreError, Write
from cluster.values import decode_value, encode_value
from coordinator import publisher
from coordinator.board import Answer
from coordinator.clock import EffectiveClock
from coordinator.founding import FILE
from licensing.ledger import KeyState, Ledger, Usage
from licensing.ledger import Site as SiteIdentity
from licensing.policy import Policy
from licensing.status import Validity
from tests.unit.coordinator.running import Coordinator, Counting, Site, ready, running_wall
from tests.unit.coordinator.stored import DAY, KEYS, NOW, SECOND, SITE, A, B, good_key
from tests.unit.licensing.signing import day
from tests.waiting import eventually

EXPIRES = day("2027-01-01")


async def test_two_coordinators_found_a_site_and_agree(site: Site, tmp_path: Path) -> None:
    """One of them leads, the site is founded once, and both give the very same bytes."""
    one, two = (Coordinator(site.client(), tmp_path, node) for node in (A, B))
    async with one.at_work(), two.at_work():
        await ready(one)
        await ready(two)
        assert one.board.answer == two.board.answer
        assert [one.leads, two.leads].count(True) == 1
    founded = decode_value(KEYS.site, site.cluster.entries[KEYS.site].value, SiteIdentity)
    assert (founded.site_id, founded.members, founded.trial_start) == (SITE, (A, B), NOW)


async def test_every_node_keeps_the_sites_identity(site: Site, tmp_path: Path) -> None:
    """Also a coordinator that never led can tell when the trial began after etcd is lost."""
    one, two = (Coordinator(site.client(), tmp_path, node) for node in (A, B))
    async with one.at_work(), two.at_work():
        await eventually(lambda: [(tmp_path / node / FILE).exists() for node in (A, B)] == [True, True])


async def test_the_trial_goes_on_in_a_new_store(tmp_path: Path) -> None:
    """Etcd wiped, and a node that only followed leads first: the trial has not begun anew."""
    first, second = Site(), Site()
    leading = Coordinator(first.client(), tmp_path, A)
    following = Coordinator(first.client(), tmp_path, B)
    async with leading.at_work():
        await eventually(lambda: leading.status)
        async with following.at_work():
            await eventually((tmp_path / B / FILE).exists)
    later = EffectiveClock(lambda: NOW + 5 * DAY, lambda: 0.0)
    async with Coordinator(second.client(), tmp_path, B, clock=later).at_work() as again:
        await eventually(lambda: again.status.license.expires == NOW + 30 * DAY)


async def test_a_leader_decides_before_it_tells(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a report makes of the site is on its way to etcd before anybody here is told that there was a report."""
    done = list[str]()

    class Noting(Counting):
        """Notes that something was decided."""

        async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
            """Note, and commit."""
            done.append("decided")
            return await super().commit(conditions, writes)

    one = Coordinator(Noting(site.cluster), tmp_path)
    async with one.at_work():
        await ready(one)
        await eventually(lambda: one.board.answer is not None and not one.board.answer.status.stale)
        tell = one.board.show

        def show(answer: Answer) -> None:
            done.append("told")
            tell(answer)

        monkeypatch.setattr(one.board, "show", show)
        done.clear()
        await site.report(A)
        await ready(one, KeyState.MISSING)
    assert done[:2] == ["decided", "told"]


async def test_the_other_node_takes_over_with_a_higher_index_and_epoch(site: Site, tmp_path: Path) -> None:
    """A leader that stops hands over; index and epoch rise from one answer to the next, and the change is counted."""
    one, two = (Coordinator(site.client(), tmp_path, node) for node in (A, B))
    async with AsyncExitStack() as follower:
        async with one.at_work():
            await ready(one)
            await follower.enter_async_context(two.at_work())
            await ready(two)
            before = site.published
        await eventually(lambda: site.published.epoch > before.epoch and site.published.leader.name == "Node B")
        await site.report(A)
        await ready(two, KeyState.MISSING)
    answers = site.history()
    assert [each.index for each in answers] == list(range(1, len(answers) + 1))
    assert [each.epoch for each in answers] == sorted(each.epoch for each in answers)
    assert {each.epoch for each in answers} == {before.epoch, answers[-1].epoch}
    assert two.metrics.registry.get_sample_value("twinkey_leader_changes_total") == 1


async def test_a_site_at_rest_is_written_to_no_more(site: Site, tmp_path: Path) -> None:
    """Once everything is said the leader is silent, and looks again only when something happens."""
    store = Counting(site.cluster)
    async with Coordinator(store, tmp_path).at_work() as one:
        await ready(one)
        before = site.cluster.revision
        await site.report(B)  # the same report again: the reader's keys move, the answer does not
        await eventually(lambda: one.mirror.view.revision == site.cluster.revision)
        await site.report(A)
        await ready(one, KeyState.MISSING)
        assert site.cluster.revision == before + 3
    assert store.publications == len(site.history())


class Contested(Counting):
    """Somebody else changes the usage just before each of the first publications."""

    rivals = 3

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Let the rival be faster."""
        if any(write.key == KEYS.status for write in writes) and self.rivals:
            self.rivals -= 1
            self.cluster.apply([Put(KEYS.usage, encode_value(Usage(NOW, hosts=self.rivals)))])
        return await super().commit(conditions, writes)


async def test_a_refused_publication_is_decided_again_from_what_is_there_now(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A plan made from what is no longer so is refused, and the next one knows better; no spin, no crash."""
    caplog.set_level(logging.INFO)
    store = Contested(site.cluster)
    async with Coordinator(store, tmp_path).at_work() as one:
        await ready(one)
    usage = site.published.status.usage
    assert usage is not None
    assert usage.hosts == 0
    assert len(site.history()) == 1
    assert store.publications == 4
    assert [record.message for record in caplog.records].count("publication refused") == 3


async def test_a_lost_answer_is_not_published_twice(site: Site, tmp_path: Path) -> None:
    """A commit that was applied although its answer got lost is seen in the mirror."""
    store = Counting(site.cluster)
    async with Coordinator(store, tmp_path).at_work() as one:
        await ready(one)
        store.lose_next_answer()
        await site.report(A)
        await ready(one, KeyState.MISSING)
        await site.report(A, good_key())
        await ready(one)
    indices = [each.index for each in site.history()]
    assert indices == list(range(1, len(indices) + 1))


class Full(Counting):
    """A store that refuses publications while it is full, and leases never."""

    full = True
    refusal: StoreError = StoreError("etcd refuses: database space exceeded")

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Refuse what the coordinator publishes."""
        self.attempts.append(frozenset(write.key for write in writes))
        if self.full and not any(write.key == KEYS.leader for write in writes):
            raise self.refusal
        return await super(Counting, self).commit(conditions, writes)


@pytest.mark.parametrize(
    "refusal", [Full.refusal, PermissionRefused("etcd: permission denied")], ids=["full", "denied"]
)
async def test_a_store_that_takes_no_writes_is_asked_now_and_then(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refusal: StoreError
) -> None:
    """A leader that cannot write says so, asks again after a pause, and publishes when it can."""
    monkeypatch.setattr(publisher, "PAUSE_AFTER_FAILURE", 0.1)
    store = Full(site.cluster)
    store.refusal = refusal
    began = time.monotonic()
    async with Coordinator(store, tmp_path).at_work() as one:
        await eventually(lambda: len(store.attempts) > 6)
        assert time.monotonic() - began > 0.25
        assert any(record.message == "publication failed" for record in caplog.records)
        store.full = False
        await ready(one)


async def test_a_decision_that_raises_is_told_and_tried_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect in deciding stops no task and no answer; it is tried at a pace, and again when something changes."""
    monkeypatch.setattr(publisher, "PAUSE_AFTER_FAILURE", 0.1)
    unbearable = Policy(node_hold=dt.timedelta.max)  # its sums leave the calendar as soon as a node is silent
    async with Coordinator(site.client(), tmp_path, policy=unbearable).at_work() as one:
        await ready(one)
        await site.silence(B)
        began = time.monotonic()

        def failures() -> int:
            return [record.message for record in caplog.records].count("decision failed")

        await eventually(lambda: failures() >= 4)
        assert time.monotonic() - began > 0.25
        assert one.status.license.status is Validity.VALID
        await site.report(B)
        await site.report(A)
        await ready(one, KeyState.MISSING)


async def test_after_a_failure_the_leader_waits(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While nothing changes a failing decision is not tried in a loop."""
    unbearable = Policy(node_hold=dt.timedelta.max)
    async with Coordinator(site.client(), tmp_path, policy=unbearable).at_work() as one:
        await ready(one)
        await site.silence(B)
        await eventually(lambda: "decision failed" in [record.message for record in caplog.records])
        other = Coordinator(site.client(), tmp_path, B)
        async with other.at_work():
            await eventually(lambda: other.status.nodes[1].name)
        assert [record.message for record in caplog.records].count("decision failed") == 1


async def test_with_the_store_away_everybody_goes_on_answering(site: Site, tmp_path: Path) -> None:
    """The last answer stays, stale and without a leader; what happened meanwhile is published when etcd is back."""
    one, two = (Coordinator(site.client(), tmp_path, node) for node in (A, B))
    async with one.at_work(), two.at_work():
        await ready(one)
        await ready(two)
        site.cluster.offline()
        await eventually(lambda: one.status.stale and two.status.stale)
        for each in (one, two):
            assert (each.status.leader, each.status.license.status) == (None, Validity.VALID)
            assert "cannot reach etcd" in each.status.reasons[-1]
        await eventually(lambda: not one.leads and not two.leads)
        site.cluster.online()
        await site.report(A)
        await ready(one, KeyState.MISSING)
        await ready(two, KeyState.MISSING)


async def test_a_node_that_is_cut_off_alone_says_so_and_the_other_goes_on(site: Site, tmp_path: Path) -> None:
    """The node in the dark is stale, the other one leads and publishes, and both agree afterwards."""
    stores = [site.client() for _ in range(2)]
    one, two = (Coordinator(store, tmp_path, node) for store, node in zip(stores, (A, B), strict=True))
    async with one.at_work(), two.at_work():
        await ready(one)
        await ready(two)
        leader, other = (one, two) if one.leads else (two, one)
        epoch = site.published.epoch
        leader.store.offline()
        await eventually(lambda: leader.status.stale)
        await eventually(lambda: other.leads and site.published.epoch > epoch)
        assert not leader.leads
        leader.store.online()
        await eventually(lambda: leader.board.answer == other.board.answer)


async def test_a_licence_ends_in_the_dark_without_anybody_looking(site: Site, tmp_path: Path) -> None:
    """Time alone moves the board: no event, no leader, and the licence is Expired on time."""
    clock = EffectiveClock(running_wall(EXPIRES - 2.5 * SECOND))
    async with Coordinator(site.client(), tmp_path, clock=clock).at_work() as one:
        await ready(one)
        site.cluster.offline()
        await eventually(lambda: one.status.stale)
        assert one.status.license.status is Validity.VALID
        await eventually(lambda: one.status.license.status is Validity.EXPIRED)
        assert EXPIRES <= one.clock.now() < EXPIRES + SECOND


async def test_a_removal_settles_by_itself(site: Site, tmp_path: Path) -> None:
    """The leader wakes when a removal has lasted long enough, and publishes the buffer."""
    clock = EffectiveClock(running_wall())
    policy = Policy(removal_settle=0.3 * SECOND)
    async with Coordinator(site.client(), tmp_path, clock=clock, policy=policy).at_work() as one:
        await ready(one)
        await site.report(A)
        await ready(one, KeyState.MISSING)
        await eventually(lambda: one.status.buffer)


# --- bad values ----------------------------------------------------------------------------------------------------


async def test_a_bad_ledger_stops_decisions_and_not_answers(site: Site, tmp_path: Path) -> None:
    """With a ledger that cannot be read nothing is forgotten: stale, Valid, and well again when it is repaired."""
    store = Counting(site.cluster)
    async with Coordinator(store, tmp_path).at_work() as one:
        await ready(one)
        good = site.cluster.entries[KEYS.ledger].value
        site.put(KEYS.ledger, b'{"data":{},"version":2}')
        await eventually(lambda: one.status.stale)
        assert KEYS.ledger in one.status.reasons[-1]
        published = store.publications
        await site.report(A)
        await eventually(lambda: one.mirror.view.revision == site.cluster.revision)
        assert (one.status.license.status, store.publications) == (Validity.VALID, published)
        site.put(KEYS.ledger, good)
        await ready(one, KeyState.MISSING)


async def test_a_coordinator_that_starts_with_a_bad_ledger_does_not_make_one_up(site: Site, tmp_path: Path) -> None:
    """A ledger that was never read is not an empty one: the published answer counts."""
    async with Coordinator(site.client(), tmp_path).at_work() as one:
        await ready(one)
        name = one.status.license.name
    site.put(KEYS.ledger, b"?")
    async with Coordinator(site.client(), tmp_path, B).at_work() as two:
        await eventually(lambda: two.status.stale and two.status.leader)
        assert (two.status.license.name, two.status.license.status) == (name, Validity.VALID)


async def test_an_answer_that_somebody_damaged_is_published_again(site: Site, tmp_path: Path) -> None:
    """A status that cannot be read is written anew, above the index that it had."""
    async with Coordinator(site.client(), tmp_path).at_work() as one:
        await ready(one)
        site.put(KEYS.status, b"?")
        await eventually(lambda: site.published.index > 1)
        await eventually(lambda: not [reason for reason in one.status.reasons if KEYS.status in reason])
        await ready(one)
        await eventually(lambda: one.status.index == site.published.index)


class Vandal(Counting):
    """Somebody damages every answer as soon as it is published, eight times."""

    times = 8

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Commit, and damage it."""
        revision = await super().commit(conditions, writes)
        if any(write.key == KEYS.status for write in writes) and self.times:
            self.times -= 1
            self.cluster.apply([Put(KEYS.status, b"?")])
        return revision


async def test_a_storm_of_publications_is_slowed_down(site: Site, tmp_path: Path) -> None:
    """A leader whose every answer is wrong at once does not write as fast as it can."""
    began = time.monotonic()
    async with Coordinator(Vandal(site.cluster), tmp_path).at_work() as one:
        await ready(one)
        await eventually(lambda: site.published.index > Vandal.times)
    assert time.monotonic() - began > 2 * publisher.PAUSE_AFTER_REFUSAL


async def test_a_bad_leader_key_is_no_leader(site: Site, tmp_path: Path) -> None:
    """Garbage under the leader key leads nobody astray: the answer is stale until it is gone."""
    async with Coordinator(site.client(), tmp_path).at_work() as one:
        await ready(one)
    site.put(KEYS.leader, b"?")
    async with Coordinator(site.client(), tmp_path, B).at_work() as two:
        await eventually(lambda: two.status.stale)
        assert two.status.leader is None
        assert site.published.status.license.status is Validity.VALID


async def test_the_ledger_is_the_leaders_alone(site: Site, tmp_path: Path) -> None:
    """Many changes, two coordinators: the ledger's sequence counts every change once."""
    one, two = (Coordinator(site.client(), tmp_path, node) for node in (A, B))
    async with one.at_work(), two.at_work():
        for state, keys in [(KeyState.READY, ("K1",)), (KeyState.MISSING, ()), (KeyState.FAULT, ("K1", "K2"))] * 2:
            await site.report(A, *(good_key(key) for key in keys))
            await asyncio.gather(ready(one, state), ready(two, state))
    events = [event.entry for changes in site.cluster.history for event in changes.events if event.key == KEYS.ledger]
    sequences = [decode_value(KEYS.ledger, entry.value, Ledger).sequence for entry in events if entry]
    assert sequences == list(range(1, len(sequences) + 1))

"""By when keys must have been read and have proved themselves, as the leader counts it."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from coordinator.deadlines import PROVE_WITHIN, READ_WITHIN, Deadlines
from licensing.decide import decide
from licensing.seen import Challenge, InsertedKey, NodeView, Reading, Visibility
from licensing.status import KeyStatus
from licensing.value import Time
from tests.unit.coordinator.stored import (
    CHALLENGE,
    DAY,
    KEYS,
    NOW,
    POLICY,
    SECOND,
    A,
    at_rest,
    facts_of,
    proving_key,
    publish,
    stored_report,
    view_of,
)

EPOCH, INDEX = 5, 40


def proven(epoch: int = EPOCH, index: int = INDEX) -> InsertedKey:
    """Return a key with a proof for this leader and answer."""
    return InsertedKey("K1", Reading.OK, proved=replace(CHALLENGE, epoch=epoch, index=index))


def pending(read_by: Time, key_id: str = "K1") -> InsertedKey:
    """Return a key that is being read until then by its node's clock."""
    return InsertedKey(key_id, Reading.PENDING, read_by=read_by)


def node(*keys: InsertedKey, reported_at: Time = NOW, visibility: Visibility = Visibility.LIVE) -> NodeView:
    """Return node a with these keys."""
    return NodeView(A, "Node A", visibility, keys=keys, reported_at=reported_at)


def seen(deadlines: Deadlines, view: NodeView, now: Time, epoch: int = EPOCH, index: int = INDEX) -> InsertedKey:
    """Return the first key of the only node as a leader sees it."""
    (after,) = deadlines.apply((view,), epoch, index, now)
    return after.keys[0]


# --- proofs --------------------------------------------------------------------------------------------------------


def test_a_proof_for_this_leader_is_good_for_its_whole_term() -> None:
    """Nothing is due, however long the leader leads."""
    deadlines = Deadlines()
    for later in (dt.timedelta(), PROVE_WITHIN, 9 * DAY):
        assert seen(deadlines, node(proven()), NOW + later, index=INDEX + 7).prove_by is None


@pytest.mark.parametrize(
    ("epoch", "index"), [(4, 1), (6, 1), (0, 0), (EPOCH, INDEX + 1)], ids=["former", "later", "none", "ahead"]
)
def test_a_proof_for_another_leader_is_due(epoch: int, index: int) -> None:
    """It counts until its key can have been asked again, from when this leader first saw its node."""
    deadlines = Deadlines()
    for later in (0, 1, 200):
        assert seen(deadlines, node(proven(epoch, index)), NOW + later * SECOND).prove_by == NOW + PROVE_WITHIN


def test_a_node_that_comes_back_has_its_time_again() -> None:
    """Its keys could not be asked while it did not report; meanwhile they are held as they were."""
    deadlines, old, back = Deadlines(), proven(epoch=4), NOW + DAY
    assert seen(deadlines, node(old), NOW).prove_by == NOW + PROVE_WITHIN
    assert seen(deadlines, node(old, visibility=Visibility.STALE), NOW + SECOND) == old
    assert seen(deadlines, node(old), back).prove_by == back + PROVE_WITHIN


def test_every_leader_asks_anew() -> None:
    """What one leader has waited for counts nothing for the next one."""
    deadlines, later = Deadlines(), NOW + DAY
    assert seen(deadlines, node(proven(epoch=4)), NOW).prove_by == NOW + PROVE_WITHIN
    assert seen(deadlines, node(proven()), later, epoch=9).prove_by == later + PROVE_WITHIN


def told(challenge: Challenge, now: Time) -> KeyStatus:
    """Return how the key in node a is shown by a leader that has seen its node since `NOW`."""
    at_a = {KEYS.node(A): stored_report(A, proving_key(challenge))}
    facts = facts_of(view_of(publish(at_rest()) | at_a))
    deadlines = Deadlines()
    deadlines.apply(facts.views, EPOCH, INDEX, NOW)
    assert facts.site is not None
    assert facts.ledger is not None
    views = deadlines.apply(facts.views, EPOCH, INDEX, now)
    (key,) = decide(facts.site, views, facts.ledger, now, POLICY).status.nodes[0].ukeys
    return key


def test_a_proof_that_is_not_renewed_in_time_is_a_fault() -> None:
    """The law takes the deadline: until then the key is as good as before, and then it is at fault."""
    old = replace(CHALLENGE, epoch=EPOCH - 1)
    before, after = told(old, NOW + PROVE_WITHIN - SECOND), told(old, NOW + PROVE_WITHIN)
    assert (before.reading, before.assurance) == (Reading.OK, "proven")
    assert (after.reading, after.assurance) == (Reading.FAULTY, None)
    assert "did not prove itself" in after.reason


# --- readings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [-DAY, dt.timedelta(), 30 * DAY], ids=["behind", "right", "ahead"])
def test_a_reading_takes_as_long_as_its_node_says_whatever_that_nodes_clock_shows(wrong: dt.timedelta) -> None:
    """The clock of the node tells how long, and the clock of the leader from when."""
    view = node(pending(NOW + wrong + 6 * SECOND), reported_at=NOW + wrong)
    deadlines = Deadlines()
    assert seen(deadlines, view, NOW).read_by == NOW + 6 * SECOND
    assert seen(deadlines, view, NOW + 3 * SECOND).read_by == NOW + 6 * SECOND


def test_no_node_reads_for_ever() -> None:
    """A deadline far away is not believed, nor are ever new ones, nor ever other names."""
    deadlines = Deadlines()
    assert seen(deadlines, node(pending(NOW + 999 * DAY)), NOW).read_by == NOW + READ_WITHIN
    for second in range(0, 100, 10):
        now = NOW + second * SECOND
        view = node(pending(now + READ_WITHIN, f"port 1-{second}"), reported_at=now)
        assert seen(deadlines, view, now).read_by == NOW + READ_WITHIN


def test_a_later_reading_has_its_own_time() -> None:
    """When nothing was read in between, the next reading begins anew."""
    deadlines, later = Deadlines(), NOW + DAY
    seen(deadlines, node(pending(NOW + 6 * SECOND)), NOW)
    seen(deadlines, node(proven()), NOW + SECOND)
    again = node(pending(later + 6 * SECOND), reported_at=later)
    assert seen(deadlines, again, later).read_by == later + 6 * SECOND


def test_a_deadline_before_the_report_leaves_a_moment() -> None:
    """A node whose clock was set between two lines says nonsense, which ends the reading soon."""
    assert seen(Deadlines(), node(pending(NOW - DAY)), NOW).read_by == NOW + SECOND

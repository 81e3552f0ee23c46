"""The board: the published answer as it is, and what time alone makes of it while no leader is in sight."""

from __future__ import annotations

import asyncio
import datetime as dt
import json

import msgspec
import pytest

from coordinator.board import PATIENCE, Answer, Board, Sight, StatusBody, answer_from
from coordinator.facts import Facts
from coordinator.published import Leader, Published
from licensing.canonical import decode
from licensing.status import Alert, NodeStatus, Status, Validity
from licensing.value import Time
from tests.unit.coordinator.stored import (
    DAY,
    KEYS,
    ME,
    NOW,
    POLICY,
    SECOND,
    A,
    B,
    Hands,
    at_rest,
    facts_of,
    publish,
    published_in,
    stored_report,
    view_of,
)
from tests.unit.licensing.signing import day

AT_REST = publish(at_rest())
REMOVED = publish(AT_REST | {KEYS.node(A): stored_report(A), KEYS.last_seen(A): stored_report(A)}, NOW + SECOND)
BUFFERED = publish(REMOVED, NOW + 90 * SECOND)
"""The key was pulled a second after NOW and a minute has settled it: a buffer of 30 days."""

EXPIRES = day("2027-01-01")
BUFFER_ENDS = NOW + SECOND + 30 * DAY

FRESH = Sight(connected=True, leader=ME)
CUT_OFF = Sight(connected=False, leader=None)
LEADERLESS = Sight(connected=True, leader=None)
DARK = {"cut off from etcd": CUT_OFF, "without a leader": LEADERLESS}


def answer(
    values: dict[str, bytes], sight: Sight = FRESH, now: Time = NOW, published: Published | None = None
) -> Answer:
    """Build a node's answer from what is stored."""
    return answer_from(facts_of(view_of(values)), published or published_in(values), sight, now, POLICY)


def told(body: StatusBody) -> Status:
    """Return the law's part of a body."""
    nodes = tuple(
        NodeStatus(**{name: getattr(node, name) for name in NodeStatus.__struct_fields__}) for node in body.nodes
    )
    return Status(**{name: getattr(body, name) for name in Status.__struct_fields__} | {"nodes": nodes})


def test_a_fresh_answer_is_exactly_the_published_one() -> None:
    """With a leader in sight nobody computes anything: what was published is what is told."""
    fresh, published = answer(AT_REST), published_in(AT_REST)
    assert told(fresh.status) == published.status
    assert (fresh.status.epoch, fresh.status.index, fresh.status.as_of) == (5, 1, NOW)
    assert (fresh.status.leader, fresh.status.stale, fresh.status.site_id) == (ME, False, "site-1")


def test_the_body_is_the_status_in_canonical_json() -> None:
    """The bytes say what the value says, in the names of the interface."""
    fresh = answer(AT_REST)
    assert decode(fresh.body, StatusBody) == fresh.status
    body = json.loads(fresh.body)
    assert body["license"]["status"] == "Valid"
    assert body["leader"] == {"managementNodeUuid": A, "name": "Node A"}
    assert {"keyState", "buffer", "alerts", "restricted", "startAllowed", "banner", "asOf", "stale"} <= body.keys()


@pytest.mark.parametrize("sight", DARK.values(), ids=DARK)
def test_without_a_leader_the_last_answer_is_stale_and_says_why(sight: Sight) -> None:
    """The last answer stays, marked, with one more reason; its licence is as valid as it was."""
    stale, fresh = answer(AT_REST, sight), answer(AT_REST)
    assert stale.status.stale
    assert stale.status.reasons[:-1] == fresh.status.reasons
    changed = {
        name for name in StatusBody.__struct_fields__ if getattr(stale.status, name) != getattr(fresh.status, name)
    }
    assert changed == {"stale", "leader", "reasons"}


@pytest.mark.parametrize("key", [KEYS.ledger, KEYS.site])
def test_what_blocks_decisions_makes_the_answer_stale(key: str) -> None:
    """With a leader that cannot decide the answer is the last one, and the reason names the key."""
    blocked = answer(AT_REST | {key: b"?"}, published=published_in(AT_REST))
    assert blocked.status.stale
    assert blocked.status.leader == ME
    assert blocked.status.reasons[-1].startswith(f"{key}: ")
    assert blocked.status.license.status is Validity.VALID


LEDGERLESS = {"with its ledger": {}, "without a readable ledger": {KEYS.ledger: b"?"}}


@pytest.mark.parametrize("sight", DARK.values(), ids=DARK)
@pytest.mark.parametrize("damage", LEDGERLESS.values(), ids=LEDGERLESS)
@pytest.mark.parametrize(("values", "end"), [(AT_REST, EXPIRES), (BUFFERED, BUFFER_ENDS)], ids=["licence", "buffer"])
def test_in_the_dark_an_end_applies_at_its_very_moment_and_not_before(
    values: dict[str, bytes], end: Time, damage: dict[str, bytes], sight: Sight
) -> None:
    """Valid to the last millisecond, Expired from the end on, and awake in time to say so."""
    last = published_in(values)
    before = answer(values | damage, sight, end - dt.timedelta(milliseconds=1), last)
    after = answer(values | damage, sight, end, last)
    assert before.status.license.status is Validity.VALID
    assert before.again_at == end
    assert after.status.license.status is Validity.EXPIRED
    assert (after.status.restricted, Alert.EXPIRED in after.status.alerts) == (True, True)
    assert after.status.banner is not None
    assert after.status.banner.redirect


@pytest.mark.parametrize("damage", LEDGERLESS.values(), ids=LEDGERLESS)
def test_in_the_dark_nothing_else_ever_expires(damage: dict[str, bytes]) -> None:
    """A node that cannot see says Valid all the way to the licence's own end, whenever it looks."""
    last = published_in(AT_REST)
    moments = [NOW + days * DAY for days in (0, 1, 2, 29, 30, 31, 60, 61, 90, 290, 305)]
    states = {answer(AT_REST | damage, CUT_OFF, at, last).status.license.status for at in moments}
    assert states == {Validity.VALID}


def test_a_removal_that_had_not_settled_does_not_settle_in_the_dark() -> None:
    """What would have become a removal stays what was published: nobody saw it last."""
    dark = answer(REMOVED, CUT_OFF, NOW + 60 * DAY)
    assert (dark.status.license.status, dark.status.buffer) == (Validity.VALID, None)


def test_in_the_dark_time_never_goes_back() -> None:
    """A node whose clock is behind the answer's own time judges at that time."""
    values = publish(AT_REST, EXPIRES)
    assert answer(values, CUT_OFF, NOW).status.license.status is Validity.EXPIRED


def test_a_leader_that_does_not_say_that_a_licence_ended_is_not_waited_for() -> None:
    """A leader that leads and cannot publish does not keep an expired licence valid."""
    waiting = answer(AT_REST, FRESH, EXPIRES)
    assert (waiting.status.stale, waiting.again_at) == (False, EXPIRES + PATIENCE)
    overdue = answer(AT_REST, FRESH, EXPIRES + PATIENCE)
    assert (overdue.status.stale, overdue.status.license.status) == (True, Validity.EXPIRED)
    assert "Node A" in overdue.status.reasons[-1]


def test_a_leader_that_said_so_is_not_overdue() -> None:
    """Once Expired is published nothing is waited for."""
    after = answer(publish(AT_REST, EXPIRES), FRESH, EXPIRES + DAY)
    assert (after.status.stale, after.again_at) == (False, None)


def test_a_licence_without_an_end_that_a_calendar_has_is_never_overdue() -> None:
    """The last moment there is can be told without leaving the calendar."""
    last = published_in(AT_REST)
    forever = msgspec.structs.replace(last.status.license, expires=dt.datetime.max.replace(tzinfo=dt.UTC))
    status = msgspec.structs.replace(last.status, license=forever)
    assert not answer(AT_REST, published=msgspec.structs.replace(last, status=status)).status.stale


def test_the_tag_changes_if_and_only_if_the_body_does() -> None:
    """Equal bodies have equal tags and different ones do not, whoever builds them and when."""
    other = Sight(connected=True, leader=Leader(B, "Node B"))
    answers = [
        answer(values, sight, now)
        for values in (AT_REST, REMOVED, BUFFERED)
        for sight in (FRESH, other, CUT_OFF, LEADERLESS)
        for now in (NOW, NOW + DAY, EXPIRES)
    ]
    bodies, tags = {each.body for each in answers}, {each.etag for each in answers}
    assert len({(each.body, each.etag) for each in answers}) == len(bodies) == len(tags)
    assert 10 < len(bodies) < len(answers)
    assert all(each.etag.startswith('"') and each.etag.endswith('"') for each in answers)


# --- the board itself ----------------------------------------------------------------------------------------------


def test_age_counts_from_when_the_answer_became_stale() -> None:
    """Fresh answers have no age, stale ones grow older however often they are shown, and fresh ones start over."""
    hands = Hands()
    board = Board(hands.boot)
    assert board.age == 0
    ages = []
    for shown in (answer(AT_REST), answer(AT_REST, CUT_OFF), answer(AT_REST, LEADERLESS), answer(AT_REST)):
        board.show(shown)
        hands.pass_by(5 * SECOND)
        ages.append(board.age)
    assert ages == [0, 5, 10, 0]


async def test_whoever_waits_is_woken_by_another_body_alone() -> None:
    """Showing the same answer again wakes nobody; another one wakes everybody."""
    board = Board(Hands().boot)
    board.show(answer(AT_REST))
    seen = board.version
    waiting = [asyncio.create_task(board.changed(seen)) for _ in range(3)]
    board.show(answer(AT_REST))
    assert board.version == seen
    board.show(answer(AT_REST, CUT_OFF))
    assert await asyncio.gather(*waiting) == [seen + 1] * 3


async def test_a_change_while_nobody_waits_is_not_lost() -> None:
    """Whoever looked before the change does not sleep through it."""
    board = Board(Hands().boot)
    seen = board.version
    board.show(answer(AT_REST))
    async with asyncio.timeout(1):
        assert await board.changed(seen) > seen


def test_an_answer_without_a_site_lets_time_pass_all_the_same() -> None:
    """Even where nothing but the last answer is known, it runs out when it must."""
    nothing = Facts(None, None, (), None, None, (), ())
    last = published_in(AT_REST)
    assert answer_from(nothing, last, CUT_OFF, EXPIRES, POLICY).status.license.status is Validity.EXPIRED
    assert answer_from(nothing, last, CUT_OFF, NOW, POLICY).status.license.status is Validity.VALID

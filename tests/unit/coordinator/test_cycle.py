"""One turn of the leader: what it writes, under which conditions, and when it looks again."""

from __future__ import annotations

import datetime as dt
import itertools

import msgspec
import pytest

from cluster.store import Absent, ModifiedAt, Put, View
from cluster.values import decode_value, encode_value
from coordinator.cycle import CLOCK_EVERY, Plan, plan
from coordinator.facts import FactReader, Facts
from coordinator.published import Clock, Published
from licensing.model import KeyState, Ledger, Usage
from tests.unit.coordinator.stored import (
    KEYS,
    NOW,
    POLICY,
    SECOND,
    TRIAL_START,
    A,
    B,
    at_rest,
    facts_of,
    good_key,
    office,
    planned,
    publish,
    published_in,
    stored_report,
    view_of,
    written,
)
from tests.unit.licensing.signing import KEYRING

AT_REST = publish(at_rest())
NEWS = AT_REST | {KEYS.node(A): stored_report(A)}


def test_the_first_decision_writes_the_ledger_the_answer_and_the_clock() -> None:
    """One transaction holds all that belongs together, under index 1."""
    writes = written(planned(view_of(at_rest())).writes)
    assert list(writes) == [KEYS.ledger, KEYS.status, KEYS.clock]
    published = decode_value(KEYS.status, writes[KEYS.status], Published)
    assert (published.index, published.epoch, published.as_of) == (1, 5, NOW)
    assert published.status.key_state is KeyState.READY
    assert decode_value(KEYS.clock, writes[KEYS.clock], Clock) == Clock(NOW, 1)


@pytest.mark.parametrize("later", [dt.timedelta(0), SECOND, CLOCK_EVERY - SECOND])
def test_nothing_is_written_when_nothing_changed(later: dt.timedelta) -> None:
    """A leader at rest is silent until the clock is due, and knows when that is."""
    rest = planned(view_of(AT_REST), NOW + later)
    assert (rest.writes, rest.changes, rest.again_at) == ((), (), NOW + CLOCK_EVERY)


def test_the_clock_alone_is_written_after_ten_idle_minutes() -> None:
    """The high-water mark of time moves on, with the index as it is."""
    now = NOW + CLOCK_EVERY
    due = planned(view_of(AT_REST), now)
    assert due.writes == (Put(KEYS.clock, encode_value(Clock(now, 1))),)


def test_the_clock_is_written_when_it_is_missing_or_bad() -> None:
    """Without a usable mark the leader writes one at once, with the index of the answer."""
    for values in ({**AT_REST, KEYS.clock: b"?"}, {k: v for k, v in AT_REST.items() if k != KEYS.clock}):
        clock = written(planned(view_of(values), NOW + SECOND).writes)[KEYS.clock]
        assert decode_value(KEYS.clock, clock, Clock).index >= 1


def test_a_change_is_published_under_the_next_index_with_the_clock() -> None:
    """Every publication carries the clock, so that neither time nor index can be lost without the other."""
    after = publish(NEWS, NOW + SECOND)
    assert published_in(after).index == 2
    assert decode_value(KEYS.clock, after[KEYS.clock], Clock) == Clock(NOW + SECOND, 2)


def test_a_new_epoch_is_published_once() -> None:
    """A new leader says so, though nothing else is new, and then rests."""
    term = office(epoch=9)
    after = publish(AT_REST, NOW + SECOND, term)
    assert (published_in(after).epoch, published_in(after).index) == (9, 2)
    assert after[KEYS.ledger] == AT_REST[KEYS.ledger]
    assert planned(view_of(after), NOW + SECOND, term).writes == ()


OLDER = encode_value(msgspec.structs.replace(published_in(AT_REST), index=3))


@pytest.mark.parametrize(
    ("values", "remembered", "index"),
    [
        ({k: v for k, v in AT_REST.items() if k != KEYS.status}, 0, 2),
        (AT_REST | {KEYS.status: b"?"}, 0, 2),
        (AT_REST | {KEYS.status: b"?", KEYS.clock: b"?"}, 7, 8),
        (AT_REST | {KEYS.status: OLDER, KEYS.clock: encode_value(Clock(NOW, 40))}, 0, 41),
        (AT_REST, 40, 41),
        (AT_REST | {KEYS.status: OLDER, KEYS.clock: encode_value(Clock(NOW, 2))}, 1, 3),
    ],
    ids=["missing", "bad", "all but memory is lost", "older than the clock", "older than memory", "the newest"],
)
def test_the_index_only_rises(values: dict[str, bytes], remembered: int, index: int) -> None:
    """An answer that is missing, bad or from a restored store is published anew, above every index that is known."""
    after = publish(values, NOW + SECOND, office(index=remembered))
    assert published_in(after).index == index


def test_the_conditions_carry_the_revisions_that_were_read() -> None:
    """A plan holds only as long as ledger, site, answer and usage are what it was made from."""
    conditions = set(planned(view_of(NEWS, revision=12)).conditions)
    assert conditions == {
        ModifiedAt(KEYS.ledger, 12),
        ModifiedAt(KEYS.site, 12),
        ModifiedAt(KEYS.status, 12),
        Absent(KEYS.usage),
    }


def test_equal_input_makes_equal_bytes_in_any_order_of_reports() -> None:
    """The plan is a function of what is stored, whatever the order in which it came in."""
    plans = [planned(view_of(dict(order))) for order in itertools.permutations(list(at_rest().items())[:4])]
    facts = facts_of(view_of(at_rest()))
    plans.append(_plan_of(msgspec.structs.replace(facts, views=facts.views[::-1]), view_of(at_rest())))
    assert all(other == plans[0] for other in plans)


def _plan_of(facts: Facts, view: View) -> Plan:
    return plan(facts, view, office(), NOW, POLICY)


def test_usage_is_never_copied_into_the_ledger() -> None:
    """A report of usage changes the answer and leaves the ledger alone."""
    after = publish(AT_REST | {KEYS.usage: encode_value(Usage(NOW, hosts=3))}, NOW + SECOND)
    assert after[KEYS.ledger] == AT_REST[KEYS.ledger]
    usage = published_in(after).status.usage
    assert usage is not None
    assert usage.hosts == 3


def test_problems_are_part_of_the_published_reasons() -> None:
    """What the leader cannot use it tells everybody, once."""
    values = AT_REST | {KEYS.usage: b"?", KEYS.node("node-c"): stored_report("node-c")}
    after = publish(values, NOW + SECOND)
    reasons = published_in(after).status.reasons
    assert [reason.split(":")[0] for reason in reasons[-2:]] == [KEYS.usage, KEYS.node("node-c")]
    assert planned(view_of(after), NOW + SECOND).writes == ()


def test_a_bad_report_never_unplugs_a_key() -> None:
    """A node that cannot be read is presumed to hold its key: Valid, Ready, no buffer."""
    status = published_in(publish(AT_REST | {KEYS.node(A): b"?"}, NOW + SECOND)).status
    assert (status.key_state, status.license.name, status.buffer) == (KeyState.READY, "Müller & Söhne", None)
    assert not status.nodes[0].reachable


def test_the_leader_looks_again_when_a_rule_about_time_may_say_something_else() -> None:
    """A removal that has not settled is looked at when it will have, long before the clock is due."""
    after = publish(NEWS, NOW + SECOND)
    assert planned(view_of(after), NOW + 2 * SECOND).again_at == NOW + SECOND + POLICY.removal_settle


def test_a_mark_ahead_of_now_is_waited_for() -> None:
    """A leader never asks to look again in the past."""
    ahead = AT_REST | {KEYS.clock: encode_value(Clock(NOW + CLOCK_EVERY, 1))}
    assert planned(view_of(ahead)).again_at > NOW


def test_the_trial_is_what_a_site_without_keys_has() -> None:
    """A site that was only just founded is on its trial and writes no ledger yet."""
    bare = {KEYS.site: at_rest()[KEYS.site], KEYS.node(A): stored_report(A), KEYS.node(B): stored_report(B)}
    after = publish(bare)
    assert KEYS.ledger not in after
    assert published_in(after).status.license.expires == TRIAL_START + dt.timedelta(days=30)


def test_a_plan_survives_being_stored() -> None:
    """What was decided and what is read back are the same value, so that no answer is published twice."""
    values = AT_REST | {KEYS.node(B): stored_report(B, good_key("K2"), good_key("K3"))}
    after = publish(values, NOW + SECOND)
    read = FactReader(KEYS, KEYRING).read(view_of(after))
    assert isinstance(read.ledger, Ledger)
    assert planned(view_of(after), NOW + SECOND).writes == ()

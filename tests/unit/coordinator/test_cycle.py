"""One turn of the leader: what it writes, under which conditions, and when it looks again."""

from __future__ import annotations

import datetime as dt
import itertools

import msgspec
import pytest
from msgspec.structs import replace

from cluster.store import Absent, Delete, ModifiedAt, Put, View
from cluster.values import LARGEST, decode_value, encode_value
from coordinator.cycle import CLOCK_EVERY, Plan, plan
from coordinator.facts import FactReader, Facts
from coordinator.notices import Notice
from coordinator.orders import Errand, Install, Outcome, Remove, RenewRequestCode
from coordinator.published import Clock, Published
from licensing.ledger import KeyState, Ledger, Site, Spent, Usage
from licensing.records import Action, ChainHead, ManagementType, Record, verify
from licensing.status import Alert
from tests.unit.coordinator.ordered import order
from tests.unit.coordinator.stored import (
    KEYS,
    NOW,
    POLICY,
    SECOND,
    SITE,
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
from tests.unit.licensing.asked import asked
from tests.unit.licensing.signing import AT_SITE, KEYRING

AT_REST = publish(at_rest())
NEWS = AT_REST | {KEYS.node(A): stored_report(A)}


def test_the_first_decision_writes_the_ledger_the_answer_and_the_clock() -> None:
    """One transaction holds all that belongs together, under index 1, and the records of what it began."""
    writes = written(planned(view_of(at_rest())).writes)
    assert list(writes)[:3] == [KEYS.ledger, KEYS.status, KEYS.clock]
    assert all(key.startswith(KEYS.records) for key in list(writes)[3:])
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


def test_notices_are_alerts_with_their_sentences() -> None:
    """What the leader noticed is told beside what it decided, once, and again no more when it is over."""
    notice = Notice(Alert.VIP_CONFLICT, "Both nodes hold the virtual IP.")
    told = publish(AT_REST, NOW + SECOND, replace(office(), notices=(notice, notice)))
    status = published_in(told).status
    assert (status.alerts.count(Alert.VIP_CONFLICT), status.reasons.count(notice.sentence)) == (1, 1)
    assert planned(view_of(told), NOW + SECOND, replace(office(), notices=(notice,))).writes == ()
    assert published_in(publish(told, NOW + SECOND)).status == published_in(AT_REST).status


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
    """A site that was only just founded is on its trial, which is the first record of its history."""
    bare = {KEYS.site: at_rest()[KEYS.site], KEYS.node(A): stored_report(A), KEYS.node(B): stored_report(B)}
    after = publish(bare)
    record = decode_value(KEYS.record(0), after[KEYS.record(0)], Record)
    assert (record.action, record.management_type) == (Action.TRIAL_STARTED, ManagementType.BUILT_IN)
    assert KEYS.record(1) not in after
    assert planned(view_of(after)).writes == ()
    assert published_in(after).status.license.expires == TRIAL_START + dt.timedelta(days=30)


def test_a_plan_survives_being_stored() -> None:
    """What was decided and what is read back are the same value, so that no answer is published twice."""
    values = AT_REST | {KEYS.node(B): stored_report(B, good_key("K2"), good_key("K3"))}
    after = publish(values, NOW + SECOND)
    read = FactReader(KEYS, KEYRING).read(view_of(after))
    assert isinstance(read.ledger, Ledger)
    assert planned(view_of(after), NOW + SECOND).writes == ()


# --- orders --------------------------------------------------------------------------------------------------------

FIRST, SECOND_ONE = KEYS.inbox("zzz-first"), KEYS.inbox("aaa-second")


def with_order(errand: Errand, values: dict[str, bytes] = AT_REST) -> dict[str, bytes]:
    """Return what is stored with an order in the inbox."""
    return values | {FIRST: encode_value(order(errand))}


def outcome_in(plan: Plan, key: str = FIRST) -> Outcome:
    """Return what a plan says of an order, which it takes out of the inbox."""
    assert Delete(key) in plan.writes
    told = key.replace(KEYS.inboxes, KEYS.outcomes)
    return decode_value(told, written(plan.writes)[told], Outcome)


def test_an_order_is_answered_in_the_transaction_that_publishes_what_follows() -> None:
    """Its outcome is written under the outcomes' lease, on condition that nobody else took the order."""
    binding = msgspec.structs.replace(AT_SITE, fingerprints=("f",))
    site = encode_value(Site(SITE, (A, B), TRIAL_START, nonces=("n-1",)))
    reports = {KEYS.node(A): stored_report(A, good_key(), vip=True)}
    values = with_order(Install((asked(lineage="C-9", binding=binding).file,)), AT_REST | {KEYS.site: site} | reports)
    made = planned(view_of(values, revision=12), NOW + SECOND, msgspec.structs.replace(office(), outcome_lease=77))
    assert (outcome_in(made).http, outcome_in(made).node) == (200, A)
    assert ModifiedAt(FIRST, 12) in made.conditions
    leases = {write.key: write.lease_id for write in made.writes if isinstance(write, Put) and write.lease_id}
    assert leases == {KEYS.outcome("zzz-first"): 77}
    assert {KEYS.ledger, KEYS.status, KEYS.clock, KEYS.site} <= written(made.writes).keys()


@pytest.mark.parametrize("errand", [Remove("L-0"), Install((b"?",)), Install((asked().file,))])
def test_a_refused_order_writes_its_outcome_and_nothing_else(errand: Errand) -> None:
    """No ledger, no record, no answer, no site."""
    made = planned(view_of(with_order(errand)), NOW + SECOND)
    assert outcome_in(made).refused
    assert len(made.writes) == 2


def test_orders_are_carried_out_in_the_order_in_which_they_came() -> None:
    """One in every transaction, whatever they are called."""
    view = view_of(with_order(RenewRequestCode()))
    entries = dict(view.entries)
    late = msgspec.structs.replace(order(RenewRequestCode()), fresh="late")
    entries |= view_of({SECOND_ONE: encode_value(late)}, revision=8).entries
    made = planned(View(8, entries), NOW + SECOND)
    assert outcome_in(made).http == 200
    assert Delete(SECOND_ONE) not in made.writes


@pytest.mark.parametrize("value", [b"", b"?", AT_REST[KEYS.ledger], encode_value(Clock(NOW, 1))])
def test_an_order_that_cannot_be_read_is_answered(value: bytes) -> None:
    """It is taken out, so that it is not looked at for ever."""
    made = planned(view_of(AT_REST | {FIRST: value}), NOW + SECOND)
    assert (outcome_in(made).http, outcome_in(made).code, len(made.writes)) == (400, "bad-order", 2)


@pytest.mark.parametrize("name", ["a/b", "-", "", "\u00fc"])
def test_an_order_without_a_proper_id_is_taken_out(name: str) -> None:
    """Nobody can ask for its outcome."""
    key = KEYS.inboxes + name
    assert planned(view_of(AT_REST | {key: b"?"}), NOW + SECOND).writes == (Delete(key),)


def test_an_order_that_cannot_be_carried_out_does_not_stop_decisions() -> None:
    """Such as one with which the ledger would be too large to be stored: it is refused, and the news are published."""
    site = encode_value(Site(SITE, (A, B), TRIAL_START, nonces=("n-1",)))
    before = decode_value(KEYS.ledger, AT_REST[KEYS.ledger], Ledger)
    empty = len(encode_value(msgspec.structs.replace(before, spent=(Spent("", "L", "0"),))))
    full = encode_value(msgspec.structs.replace(before, spent=(Spent("n" * (LARGEST - 500 - empty), "L", "0"),)))
    file = asked(binding=msgspec.structs.replace(AT_SITE, fingerprints=("f",))).file
    values = AT_REST | {KEYS.site: site, KEYS.ledger: full}
    reports = {KEYS.node(A): stored_report(A, good_key(), vip=True), KEYS.node(B): b"?"}
    made = planned(view_of(with_order(Install((file,)), values | reports)), NOW + SECOND)
    assert (outcome_in(made).http, outcome_in(made).code) == (500, "order-failed")
    assert KEYS.status in written(made.writes)
    assert KEYS.ledger not in written(made.writes)


def test_the_history_in_the_store_is_a_chain_whose_head_is_in_the_ledger() -> None:
    """Every publication that changes the ledger appends to it."""
    values = publish(AT_REST | {KEYS.node(A): stored_report(A)}, NOW + SECOND)
    values = publish(values, NOW + SECOND + POLICY.removal_settle)
    ledger = facts_of(view_of(values)).ledger
    assert ledger is not None
    records = [decode_value("", values[KEYS.record(number)], Record) for number in range(ledger.record_count)]
    assert [record.action for record in records] == [
        Action.TRIAL_STARTED,
        Action.SYNCHRONISED,
        Action.TRIAL_ENDED,
        Action.BUFFER_GRANTED,
    ]
    head = ChainHead(ledger.record_count, ledger.record_hash)
    assert verify(records, head) is None

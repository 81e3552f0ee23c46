"""Times and numbers at the ends of what can be written: they stop no coordinator, and whoever lies is told of."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cluster.election import Election
from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.report import ReportedKey
from cluster.values import encode_value
from coordinator.clocks import Clocks
from coordinator.cycle import plan
from coordinator.deadlines import Deadlines
from coordinator.facts import FactReader
from coordinator.outlook import Outlook
from coordinator.published import Clock
from coordinator.restored_store import judge, notices_of
from licensing.ledger import MOST, Ledger, Restored, Site, Usage
from licensing.ledger_version import LedgerVersion
from licensing.records import GENESIS
from licensing.seen import Reading, Visibility
from licensing.status import Alert
from licensing.value import EARLIEST, LAST_INDEX, LATEST, Time
from tests.unit.coordinator.running import QUICK
from tests.unit.coordinator.stored import (
    KEYS,
    NOW,
    POLICY,
    SITE,
    A,
    B,
    Hands,
    at_rest,
    facts_of,
    good_key,
    history,
    office,
    publish,
    published_in,
    stored_report,
    view_of,
    written,
)
from tests.unit.licensing.signing import KEYRING

ZONES = [dt.timezone(sign * dt.timedelta(hours=23, minutes=59)) for sign in (-1, 0, 1)]
FIRST = [dt.datetime(1, 1, 1, tzinfo=zone) for zone in ZONES]
LAST = [dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=zone) for zone in ZONES]
ENDS = [*FIRST, *LAST, EARLIEST, LATEST]
TIMES = st.sampled_from([*ENDS, NOW]) | st.datetimes(timezones=st.sampled_from(ZONES))
POSSIBLE = st.sampled_from([EARLIEST, LATEST, NOW]) | st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(dt.UTC)
)
COUNTS = st.sampled_from([0, 1, MOST - 1, MOST, MOST + 1, 2**31 - 1])
INDEXES = st.sampled_from([0, 1, LAST_INDEX - 1, LAST_INDEX])
LENGTHS = st.integers(0, 10**8).map(float)
AT_REST = publish(at_rest())


class Looking:
    """Node a's outlook on what is stored, with its clock set by hand."""

    def __init__(self, values: dict[str, bytes]) -> None:
        store = MemoryCluster().client()
        self.hands = Hands()
        self.mirror = Mirror(store, KEYS.prefix, QUICK, lambda: 0.0)
        self.mirror.connected = True
        self.clocks = Clocks(self.hands.clock(), A, "Node A", 2)
        election = Election(store, self.mirror, key=KEYS.leader, node=A, name="Node A", timings=QUICK)
        self.outlook = Outlook(self.mirror, election, FactReader(KEYS, KEYRING), self.clocks, POLICY)
        self.deadlines = Deadlines()
        self.values = values

    def turn(self) -> tuple[str, ...]:
        """Look, decide and write what is decided, as a leader does; return which keys were written."""
        self.mirror.view = view = view_of(self.values)
        facts = self.outlook.look()
        now = self.clocks.clock.now()
        judge(facts, None, A)
        if facts.site is None or facts.ledger is None:
            return ()
        term = replace(office(), notices=(*notices_of(facts.ledger, now), *self.clocks.notices))
        facts = replace(facts, views=self.deadlines.apply(facts.views, term.epoch, 0, now))
        planned = plan(facts, view, term, now, POLICY)
        new = written(planned.writes)
        assert new or planned.again_at > now
        self.values = self.values | new
        return tuple(new)


def lie(at: Time, **changes: Any) -> dict[str, bytes]:
    """Return what is stored when node b, with K1 in it, says that it is `at`."""
    said = stored_report(B, good_key(), **{"written_at": at} | changes)
    return publish(at_rest() | {KEYS.node(A): stored_report(A), KEYS.node(B): said, KEYS.last_seen(B): said})


@pytest.mark.parametrize("at", ENDS, ids=[f"{at:%Y}{at:%z}" for at in ENDS])
def test_the_keys_of_a_node_that_lies_about_the_time_count(at: Time) -> None:
    """Its report is not lost, whatever its clock says; what it says of the time has no vote."""
    looking = Looking(lie(at))
    looking.turn()
    facts = looking.outlook.look()
    (_, view) = facts.views
    assert view.visibility is Visibility.LIVE
    assert view.reported_at is not None
    assert EARLIEST <= view.reported_at <= LATEST
    assert published_in(looking.values).status.license.key_id == "K1"
    assert looking.clocks.clock.now() == NOW
    ahead = at > NOW
    assert [notice.alert for notice in looking.clocks.notices] == ([Alert.CLOCK_QUARANTINED] if ahead else [])


@pytest.mark.parametrize("ledger", [Ledger(MOST + 1), Ledger(record_count=MOST + 1)], ids=["changes", "records"])
def test_a_ledger_from_which_nobody_can_count_on_is_refused(ledger: Ledger) -> None:
    """What would be written next could not be read any more, so nothing is decided."""
    looking = Looking(at_rest(ledger=encode_value(ledger)))
    assert looking.turn() == ()
    (blocked,) = looking.outlook.look().blocking
    assert blocked.startswith(f"{KEYS.ledger}: counts ")


def test_a_sequence_that_cannot_be_is_not_heard() -> None:
    """A node that says it has seen such a ledger stops nobody; its keys count."""
    looking = Looking(lie(NOW, ledger=LedgerVersion(MOST + 1)))
    looking.turn()
    facts = looking.outlook.look()
    assert judge(facts, None, A) is None
    assert published_in(looking.values).status.license.key_id == "K1"


@given(
    written_at=TIMES,
    read_by=TIMES,
    seen=COUNTS,
    mark=TIMES,
    index=INDEXES,
    as_of=TIMES,
    sequence=COUNTS,
    passed=LENGTHS,
)
def test_nothing_that_is_stored_stops_a_decision(
    written_at: Time, read_by: Time, seen: int, mark: Time, index: int, as_of: Time, sequence: int, passed: float
) -> None:
    """Whatever a report, the mark of time and the published answer hold, a leader looks, decides, and goes on."""
    busy = ReportedKey("K2", Reading.PENDING, read_by=read_by)
    values = lie(written_at, keys=(good_key(), busy), uptime=passed, ledger=LedgerVersion(seen, seen, "x"))
    answer = replace(published_in(AT_REST), as_of=as_of, index=index, ledger=LedgerVersion(sequence))
    values |= {KEYS.clock: encode_value(Clock(mark, index)), KEYS.status: encode_value(answer)}
    goes_on(Looking(values), passed)


@given(
    missing=POSSIBLE,
    out=POSSIBLE,
    removal=POSSIBLE,
    until=POSSIBLE,
    restored=POSSIBLE,
    usage=POSSIBLE,
    trial=POSSIBLE,
    mark=POSSIBLE,
    as_of=POSSIBLE,
    count=COUNTS,
    passed=LENGTHS,
)
def test_nothing_that_is_remembered_stops_a_decision(
    missing: Time,
    out: Time,
    removal: Time,
    until: Time,
    restored: Time,
    usage: Time,
    trial: Time,
    mark: Time,
    as_of: Time,
    count: int,
    passed: float,
) -> None:
    """Times that are believed can be reckoned with, in all combinations; numbers leave room for the next ones."""
    ledger = Ledger(
        sequence=count,
        keys=(history(out_since=out, last_removal=removal, buffer_until=until),),
        in_use="K1",
        missing_since={B: missing},
        record_count=count,
        record_hash=GENESIS,
        restored=(Restored(restored, 0, 0, GENESIS, GENESIS),),
    )
    values = at_rest() | {
        KEYS.site: encode_value(Site(SITE, (A, B), trial)),
        KEYS.ledger: encode_value(ledger),
        KEYS.usage: encode_value(Usage(usage, hosts=1)),
        KEYS.clock: encode_value(Clock(mark, 1)),
        KEYS.status: encode_value(replace(published_in(AT_REST), as_of=as_of, epoch=4)),
    }
    del values[KEYS.node(B)]
    goes_on(Looking(values), passed)


def goes_on(looking: Looking, passed: float) -> None:
    """Let a leader decide now and later; what it writes must be readable, and there must be an end of it."""
    for _ in range(2):
        while_it_writes = [looking.turn() for _ in range(4)]
        assert while_it_writes[-1] == ()
        found = facts_of(view_of(looking.values))
        assert found.blocking or (found.published is not None and not found.problems)
        looking.hands.pass_by(dt.timedelta(seconds=passed))
    assert looking.clocks.clock.now() <= LATEST

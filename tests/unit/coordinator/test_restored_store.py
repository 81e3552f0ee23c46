"""A store that is older than what was seen: who writes the newest ledger back, and what is never taken back."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cluster.records import missing_records, verify_stored
from cluster.report import Fingerprint
from cluster.store import Entry
from cluster.values import decode_value, encode_value
from coordinator.board import Answer
from coordinator.facts import Facts, Sighting
from coordinator.orders import Install
from coordinator.published import Snapshot
from coordinator.restored_store import (
    TOLD_FOR,
    Refuse,
    StandAside,
    WriteBack,
    all_heard,
    judge,
    notices_of,
    write_back,
)
from coordinator.snapshot import FILE, from_bytes, to_bytes
from licensing.ledger import KeyState, Ledger, Restored, Usage
from licensing.ledger import Site as SiteIdentity
from licensing.ledger_version import LedgerVersion, version_of
from licensing.records import GENESIS, Action, ChainHead, Record
from licensing.status import Alert, Validity
from tests.unit.coordinator.ordered import order
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.stored import (
    DAY,
    KEYS,
    NOW,
    SECOND,
    SITE,
    TRIAL_START,
    A,
    B,
    facts_of,
    office,
    view_of,
    written,
)
from tests.unit.licensing.asked import SITE as ASKED_SITE
from tests.unit.licensing.asked import asked
from tests.waiting import eventually

IDENTITY = SiteIdentity(SITE, (A, B), TRIAL_START)
EMPTY = facts_of(view_of({}))


def stored(sequence: int, *sightings: tuple[str, int]) -> Facts:
    """Return facts with a ledger of this sequence, and what nodes have seen."""
    seen = tuple(Sighting(node, node, LedgerVersion(count)) for node, count in sightings)
    return replace(EMPTY, site=IDENTITY, ledger=Ledger(sequence), sightings=seen)


def own(sequence: int) -> Snapshot | None:
    """Return what node a's disk remembers."""
    return Snapshot(IDENTITY, Ledger(sequence)) if sequence else None


@pytest.mark.parametrize(
    ("facts", "kept", "verdict"),
    [
        (stored(5), 5, type(None)),
        (stored(5, (A, 5), (B, 5)), 0, type(None)),
        (stored(6, (A, 5), (B, 4)), 5, type(None)),
        (stored(0), 0, type(None)),
        (stored(5), 6, WriteBack),
        (stored(5, (A, 6), (B, 6)), 6, WriteBack),
        (stored(0, (B, 3)), 6, WriteBack),
        (stored(5, (B, 7)), 6, StandAside),
        (stored(5, (B, 7)), 0, StandAside),
        (stored(5, (A, 7), (B, 7)), 6, StandAside),
        (stored(5, (A, 7)), 6, Refuse),
        (stored(5, (A, 8), (B, 7)), 6, Refuse),
    ],
    ids=range(12),
)
def test_the_highest_sequence_wins(facts: Facts, kept: int, verdict: type) -> None:
    """Who has it writes it back, who has not stands aside, and who cannot find it refuses; else all is well."""
    found = judge(facts, own(kept), A)
    assert type(found) is verdict
    if found is not None:
        assert "restored from an old copy" in found.why


MORE, FEWER = (Ledger(5, record_count=count, record_hash=GENESIS) for count in (4, 3))
GREATER, LESS = sorted((Ledger(5, in_use="K1"), Ledger(5, in_use="K2")), key=version_of, reverse=True)


@pytest.mark.parametrize(("better", "worse"), [(MORE, FEWER), (GREATER, LESS)], ids=["records", "hash"])
def test_of_two_ledgers_of_one_sequence_all_nodes_prefer_the_same(better: Ledger, worse: Ledger) -> None:
    """The one with more records, else with the greater hash: it is written back, made way for, or left alone."""
    for empty in Ledger(), worse:
        facts = replace(EMPTY, site=IDENTITY, ledger=empty)
        seen = replace(facts, sightings=(Sighting(A, A, version_of(better)), Sighting(B, B, version_of(worse))))
        assert judge(seen, Snapshot(IDENTITY, better), A).snapshot.ledger == better
        assert type(judge(seen, Snapshot(IDENTITY, worse), B)) is StandAside
        assert type(judge(seen, None, A)) is Refuse
    seen = replace(seen, ledger=better)
    assert [judge(seen, Snapshot(IDENTITY, known), node) for known in (better, worse) for node in (A, B)] == [None] * 4


def test_a_ledger_that_cannot_be_read_is_not_judged() -> None:
    """It stops decisions by itself, and may be put right."""
    assert judge(replace(stored(5), ledger=None), own(9), A) is None


def test_an_operator_is_told_for_a_week() -> None:
    """From the moment at which the store was put right on, and the sentence stays the same all the time."""
    ledger = Ledger(9, restored=(Restored(NOW - 90 * DAY, 0, 0, GENESIS, GENESIS), Restored(NOW, 0, 0, GENESIS, "")))
    told = {notices_of(ledger, NOW + after) for after in (dt.timedelta(), DAY, TOLD_FOR - SECOND)}
    assert [[notice.alert for notice in notices] for notices in told] == [[Alert.STORE_RESTORED]]
    assert notices_of(ledger, NOW + TOLD_FOR) == ()
    assert notices_of(Ledger(9), NOW) == ()


def put_right(kept: Snapshot, values: dict[str, bytes]) -> dict[str, bytes]:
    """Return what is stored after node a has written its ledger back."""
    view = view_of(values)
    plan = write_back(kept, facts_of(view), view, office(index=40), NOW)
    assert {condition.key for condition in plan.conditions} == {KEYS.site, KEYS.ledger, KEYS.usage, KEYS.clock}
    return values | written(plan.writes)


def test_what_is_newer_in_the_store_stays() -> None:
    """Usage that was reported since, an earlier start of the trial and a member that joined are kept."""
    early = SiteIdentity(SITE, (A, B), TRIAL_START - DAY)
    usage = {KEYS.usage: encode_value(Usage(NOW, hosts=4))}
    kept = Snapshot(SiteIdentity(SITE, (A,), TRIAL_START), Ledger(9), Usage(NOW - DAY, hosts=2))
    facts = facts_of(view_of(put_right(kept, {KEYS.site: encode_value(early)} | usage)))
    assert facts.site == early
    assert facts.ledger is not None
    assert (facts.ledger.sequence, facts.ledger.usage) == (10, Usage(NOW, hosts=4))
    assert facts.clock is not None
    assert facts.clock.index == 40


def test_an_empty_store_gets_everything() -> None:
    """Site, ledger, usage and clock come from the disk, the request code too."""
    site = SiteIdentity(SITE, (A, B), TRIAL_START, "code", ("n-1",))
    facts = facts_of(view_of(put_right(Snapshot(site, Ledger(9), Usage(NOW, hosts=2)), {})))
    assert facts.site == site
    assert facts.ledger is not None
    assert (facts.ledger.sequence, facts.ledger.usage, facts.clock is None) == (10, Usage(NOW, hosts=2), False)


# --- whole coordinators --------------------------------------------------------------------------------------------


class Copied:
    """A site with a licence, and a copy of its store from before that was installed."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.copy: dict[str, Entry] = {}
        self.revision = 0

    def node(self, uuid: str, hear_within: float = 0.1) -> Coordinator:
        """Return a coordinator, as after a start."""
        return Coordinator(self.site.client(), self.folder, uuid, hear_within=hear_within)

    @asynccontextmanager
    async def both(self) -> AsyncIterator[tuple[Coordinator, Coordinator]]:
        """Run both nodes' coordinators meanwhile."""
        one, two = self.node(A), self.node(B)
        async with one.at_work(), two.at_work():
            yield one, two

    async def report(self, **changes: Any) -> None:
        """Let both agents report that no key is there."""
        for node in A, B:
            await self.site.report(node, fingerprint=Fingerprint(node, ("x",)), **changes)

    async def rename(self, name: str) -> None:
        """Let node b report another name, which changes the answer and not the ledger."""
        index = self.site.published.index
        await self.site.report(B, fingerprint=Fingerprint(B, ("x",)), name=name)
        await eventually(lambda: self.site.published.index > index)

    def take_copy(self) -> None:
        """Copy the store as it is now."""
        self.copy, self.revision = copy.copy(self.site.cluster.entries), self.site.cluster.revision

    async def install(self, node: Coordinator) -> None:
        """Let a node take a licence in, and wait until it is in force there and on both disks."""
        self.site.put(KEYS.inbox("order-1"), encode_value(order(Install((asked().file,)), console=True)))
        await eventually(lambda: self.ledger.installed)
        await ready(node, KeyState.NONE)
        await eventually(lambda: [self.disk(each).ledger for each in (A, B)] == [self.ledger] * 2)

    def restore(self) -> None:
        """Put the copy in the place of what is stored; what is under a lease that has run out goes with that."""
        leases = {0, *self.site.cluster._leases}
        self.site.cluster.entries = {key: entry for key, entry in self.copy.items() if entry.lease_id in leases}
        self.site.cluster.revision = self.revision
        self.site.cluster.history.clear()
        self.site.cluster.moved.beat()

    @property
    def ledger(self) -> Ledger:
        """The stored ledger; LookupError for none."""
        return decode_value(KEYS.ledger, self.site.cluster.entries[KEYS.ledger].value, Ledger)

    def disk(self, node: str) -> Snapshot:
        """What a node's disk remembers."""
        return from_bytes((self.folder / node / FILE).read_bytes())

    async def altered(self) -> object:
        """The first record that is not as it was written, if any."""
        head = ChainHead(self.ledger.record_count, self.ledger.record_hash)
        return await verify_stored(self.site.client(), KEYS, head, self.ledger.restored)


@pytest.fixture
async def copied(tmp_path: Path) -> Copied:
    """Give a licensed site whose two disks are up to date, and a copy of its store from before the licence."""
    site = Site()
    site.put(KEYS.site, encode_value(ASKED_SITE))
    found = Copied(site, tmp_path)
    await found.report()
    async with found.both() as (one, two):
        await ready(one, KeyState.NONE)
        await ready(two, KeyState.NONE)
        found.take_copy()
        await found.install(one)
    return found


async def all_well(*nodes: Coordinator, above: int) -> None:
    """Wait until nodes show the licence again, freshly, with the alert, above the index that was known."""

    def well() -> bool:
        return all(
            (node.status.license.name, node.status.license.status) == (asked().licence.name, Validity.VALID)
            and not node.status.stale
            and Alert.STORE_RESTORED in node.status.alerts
            and node.status.index > above
            for node in nodes
        )

    await eventually(well)


def told(*nodes: Coordinator) -> list[tuple[bool, bool]]:
    """Whether the nodes' answers are stale, and have the alert."""
    return [(node.status.stale, Alert.STORE_RESTORED in node.status.alerts) for node in nodes]


async def test_an_old_copy_under_running_coordinators_takes_nothing_back(copied: Copied) -> None:
    """The leader writes the newest ledger back by itself; no answer of either node is without the licence meanwhile."""
    shown = list[str | None]()
    async with copied.both() as (one, two):
        await ready(one, KeyState.NONE)
        await ready(two, KeyState.NONE)
        before, index = copied.ledger, copied.site.published.index
        for node in one, two:
            node.board.show = _noting(node.board.show, shown)  # type: ignore[method-assign]
        copied.restore()
        await all_well(one, two, above=index)
        assert set(shown) == {asked().licence.name}
        assert copied.ledger.installed == before.installed
        assert copied.ledger.sequence > before.sequence
        assert await copied.altered() is None


def _noting(show: Callable[..., None], shown: list[str | None]) -> Callable[..., None]:
    def noted(answer: Answer, age: float = 0.0) -> None:
        shown.append(answer.status.license.name)
        show(answer, age)

    return noted


@pytest.mark.parametrize("emptied", [False, True], ids=["older", "emptied"])
async def test_after_a_restart_of_everything_the_disks_know_better(copied: Copied, emptied: bool) -> None:  # noqa: FBT001
    """With etcd restored, or lost with all that was in it, the ledger comes from a disk; the lost records are named."""
    before, index = copied.ledger, copied.disk(A).published.index
    if emptied:
        copied.copy = {}
    old = decode_value(KEYS.ledger, copied.copy[KEYS.ledger].value, Ledger) if copied.copy else Ledger()
    copied.restore()
    await copied.report()
    async with copied.both() as (one, two):
        await all_well(one, two, above=index)
    assert copied.ledger.installed == before.installed
    (loss,) = copied.ledger.restored
    assert (loss.first, loss.end) == (old.record_count, before.record_count)
    assert await missing_records(copied.site.client(), KEYS, loss) == (loss.first, loss.end - 1)
    assert await copied.altered() is None
    record = decode_value("", copied.site.cluster.entries[KEYS.record(loss.end)].value, Record)
    assert (record.action, record.previous_hash) == (Action.RESTORED, before.record_hash)
    assert f"Records {loss.first} to {loss.end - 1} are missing" in record.sentence


async def test_a_node_with_an_older_disk_lets_the_other_one_lead(copied: Copied) -> None:
    """A node that remembers nothing decides nothing while the other one's agent has seen more, and follows it then."""
    before, index = copied.ledger, copied.disk(B).published.index
    (copied.folder / A / FILE).unlink()
    copied.restore()
    await copied.report(ledger=version_of(before))
    async with copied.node(A).at_work() as one:
        await eventually(lambda: Alert.STORE_RESTORED in one.status.alerts)
        assert one.status.stale
        assert "Node B has seen" in " ".join(one.status.reasons)
        assert not copied.ledger.restored
        async with copied.node(B).at_work() as two:
            await all_well(one, two, above=index)
            assert two.leads
        await eventually(lambda: one.leads)  # what it stood aside for is done
        assert copied.ledger.installed == before.installed


async def test_where_nobody_has_the_newest_ledger_nothing_is_decided(copied: Copied) -> None:
    """Both disks are lost and an agent has seen more: the answer is stale and says what to do, until a person acts."""
    for node in A, B:
        (copied.folder / node / FILE).unlink()
    copied.restore()
    await copied.report(ledger=LedgerVersion(90))
    index = copied.site.published.index
    async with copied.both() as (one, two):
        await eventually(lambda: told(one, two) == [(True, True)] * 2)
        assert "docs/recovery.md" in " ".join((*one.status.reasons, *two.status.reasons))
        await eventually(lambda: one.leads or two.leads, within=8)
        assert (copied.site.published.index, copied.ledger.restored) == (index, ())
        await copied.report()
        await eventually(lambda: told(one, two) == [(False, False)] * 2)
        assert copied.site.published.index > index


async def test_a_node_hears_what_others_have_seen_before_it_writes_back(copied: Copied) -> None:
    """Its disk is one change behind, etcd is lost, and the other node's agent starts later: the licence is kept."""
    before, index = copied.ledger, copied.disk(A).published.index
    old = replace(decode_value("", copied.copy[KEYS.ledger].value, Ledger), sequence=before.sequence - 1)
    (copied.folder / B / FILE).write_bytes(to_bytes(replace(copied.disk(B), ledger=old)))
    copied.copy = {}
    copied.restore()
    await copied.site.silence(A)
    await copied.site.report(B, fingerprint=Fingerprint(B, ("x",)), ledger=version_of(old))
    async with copied.node(B, hear_within=60).at_work() as two:
        await eventually(lambda: two.leads and Alert.STORE_RESTORED in two.status.alerts)
        await copied.site.report(A, fingerprint=Fingerprint(A, ("x",)), ledger=version_of(before))
        await eventually(lambda: not two.leads)
        assert KEYS.ledger not in copied.site.cluster.entries
        async with copied.node(A, hear_within=60).at_work() as one:
            await all_well(one, two, above=index)
    assert copied.ledger.installed == before.installed


@pytest.mark.parametrize(
    ("seen", "heard"),
    [((), False), (((B, 5),), False), (((A, 6),), False), (((B, 6),), True), (((A, 5), (B, 9)), True)],
    ids=range(5),
)
def test_who_has_seen_no_more_than_is_stored_may_not_have_spoken(
    seen: tuple[tuple[str, int], ...], heard: object
) -> None:
    """An old copy of the store has old reports; a node does not wait for itself, and a site of one waits for nobody."""
    newest = own(6)
    assert newest is not None
    assert all_heard(stored(5, *seen), newest, A) is heard
    assert all_heard(stored(5, *seen), replace(newest, site=replace(IDENTITY, members=(A,))), A)


async def test_an_old_copy_with_the_same_ledger_takes_no_index_back(copied: Copied) -> None:
    """Both nodes go on showing what they showed, and then a higher index; their disks remember no older answer."""
    shown = list[int]()
    async with copied.both() as (one, two):
        await ready(one, KeyState.NONE)
        await ready(two, KeyState.NONE)
        copied.take_copy()
        for name in "first", "second", "third":
            await copied.rename(name)
        index = copied.site.published.index
        await eventually(lambda: (one.status.index, two.status.index) == (index, index))
        for node in one, two:
            node.board.show = _noting_index(node.board.show, shown)  # type: ignore[method-assign]
        before = copied.ledger
        copied.restore()
        await eventually(lambda: min(one.status.index, two.status.index) > index)
        assert copied.ledger == before
        assert min(shown) >= index
        await eventually(lambda: [copied.disk(node).published for node in (A, B)] == [copied.site.published] * 2)


def _noting_index(show: Callable[..., None], shown: list[int]) -> Callable[..., None]:
    def noted(answer: Answer, age: float = 0.0) -> None:
        shown.append(answer.status.index)
        show(answer, age)

    return noted


@pytest.mark.parametrize("first", [A, B])
@pytest.mark.parametrize("stored", ["nothing", "less"])
async def test_whoever_leads_the_same_one_of_two_ledgers_counts(copied: Copied, first: str, stored: str) -> None:
    """Two histories have parted and reached the same sequence: both nodes show the one in which more happened."""
    better, index = copied.ledger, copied.disk(A).published.index
    worse = replace(decode_value("", copied.copy[KEYS.ledger].value, Ledger), sequence=better.sequence)
    (copied.folder / A / FILE).write_bytes(to_bytes(replace(copied.disk(A), ledger=worse)))
    copied.copy[KEYS.ledger] = Entry(KEYS.ledger, encode_value(worse), 1, 1)
    if stored == "nothing":
        copied.copy = {}
    copied.restore()
    await copied.site.report(A, fingerprint=Fingerprint(A, ("x",)), ledger=version_of(worse))
    await copied.site.report(B, fingerprint=Fingerprint(B, ("x",)), ledger=version_of(better))
    async with copied.node(first).at_work() as one:
        await eventually(lambda: Alert.STORE_RESTORED in one.status.alerts)
        async with copied.node(B if first == A else A).at_work() as two:
            await all_well(one, two, above=index)
            await eventually(lambda: [copied.disk(node).ledger for node in (A, B)] == [copied.ledger] * 2)
    assert copied.ledger.installed == better.installed
    assert await copied.altered() is None


async def test_a_node_says_that_its_ledger_gave_way(copied: Copied) -> None:
    """What etcd has is of the same sequence and counts more: that is shown, and that a licence may be missing."""
    before = copied.ledger
    worse = replace(before, record_count=before.record_count - 1)
    (copied.folder / A / FILE).write_bytes(to_bytes(replace(copied.disk(A), ledger=worse)))
    async with copied.node(A).at_work() as one:
        await ready(one, KeyState.NONE)
        await eventually(lambda: Alert.STORE_RESTORED in one.status.alerts)
        assert "no licence is missing" in " ".join(one.status.reasons)
        await eventually(lambda: copied.disk(A).ledger == copied.ledger)
    assert (copied.ledger.installed, copied.ledger.restored) == (before.installed, ())


async def test_an_old_disk_takes_nothing_back(copied: Copied, tmp_path: Path) -> None:
    """A node whose disk was restored from an old copy takes what etcd has."""
    old = replace(copied.disk(A), ledger=Ledger(1))
    (tmp_path / A / FILE).write_bytes(to_bytes(old))
    before = copied.ledger
    async with copied.node(A).at_work() as one:
        await ready(one, KeyState.NONE)
        await eventually(lambda: copied.disk(A).ledger.sequence == before.sequence)
    assert (copied.ledger, copied.ledger.restored) == (before, ())

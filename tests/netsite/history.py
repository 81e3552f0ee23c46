"""What a history of a site must keep, whatever broke meanwhile: pure checks of what was recorded.

A history is what clients did and were told, and what etcd was told to keep. Every check yields a sentence for each
thing that must not be. Nothing here knows how the history came about.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

from cluster.keys import Keys
from cluster.store import Entry, View
from cluster.values import decode_value
from coordinator.facts import FactReader, Facts
from coordinator.published import Published
from licensing import canonical
from licensing.decide import decide
from licensing.describe import describe
from licensing.keyring import Keyring
from licensing.ledger import KeyHistory, KeyState, Ledger, Usage
from licensing.policy import Policy
from licensing.records import Action, ChainHead, Record, verify
from tests.netsite.asking import Change, Version
from tests.netsite.readers import Reading

FIRST_BUFFER = dt.timedelta(days=30)
LATER_BUFFER = dt.timedelta(days=60)
REMOVALS_APART = dt.timedelta(days=60)
"""How long after its last removal a USB key is granted a new buffer."""
TAKEN = 202
REFUSED = range(400, 500)


@dataclass(frozen=True)
class Deed:
    """Something that was done to the site; `at` is on the monotonic clock."""

    at: float
    what: str


@dataclass(frozen=True)
class Upload:
    """A licence that a client uploaded to a node, and the answer; `http` is 0 where there was none.

    `text` is what the answer says. An upload that was answered with 202 has here what was said later; it has 202 still
    where nobody knew of it when that was asked for in time.
    """

    name: str
    node: str
    asked: float
    told: float
    http: int
    text: str


@dataclass(frozen=True)
class UsageReport:
    """A figure, different each time, that a client reported, and the answer; `http` is 0 where there was none."""

    vms: int
    asked: float
    told: float
    http: int


@dataclass(frozen=True)
class History:
    """All that was recorded. `readings`: by target; `versions`: all that was stored under some keys, in order.

    `changes`: all that was done to nodes' reports and to the site's identity, in order. `records`: the values of the
    records that are stored in the end, in order. `ended`: the wall clock afterwards.
    """

    seed: int
    deeds: Sequence[Deed]
    uploads: Sequence[Upload]
    usage: Sequence[UsageReport]
    readings: Mapping[str, Sequence[Reading]]
    versions: Sequence[Version]
    changes: Sequence[Change]
    records: Sequence[bytes]
    keys: Keys
    keyring: Keyring
    policy: Policy
    ended: dt.datetime

    @cached_property
    def published(self) -> list[Published]:
        """Every answer that was ever published."""
        return [decode_value(each.key, each.value, Published) for each in self.versions if each.key == self.keys.status]

    @cached_property
    def facts(self) -> list[Facts]:
        """What was stored at the moment of each publication."""
        reader, entries, found = FactReader(self.keys, self.keyring), dict[str, Entry](), list[Facts]()
        for version, later in pairwise((*self.versions, None)):
            assert version
            entries[version.key] = Entry(version.key, version.value, 1, version.revision)
            complete = later is None or later.revision > version.revision
            if complete and self.keys.status in entries and entries[self.keys.status].mod_revision == version.revision:
                found.append(reader.read(View(version.revision, dict(entries))))
        return found

    @cached_property
    def reports(self) -> list[tuple[int, Facts]]:
        """What was to be read of the nodes after each change of it, with the revision of the change."""
        reader, entries, found = FactReader(self.keys, self.keyring), dict[str, Entry](), list[tuple[int, Facts]]()
        for revision, changes in groupby(self.changes, lambda change: change.revision):
            for key, value, _ in changes:
                entries.pop(key, None)
                if value is not None:
                    entries[key] = Entry(key, value, 1, revision)
            found.append((revision, reader.read(View(revision, dict(entries)))))
        return found

    @cached_property
    def chain(self) -> list[Record]:
        """The records."""
        return [decode_value(self.keys.records, value, Record) for value in self.records]


Check = Callable[[History], Iterator[str]]


def uploads_are_kept(history: History) -> Iterator[str]:
    """What was accepted is installed and recorded once; what was refused or withdrawn is not."""
    times = Counter(record.name for record in history.chain if record.action is Action.INSTALLED)
    ledger = history.facts[-1].ledger
    held = {each.licence.name for each in ledger.installed} if ledger else set()
    for each in history.uploads:
        if times[each.name] > 1:
            yield f"an upload was carried out {times[each.name]} times: {each}"
        if each.http == 200 and (not times[each.name] or each.name not in held):
            yield f"an upload that was accepted is lost: {each}"
        if each.http == TAKEN and not times[each.name]:
            yield f"an upload of which it was said that it was taken is lost: {each}"
        if times[each.name] and (each.http in REFUSED or "withdrawn" in each.text):
            yield f"an upload that was refused is installed: {each}"


def usage_is_kept(history: History) -> Iterator[str]:
    """What was acknowledged was stored, once."""
    stored = [decode_value(each.key, each.value, Usage) for each in history.versions if each.key == history.keys.usage]
    times = Counter(usage.vms for usage in stored)
    for each in history.usage:
        if each.http == 200 and not times[each.vms]:
            yield f"a report of usage that was acknowledged is lost: {each}"


def publications_rise(history: History) -> Iterator[str]:
    """Each publication has a higher index than the one before, and no lower epoch or time, and no time to come."""
    for before, after in pairwise(history.published):
        told = f"index {after.index} of epoch {after.epoch} as of {after.as_of} follows"
        if after.index <= before.index:
            yield f"an index did not rise: {told} index {before.index}"
        if after.epoch < before.epoch:
            yield f"a deposed leader published: {told} epoch {before.epoch}"
        if after.as_of < before.as_of:
            yield f"time went back: {told} {before.as_of}"
    for each in history.published:
        if each.as_of > history.ended:
            yield f"index {each.index} is as of {each.as_of}, which is to come"


def ledgers_rise(history: History) -> Iterator[str]:
    """The ledger that is stored with one publication is the one before or its successor."""
    sequences = [facts.ledger.sequence for facts in history.facts if facts.ledger]
    for before, after in pairwise(sequences):
        if after not in (before, before + 1):
            yield f"the ledger {before} was followed by {after}"


def one_leader_in_an_epoch(history: History) -> Iterator[str]:
    """All publications of one epoch name one leader."""
    leaders: dict[int, str] = {}
    for each in history.published:
        node = each.leader.management_node_uuid
        if leaders.setdefault(each.epoch, node) != node:
            yield f"two leaders published in epoch {each.epoch}: {leaders[each.epoch]} and {node}"


def readers_go_forward(history: History) -> Iterator[str]:
    """No node gives an older answer after a newer one."""
    for target, readings in history.readings.items():
        if target not in ("a", "b"):
            continue  # the virtual IP moves, and one node may know more than the other
        told = [each for each in readings if each.http == 200]
        for before, after in pairwise(told):
            if _place(after) < _place(before):
                yield f"node {target} told {_place(after)} at {after.told:.2f} after {_place(before)}"


def readers_are_told_what_was_published(history: History) -> Iterator[str]:
    """Every answer that a node vouches for is one that was published, word for word; a node may add to it."""
    published = {(each.epoch, each.index): each for each in history.published}
    known: dict[int, bool] = {}
    for reading in (each for readings in history.readings.values() for each in readings if each.http == 200):
        if id(reading.status) in known:
            continue
        known[id(reading.status)] = True
        found = published.get(_place(reading))
        if found is None:
            yield f"{reading.target} told what was never published: {_place(reading)}"
        elif reading.fresh:
            said = json.loads(canonical.encode(found.status))
            for name in ("license", "buffer", "keyState", "nodes"):
                if not _includes(reading.status[name], said[name]):
                    yield f"{reading.target} told another {name} than was published as {_place(reading)}"


def nobody_is_told_expired(history: History) -> Iterator[str]:
    """All licences of a history are valid for long, so nobody may be told anything else."""
    for reading in (each for readings in history.readings.values() for each in readings if each.http == 200):
        if reading.status["license"]["status"] != "Valid":
            yield f"{reading.target} told at {reading.told:.2f}: {reading.status['license']}"
    for each in history.published:
        if each.status.license.status.value != "Valid":
            yield f"published as index {each.index}: {each.status.license}"


def licences_last_as_the_law_says(history: History) -> Iterator[str]:
    """Each publication says what the law says of the ledger that was stored with it."""
    for facts in history.facts:
        told = facts.published
        if told is None or facts.site is None or facts.ledger is None:
            yield f"a publication cannot be read together with its ledger: {facts.problems}"
            continue
        last = told.status
        due = describe(facts.site, facts.ledger, last.nodes, last.key_state_reason, told.as_of, history.policy)
        if (due.key_state, due.license, due.buffer) != (last.key_state, last.license, last.buffer):
            yield f"index {told.index} says {last.license} and {last.buffer}; by law {due.license} and {due.buffer}"


def removals_grant_what_the_law_says(history: History) -> Iterator[str]:
    """From one ledger to the next a USB key is removed, and granted a buffer, by the sentences of the rules alone."""
    before = Ledger()
    for facts in history.facts:
        if facts.ledger is None or facts.published is None:
            continue  # another check tells
        told, as_of = f"the ledger {facts.ledger.sequence}", facts.published.as_of
        old = {each.key_id: each for each in before.keys}
        for gone in old.keys() - {each.key_id for each in facts.ledger.keys}:
            yield f"{told} has forgotten the USB key {gone}"
        for key in facts.ledger.keys:
            for wrong in wrong_removal(old.get(key.key_id), key, as_of - history.policy.removal_settle):
                yield f"{told} has the USB key {key.key_id}, {wrong}"
        before = facts.ledger


def wrong_removal(old: KeyHistory | None, key: KeyHistory, settled: dt.datetime) -> Iterator[str]:
    """Say what of a key cannot follow from what was remembered of it, None for nothing.

    What went out of service after `settled` cannot be a removal yet.
    """
    last, granted = (old.last_removal, old.buffer_until) if old else (None, None)
    removed = key.last_removal
    if removed is None or removed == last:
        due, rule = granted, "it was not removed"
        if last is not None and removed is None:
            yield f"whose removal at {last} is forgotten"
    elif key.signed.licence.expires <= removed:
        due, rule = granted, "its licence had expired"
    elif last is None:
        due, rule = removed + FIRST_BUFFER, "it was its first removal"
    elif removed - last < REMOVALS_APART:
        due, rule = granted, f"it was removed at {last} too"
    else:
        due, rule = removed + LATER_BUFFER, f"its last removal was at {last}"
    if key.buffer_until != due:
        yield f"with a buffer until {key.buffer_until} and not {due}: it was removed at {removed}, and {rule}"
    if removed != last and removed is not None:
        out = {key.out_since, old.out_since if old and old.out_since else key.out_since}
        if out != {removed} or removed > settled or (last is not None and removed < last):
            yield f"removed at {removed}: it was out of service since {out}, and before that removed at {last}"


def decisions_follow_from_the_reports(history: History) -> Iterator[str]:
    """Each publication is what the law decides of the ledger before it and of some reports that were there since.

    Compared are the key state and what is remembered of USB keys: those no order of a story changes. A leader may have
    decided before the newest reports reached it.
    """
    revisions = sorted({each.revision for each in history.versions if each.key == history.keys.status})
    for (before, after), begin, end in zip(pairwise(history.facts), revisions, revisions[1:], strict=False):
        told = after.published
        if before.ledger is None or after.ledger is None or told is None:
            continue  # another check tells
        known = [reports for revision, reports in history.reports if revision <= begin][-1:]
        since = [reports for revision, reports in history.reports if begin < revision < end]
        due = list[tuple[KeyState, str | None, tuple[KeyHistory, ...]]]()
        for reports in (*known, *since):
            if reports.site is not None:
                decision = decide(reports.site, reports.views, before.ledger, told.as_of, history.policy)
                due.append((decision.status.key_state, decision.ledger.in_use, decision.ledger.keys))
        is_told = (told.status.key_state, after.ledger.in_use, after.ledger.keys)
        if is_told not in due:
            yield f"index {told.index} says {_in_short(*is_told)}; by the reports {[_in_short(*each) for each in due]}"


def records_are_chained(history: History) -> Iterator[str]:
    """The records follow from one another, and the ledger holds the end of their chain."""
    ledger = history.facts[-1].ledger
    if ledger and (altered := verify(history.chain, ChainHead(ledger.record_count, ledger.record_hash))):
        yield f"record {altered.number}: {altered.why}"


CHECKS: tuple[Check, ...] = (
    uploads_are_kept,
    usage_is_kept,
    publications_rise,
    ledgers_rise,
    one_leader_in_an_epoch,
    readers_go_forward,
    readers_are_told_what_was_published,
    nobody_is_told_expired,
    licences_last_as_the_law_says,
    removals_grant_what_the_law_says,
    decisions_follow_from_the_reports,
    records_are_chained,
)


def faults_of(history: History) -> dict[str, list[str]]:
    """Return what must not be, by the name of the check that found it; empty for a good history."""
    found = {check.__name__: list(check(history)) for check in CHECKS}
    return {name: sentences for name, sentences in found.items() if sentences}


def timeline(history: History, found: Mapping[str, Sequence[str]], most: int = 5) -> str:
    """Return what a person needs to understand a bad history: the seed, what was found, and what was done when."""
    begin = history.deeds[0].at if history.deeds else 0.0
    lines = [f"seed {history.seed}; times in seconds from the beginning, which was {begin:.2f}"]
    lines += [f"{name}: {sentence}" for name, sentences in found.items() for sentence in sentences[:most]]
    events = [(deed.at, deed.what) for deed in history.deeds]
    events += [
        (each.told, f"upload {each.name} to {each.node}: {each.http} {each.text[:80]}") for each in history.uploads
    ]
    lines += [f"{at - begin:8.2f}  {what}" for at, what in sorted(events)]
    return "\n".join(lines)


def _place(reading: Reading) -> tuple[int, int]:
    return reading.status["epoch"], reading.status["index"]


def _in_short(state: KeyState, in_use: str | None, keys: Sequence[KeyHistory]) -> str:
    """Return the key state and what is remembered of keys, without their licences."""
    told = (f"{key.key_id}@{key.node} out {key.out_since} removed {key.last_removal}" for key in keys)
    return f"{state.value}, in use {in_use}, {'; '.join(told)}"


def _includes(told: object, published: object) -> bool:
    """Whether a part of an answer says all that was published."""
    if isinstance(told, dict) and isinstance(published, dict):
        return all(name in told and _includes(told[name], value) for name, value in published.items())
    if isinstance(told, list) and isinstance(published, list):
        return len(told) == len(published) and all(map(_includes, told, published))
    return told == published

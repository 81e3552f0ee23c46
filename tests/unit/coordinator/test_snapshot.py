"""The snapshot: what a node remembers on its disk, and that nothing of it is believed unchecked."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from coordinator import snapshot
from coordinator.board import Answer
from coordinator.published import Snapshot
from coordinator.snapshot import FILE, BadSnapshot, Memory, facts_in, from_bytes, snapshot_of, to_bytes
from licensing.ledger import KeyState, Ledger, Site, Usage
from licensing.status import Validity
from licensing.value import Index, Time
from tests.unit.coordinator.running import Coordinator, ready
from tests.unit.coordinator.running import Site as LivingSite
from tests.unit.coordinator.stored import (
    DAY,
    KEYS,
    NOW,
    SECOND,
    TRIAL_START,
    A,
    B,
    Hands,
    at_rest,
    facts_of,
    forged,
    good_key,
    history,
    publish,
    sealed,
    signed,
    view_of,
)
from tests.unit.licensing.signing import KEYRING, day
from tests.waiting import eventually

EXPIRES = day("2027-01-01")
FACTS = facts_of(view_of(publish(at_rest())))


def taken() -> Snapshot:
    """Return a snapshot of a site at rest."""
    found = snapshot_of(FACTS)
    assert found is not None
    return found


def memory(folder: Path) -> Memory:
    """Return a node's memory, as after a start."""
    return Memory(KEYS, KEYRING, folder)


def disk(folder: Path) -> Snapshot:
    """Return what the disk holds; LookupError for nothing that can be believed."""
    newest = memory(folder).newest
    if newest is None:
        raise LookupError("nothing is kept")
    return newest


def with_sequence(sequence: int, **changes: object) -> Snapshot:
    """Return a snapshot with another ledger."""
    return replace(taken(), ledger=replace(taken().ledger, sequence=sequence, **changes))


def test_a_snapshot_is_read_as_it_was_written() -> None:
    """Site, ledger, usage, clock and answer are the same after a turn through bytes and through facts."""
    used = replace(taken(), usage=Usage(NOW, hosts=3))
    assert from_bytes(to_bytes(used)) == used
    facts = facts_in(used, KEYS, KEYRING)
    assert snapshot_of(facts) == used
    assert facts.ledger is not None
    assert facts.ledger.usage == used.usage


@pytest.mark.parametrize("place", range(0, len(to_bytes(taken())), 97))
def test_no_flipped_bit_is_believed(place: int) -> None:
    """A file with one bit changed anywhere is refused."""
    data = bytearray(to_bytes(taken()))
    data[place] ^= 1
    with pytest.raises(BadSnapshot):
        from_bytes(bytes(data))


def content(found: Snapshot) -> bytes:
    """Return a file whose checksum is right."""
    return to_bytes(found)


NOT_CANONICAL = b'{"site": 1}'
BAD = {
    "empty": b"",
    "cut short": content(taken())[:-20],
    "another version": content(taken()).replace(b"snapshot 1", b"snapshot 2"),
    "not canonical": b"twinkey snapshot 1 sha256 " + hashlib.sha256(NOT_CANONICAL).hexdigest().encode() + b"\n{",
    "of another site": content(replace(taken(), site=Site("site-2", (A, B), TRIAL_START))),
    "a forged licence": content(
        replace(taken(), ledger=Ledger(5, keys=(history(signed=forged(signed(sealed()), expires=NOW + 9000 * DAY)),)))
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_cannot_be_believed_is_ignored(tmp_path: Path, bad: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log, and the node is as if it remembered nothing; what is seen then takes its place."""
    (tmp_path / FILE).write_bytes(BAD[bad])
    with caplog.at_level(logging.ERROR):
        found = memory(tmp_path)
    assert (found.newest, found.kept, found.sequence) == (None, None, 0)
    assert [record.message for record in caplog.records] == ["snapshot on disk ignored"]


def test_a_ledger_never_gives_way_to_an_older_one(tmp_path: Path) -> None:
    """What an old copy of the store shows is not remembered; the same sequence again is."""
    found = memory(tmp_path)
    for sequence, kept in [(5, 5), (4, 5), (5, 5), (7, 7), (0, 7)]:
        found.take(facts_in(with_sequence(sequence), KEYS, KEYRING))
        assert found.sequence == kept


def test_a_ledger_gives_way_to_one_of_its_sequence_that_counts_more(tmp_path: Path) -> None:
    """That is what etcd has, and a person is told; one that counts less is not remembered."""
    found, more, less = memory(tmp_path), with_sequence(5, record_count=4), with_sequence(5, record_count=3)
    for seen, kept, notices in [(less, less, 0), (less, less, 0), (more, more, 1), (less, more, 1)]:
        found.take(facts_in(seen, KEYS, KEYRING))
        assert found.newest is not None
        assert (found.newest.ledger, len(found.notices)) == (kept.ledger, notices)


def test_what_is_missing_or_bad_is_remembered_as_it_was(tmp_path: Path) -> None:
    """An answer, a clock or usage that cannot be read does not take away the one before; a missing site stops all."""
    found = memory(tmp_path)
    found.take(facts_in(replace(taken(), usage=Usage(NOW, hosts=3)), KEYS, KEYRING))
    whole = found.newest
    found.take(facts_in(Snapshot(taken().site, taken().ledger), KEYS, KEYRING))
    found.take(replace(FACTS, site=None))
    found.take(replace(FACTS, ledger=None))
    assert found.newest == whole


async def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full or read-only disk costs one line in the log and no answer."""
    site = LivingSite()
    for node in A, B:
        await site.report(node, *([good_key()] if node == A else []))
    (tmp_path / A / FILE).mkdir(parents=True)  # a folder where the file should be
    with caplog.at_level(logging.ERROR):
        async with Coordinator(site.client(), tmp_path).at_work() as one:
            await ready(one)
            await site.report(A)
            await ready(one, KeyState.MISSING)
            assert one.memory.sequence > 1
            await eventually(lambda: _told(caplog))
            await site.report(A, good_key())
            await ready(one)
    assert _told(caplog) == 1


def _told(caplog: pytest.LogCaptureFixture) -> int:
    return [record.message for record in caplog.records].count("snapshot not kept on disk")


# --- serving it ----------------------------------------------------------------------------------------------------


async def remembered(site: LivingSite, folder: Path, at: Time = NOW) -> None:
    """Let both nodes run until their disks remember the present ledger and answer."""
    one, two = (Coordinator(site.client(), folder, node, clock=Hands(at).clock()) for node in (A, B))
    async with one.at_work(), two.at_work():
        await ready(one)
        await ready(two)
        await eventually(lambda: [disk(folder / node).published for node in (A, B)] == [site.published] * 2)


async def test_every_node_remembers_leader_or_not(site: LivingSite, tmp_path: Path) -> None:
    """The file is for its owner alone, and nothing else is left beside it."""
    await remembered(site, tmp_path)
    for node in A, B:
        names = {each.name: oct(each.stat().st_mode)[-3:] for each in (tmp_path / node).iterdir()}
        assert names == {FILE: "600", "site": "600"}


async def test_a_node_that_starts_without_etcd_answers_from_its_disk(site: LivingSite, tmp_path: Path) -> None:
    """The licence is as it was, the answer is stale with its age, and nobody leads; with etcd back all is fresh."""
    await remembered(site, tmp_path)
    site.cluster.offline()
    hands = Hands(NOW + DAY)
    async with Coordinator(site.client(), tmp_path, B, clock=hands.clock()).at_work() as again:
        await eventually(lambda: again.status)
        assert (again.status.license.status, again.status.key_state) == (Validity.VALID, KeyState.READY)
        assert (again.status.stale, again.status.leader) == (True, None)
        assert "cannot reach etcd" in again.status.reasons[-1]
        assert DAY.total_seconds() <= again.board.age < DAY.total_seconds() + 60
        site.cluster.online()
        await site.report(A)
        await ready(again, KeyState.MISSING)
        assert again.board.age == 0


async def test_a_node_that_starts_tells_nothing_older_than_etcd_has(site: LivingSite, tmp_path: Path) -> None:
    """A disk that could not be written knows less than the node told before: with etcd there, it is not asked."""
    await remembered(site, tmp_path)
    known = disk(tmp_path / B)
    await site.report(A)
    async with Coordinator(site.client(), tmp_path).at_work() as one:
        await ready(one, KeyState.MISSING)
        again = Coordinator(site.client(), tmp_path, B)
        assert again.memory.newest == known
        shown = list[Index]()
        again.board.show = _noting(again.board.show, shown)  # type: ignore[method-assign]
        async with again.at_work():
            await ready(again, KeyState.MISSING)
    assert known.published is not None
    assert min(shown) > known.published.index


def _noting(show: Callable[..., None], shown: list[Index]) -> Callable[..., None]:
    def noted(answer: Answer, age: float = 0.0) -> None:
        shown.append(answer.status.index)
        show(answer, age)

    return noted


async def test_what_is_remembered_runs_out_in_time(site: LivingSite, tmp_path: Path) -> None:
    """A licence whose end has come while nothing ran is Expired from the first answer on."""
    await remembered(site, tmp_path, EXPIRES - SECOND)
    site.cluster.offline()
    async with Coordinator(site.client(), tmp_path, B, clock=Hands(EXPIRES + SECOND).clock()).at_work() as again:
        await eventually(lambda: again.status)
        assert (again.status.license.status, again.status.stale) == (Validity.EXPIRED, True)


async def test_time_does_not_go_back_behind_what_is_remembered(site: LivingSite, tmp_path: Path) -> None:
    """A clock that was set back while nothing ran makes no licence valid again."""
    await remembered(site, tmp_path)
    site.cluster.offline()
    async with Coordinator(site.client(), tmp_path, B, clock=Hands(NOW - 9 * DAY).clock()).at_work() as again:
        await eventually(lambda: again.status)
        assert again.clock.now() >= NOW
        assert again.board.age < SECOND.total_seconds() * 60


async def test_a_burst_of_changes_is_few_writes(tmp_path: Path) -> None:
    """What changes while the disk writes goes into the next write, and the last state is what stays."""
    found = memory(tmp_path)
    running = asyncio.create_task(found.run())
    for sequence in range(1, 200):
        found.take(facts_in(with_sequence(sequence), KEYS, KEYRING))
    await eventually(lambda: disk(tmp_path).ledger.sequence == 199)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_who_stops_leaves_the_newest_on_the_disk(tmp_path: Path) -> None:
    """A stop between a change and its write, which waits for others to come, writes it at once."""
    found = memory(tmp_path)
    running = asyncio.create_task(found.run())
    found.take(facts_in(with_sequence(7), KEYS, KEYRING))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not (tmp_path / FILE).exists()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert disk(tmp_path).ledger.sequence == 7


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """Somebody else's huge file is no reason to run out of memory."""
    with (tmp_path / FILE).open("wb") as file:
        file.truncate(snapshot.LARGEST * 100)
    assert memory(tmp_path).newest is None


def test_an_older_answer_from_the_same_ledger_is_not_remembered(tmp_path: Path) -> None:
    """A store that was put back to a copy with the same ledger has one; from a newer ledger every answer is new."""
    found = memory(tmp_path)
    answer = taken().published
    assert answer is not None
    found.take(replace(FACTS, published=replace(answer, index=9)))
    found.take(replace(FACTS, published=replace(answer, index=8)))
    assert found.newest is not None
    assert found.newest.published == replace(answer, index=9)
    later = replace(answer, index=8, ledger=replace(answer.ledger, sequence=answer.ledger.sequence + 1))
    found.take(replace(FACTS, published=later))
    assert found.newest.published == later

"""Restoring a backup whose history parted from the site's long ago, and being interrupted at any step of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from msgspec.structs import replace

from cluster.record_batches import read_records
from cluster.record_pages import RecordPages
from cluster.records import index_writes, verify_stored
from cluster.report import Fingerprint
from cluster.store import Condition, Unavailable, View, Write
from cluster.values import decode_value, encode_value
from coordinator.backup import Backup, seal
from coordinator.facts import FactReader, Facts, Sighting
from coordinator.published import Snapshot
from coordinator.restoring import on_its_way, refusal_of
from licensing import canonical
from licensing.ledger import KeyState, Ledger, Restored, Staged
from licensing.ledger import Site as SiteIdentity
from licensing.ledger_version import LedgerVersion, version_of
from licensing.records import Altered, ChainHead, Record, append
from tests.history import BEGINNING, content
from tests.unit.coordinator.running import Coordinator, Counting, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, refusal, serving
from tests.unit.coordinator.stored import DAY, KEYS, NOW, SECOND, SITE, TRIAL_START, A, B
from tests.unit.licensing.signing import KEYRING
from tests.waiting import eventually

IDENTITY = SiteIdentity(SITE, (A, B), TRIAL_START)
LONG = 45
"""Records that the histories do not share: they take several transactions to stage and to move."""


def history(who: str, count: int, shared: Sequence[Record] = ()) -> list[Record]:
    """Return a history of so many records that goes on from a shared beginning, with dates of its own."""
    records = list(shared)
    head = ChainHead(len(shared), shared[-1].hash) if shared else ChainHead()
    while len(records) < count:
        issued = BEGINNING + len(records) * SECOND + len(who) * DAY
        said = content(len(records), who=who, issued_date=issued, expired_date=issued + 300 * DAY)
        record, head = append(head, said)
        records.append(record)
    return records


def ledger_of(sequence: int, records: Sequence[Record]) -> Ledger:
    """Return a ledger that knows this history."""
    return Ledger(sequence, record_count=len(records), record_hash=records[-1].hash)


async def site_with(records: Sequence[Record]) -> Site:
    """Return a site with this history whose nodes report no keys."""
    site = Site()
    site.put(KEYS.site, encode_value(IDENTITY))
    site.put(KEYS.ledger, encode_value(ledger_of(50, records)))
    for record in records:
        site.cluster.apply(index_writes(KEYS, record))
    for node in A, B:
        await site.report(node, fingerprint=Fingerprint(node, ("x",)))
    return site


def backup_of(records: Sequence[Record]) -> bytes:
    """Return a call's body that restores a site with this history."""
    found = Backup(NOW, Snapshot(IDENTITY, ledger_of(5000, records)), tuple(records))
    return b'{"restore":' + canonical.encode(seal(found)) + b"}"


def ledger(site: Site) -> Ledger:
    """Return the stored ledger."""
    return decode_value(KEYS.ledger, site.cluster.entries[KEYS.ledger].value, Ledger)


async def altered(site: Site) -> Altered | None:
    """Return the first record that is not as it was written."""
    found = ledger(site)
    return await verify_stored(site.client(), KEYS, ChainHead(found.record_count, found.record_hash), found.restored)


def waiting(site: Site) -> list[str]:
    """Return what is staged."""
    return [key for key in site.cluster.entries if key.startswith(KEYS.staging)]


def is_restored(site: Site) -> bool:
    """Whether the backup's ledger counts, and all of its history is in its place."""
    found = ledger(site)
    return found.sequence > 5000 and on_its_way(found) is None


async def check_restored(site: Site, records: Sequence[Record], others: Sequence[Record]) -> None:
    """Check that the history is the backup's, followed by that it was restored, and nothing is left of the other."""
    stored = await read_records(site.client(), KEYS, ledger(site).record_count)
    assert list(stored[: len(records)]) == list(records)
    assert stored[len(records)].number == max(len(records), len(others))
    assert await altered(site) is None
    assert waiting(site) == []
    pages = RecordPages(site.client(), KEYS)
    for order in "uploadDate", "issuedDate", "expiredDate":
        assert (await pages.page(0, 1, order))[1] == len(stored)


def seen(*, sequence: int, node: str = B) -> Facts:
    """Return facts of a site whose ledger has sequence 5, while a node's agent has seen another one."""
    empty = FactReader(KEYS, KEYRING).read(View())
    sightings = (Sighting(A, "Node A", LedgerVersion(5)), Sighting(node, "Node B", LedgerVersion(sequence)))
    return replace(empty, site=IDENTITY, ledger=Ledger(5), sightings=sightings)


@pytest.mark.parametrize(("sequence", "refused"), [(10, False), (11, True), (20, True)], ids=str)
def test_a_backup_older_than_what_agents_have_seen_is_refused(sequence: int, refused: object) -> None:
    """The site would not decide on it, or would take a licence back unnoticed where it is only one change older."""
    found = refusal_of(Snapshot(IDENTITY, Ledger(10)), seen(sequence=sequence), None)
    assert (found is not None) is refused
    if found is not None:
        assert (found.http, found.code) == (409, "backup-too-old")
        assert found.text == f"The agent of node Node B has seen ledger {sequence}, this backup ends at 10."
        assert "docs/recovery.md" in found.hint


def test_a_backup_of_what_agents_have_seen_is_restored() -> None:
    """It is the very ledger; another one of the same sequence counts only if it is the later in the order of all."""
    backup, other = sorted((Ledger(10, in_use="K1"), Ledger(10, in_use="K2")), key=version_of)
    facts = seen(sequence=10)
    for known, refused in (backup, False), (other, True):
        sightings = (Sighting(B, "Node B", version_of(known)),)
        found = refusal_of(Snapshot(IDENTITY, backup), replace(facts, sightings=sightings), None)
        assert (found is not None) is refused
    assert found is not None
    assert found.text.endswith("this backup ends at another one of that sequence.")


async def test_the_call_says_that_agents_have_seen_more(tmp_path: Path) -> None:
    """Nothing is changed, and nothing is left staged."""
    site = await site_with(SHARED)
    for node in A, B:
        await site.report(node, fingerprint=Fingerprint(node, ("x",)), ledger=LedgerVersion(5001))
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await eventually(lambda: one.mirror.connected)
        response = await client.put("/v1/site/actions", data=backup_of(SHARED), headers=AS_ADMIN)
        assert (await refusal(response))[:2] == (409, "backup-too-old")
    assert (ledger(site).sequence, waiting(site)) == (50, [])


SHARED = history("admin", 3)
CASES = {
    "nothing shared": (history("backup", LONG), history("present", LONG)),
    "longer": (history("backup", LONG + 40, SHARED), history("present", LONG, SHARED)),
    "shorter": (history("backup", LONG, SHARED), history("present", LONG + 40, SHARED)),
    "a beginning": (SHARED, history("present", LONG, SHARED)),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_history_of_any_length_is_put_in_place(tmp_path: Path, case: str) -> None:
    """However long ago it parted from the site's, the backup's history is whole afterwards and the other one gone."""
    records, others = CASES[case]
    site = await site_with(others)
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        others = list(await read_records(site.client(), KEYS, ledger(site).record_count))
        response = await client.put("/v1/site/actions", data=backup_of(records), headers=AS_ADMIN)
        assert response.status == 200, await response.text()
        await eventually(lambda: is_restored(site))
    await check_restored(site, records, others)


PRESENT = history("present", 20)


async def with_more_behind() -> Site:
    """Return a site with records behind the end of its history, but for the first place there."""
    site = await site_with(PRESENT)
    for record in history("left", 60)[21:]:
        site.cluster.apply(index_writes(KEYS, record))
    return site


@asynccontextmanager
async def reading(site: Site, folder: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Give a client of a coordinator that only follows the store."""
    one = Coordinator(site.client(), folder)
    following = asyncio.create_task(one.mirror.run())
    try:
        async with serving(one) as client:
            await eventually(lambda: one.mirror.connected)
            yield client
    finally:
        following.cancel()


async def test_nobody_reads_what_is_behind_the_end_of_the_history(tmp_path: Path) -> None:
    """Records that somebody left there never were."""
    site = await with_more_behind()
    async with reading(site, tmp_path) as client:
        response = await client.get("/v1/licenses/records", params={"sortBy": "issuedDate"}, headers=AS_ADMIN)
        assert (await response.json())["total"] == len(PRESENT)


def attempt_with(key: str, store: Counting) -> int:
    """Return how many commits a client tried before the first one that wrote a key."""
    return next(number for number, keys in enumerate(store.attempts) if key in keys)


async def test_a_leader_deletes_what_is_behind_the_end_of_the_history(tmp_path: Path) -> None:
    """Before it writes any record, so that new ones take their places in all orders."""
    site = await with_more_behind()
    store = site.client()
    async with Coordinator(store, tmp_path).at_work() as one:
        await ready(one, KeyState.NONE)
        assert KEYS.record(59) not in site.cluster.entries
    deletes, changes = (attempt_with(key, store) for key in (KEYS.record(59), KEYS.site))
    assert deletes < changes
    stored = await read_records(site.client(), KEYS, 100)
    assert len(stored) == ledger(site).record_count
    assert stored[:20] == tuple(PRESENT)
    pages = RecordPages(site.client(), KEYS)
    for order in "uploadDate", "issuedDate", "expiredDate":
        assert (await pages.page(0, 1, order))[1] == len(stored)
    assert await altered(site) is None


async def test_a_leader_that_takes_over_publishes_first(tmp_path: Path) -> None:
    """Nobody waits for it to look behind the end of the history, which it does before it writes anything else."""
    site = await with_more_behind()
    async with Coordinator(site.client(), tmp_path).at_work() as before:
        await ready(before, KeyState.NONE)
    for record in history("left", 60)[21:]:
        site.cluster.apply(index_writes(KEYS, record))
    store = site.client()
    async with Coordinator(store, tmp_path, B).at_work():
        await eventually(lambda: KEYS.record(59) not in site.cluster.entries)
    published, deletes = (attempt_with(key, store) for key in (KEYS.status, KEYS.record(59)))
    assert published < deletes
    assert site.published.leader.name == "Node B"


@pytest.mark.parametrize("path", ["records", "records.csv"])
async def test_nobody_reads_two_histories_mixed(tmp_path: Path, path: str) -> None:
    """As long as not all of a restored history is in its place, a call for it is told to come again."""
    site = await site_with(PRESENT)
    on_the_way = Restored(NOW, 5, 20, "", PRESENT[-1].hash, Staged("area", 5))
    site.put(KEYS.ledger, encode_value(replace(ledger(site), restored=(on_the_way,))))
    async with reading(site, tmp_path) as client:
        response = await client.get(f"/v1/licenses/{path}", headers=AS_ADMIN)
        assert (await refusal(response))[:2] == (503, "restore-not-finished")
        assert response.headers["Retry-After"]


class Dying(Counting):
    """A client of the store whose node is cut off after so many of the writes that belong to a restore."""

    left = 10**9

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Commit, or be cut off."""
        if self.left == 0:
            raise Unavailable("this node was cut off")
        revision = await super().commit(conditions, writes)
        if any(write.key.startswith((KEYS.staging, KEYS.inboxes)) for write in writes):
            self.left -= 1
        return revision


STEPS = 11
"""Two to stage, one to order, one to switch, seven to move; the last case is not interrupted."""


@pytest.mark.parametrize("step", range(STEPS + 1))
async def test_a_restore_may_be_interrupted_at_every_step(tmp_path: Path, step: int) -> None:
    """What is stored is right whenever it stops: either nothing was restored, or the next leader completes it."""
    records, others = history("backup", 110, SHARED), history("present", 70, SHARED)
    site = await site_with(others)
    store = Dying(site.cluster)
    async with Coordinator(store, tmp_path / "1").at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        others = list(await read_records(site.client(), KEYS, ledger(site).record_count))
        store.left = step
        asked = asyncio.create_task(client.put("/v1/site/actions", data=backup_of(records), headers=AS_ADMIN))
        await eventually(lambda: store.left == 0 or is_restored(site))
        assert await altered(site) is None
        asked.cancel()
    ordered = any(key.startswith(KEYS.inboxes) for key in site.cluster.entries)
    switched = ledger(site).sequence > 5000
    assert (switched, is_restored(site)) == (step >= 4, step == STEPS)
    assert await altered(site) is None
    async with Coordinator(site.client(), tmp_path / "2", B).at_work() as two, serving(two, B) as client:
        await ready(two, KeyState.NONE)
        if not (ordered or switched):
            assert list(await read_records(site.client(), KEYS, ledger(site).record_count)) == others
            response = await client.put("/v1/site/actions", data=backup_of(records), headers=AS_ADMIN)
            assert response.status == 200, await response.text()
        await eventually(lambda: is_restored(site))
    await check_restored(site, records, others)


async def test_while_a_history_is_put_in_place_there_is_no_other_backup(tmp_path: Path) -> None:
    """Half of each history is no backup, and nothing is restored over another restore; both are told to wait."""
    site = await site_with(history("present", 70, SHARED))
    store = Dying(site.cluster)
    async with Coordinator(store, tmp_path).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        store.left = 6
        response = await client.put(
            "/v1/site/actions", data=backup_of(history("backup", 110, SHARED)), headers=AS_ADMIN
        )
        assert response.status == 200, await response.text()
        await eventually(lambda: store.left == 0)
        for late in (
            await client.get("/v1/site/backup", headers=AS_ADMIN),
            await client.put("/v1/site/actions", data=backup_of(history("third", 9)), headers=AS_ADMIN),
        ):
            assert (await refusal(late))[:2] == (409, "restore-not-finished")
        store.left = 10**9
        await eventually(lambda: is_restored(site))
        assert (await client.get("/v1/site/backup", headers=AS_ADMIN)).status == 200


async def test_what_an_interrupted_restore_left_behind_goes_with_the_next_one(tmp_path: Path) -> None:
    """Records that were staged for nothing are deleted when another restore is done."""
    site = await site_with(SHARED)
    for record in history("gone", 9):
        site.put(KEYS.staged("another", record.number), encode_value(record))
    records = history("backup", LONG, SHARED)
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        others = list(await read_records(site.client(), KEYS, ledger(site).record_count))
        assert (await client.put("/v1/site/actions", data=backup_of(records), headers=AS_ADMIN)).status == 200
        await eventually(lambda: is_restored(site))
    await check_restored(site, records, others)

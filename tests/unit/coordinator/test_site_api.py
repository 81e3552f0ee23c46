"""The site as a whole over HTTP: backups, restoring them, and a second node."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from msgspec.structs import replace

from cluster.records import verify_stored
from cluster.report import Fingerprint
from cluster.store import Condition, Put, Write
from cluster.values import decode_value, encode_value
from coordinator.backup import SealedBackup, seal
from coordinator.orders import Install
from licensing import canonical
from licensing.ledger import KeyState, Ledger, Lineage
from licensing.ledger import Site as SiteIdentity
from licensing.licence import SignedLicence
from licensing.records import ChainHead
from licensing.request_code import parse
from licensing.status import Alert, Validity
from tests.unit.coordinator.ordered import order
from tests.unit.coordinator.running import Coordinator, Counting, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, AUTH, Client, refusal, serving
from tests.unit.coordinator.stored import KEYS, NOW, TRIAL_START, A, B, forged
from tests.unit.licensing.asked import LATER, asked
from tests.unit.licensing.asked import SITE as ASKED_SITE
from tests.waiting import eventually

BACKUP, ACTIONS = "/v1/site/backup", "/v1/site/actions"


async def founded(site: Site) -> None:
    """Let both nodes of a site that has given out request codes report that no key is there."""
    site.put(KEYS.site, encode_value(ASKED_SITE))
    await report(site)


async def report(site: Site, *nodes: str) -> None:
    """Let nodes' agents report that no key is there."""
    for node in nodes or (A, B):
        await site.report(node, fingerprint=Fingerprint(node, ("x",)))


async def install(site: Site, licence: SignedLicence, name: str) -> None:
    """Install a licence as a node's console would."""
    site.put(KEYS.inbox(name), encode_value(order(Install((licence.file,)), console=True)))
    await eventually(lambda: KEYS.outcome(name) in site.cluster.entries)


def ledger(site: Site) -> Ledger:
    """Return the stored ledger; LookupError for none."""
    return decode_value(KEYS.ledger, site.cluster.entries[KEYS.ledger].value, Ledger)


async def altered(site: Site) -> object:
    """Return the first record that is not as it was written, if any."""
    found = ledger(site)
    return await verify_stored(site.client(), KEYS, ChainHead(found.record_count, found.record_hash), found.restored)


async def taken(client: Client) -> bytes:
    """Return a backup."""
    response = await client.get(BACKUP, headers=AS_ADMIN)
    assert response.status == 200
    return await response.read()


async def put(client: Client, body: bytes) -> ClientResponse:
    """Ask for an action."""
    return await client.put(ACTIONS, data=body, headers=AS_ADMIN)


async def restore(client: Client, backup: bytes) -> ClientResponse:
    """Restore a backup."""
    return await put(client, b'{"restore":' + backup + b"}")


async def licensed(folder: Path) -> tuple[Site, bytes, bytes]:
    """Return a licensed site, a backup of it, and one from before the licence."""
    site = Site()
    await founded(site)
    async with Coordinator(site.client(), folder).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        early = await taken(client)
        await install(site, asked(), "order-1")
        await eventually(lambda: one.status.license.name == asked().licence.name)
        return site, await taken(client), early


@pytest.mark.parametrize("lived", [False, True], ids=["an empty etcd", "a site that was founded anew"])
async def test_a_backup_brings_a_lost_site_back(tmp_path: Path, lived: bool) -> None:  # noqa: FBT001
    """With etcd and every disk lost, licence and whole history are as they were; whoever looks is told."""
    old, backup, _ = await licensed(tmp_path / "old")
    records = {key: entry.value for key, entry in old.cluster.entries.items() if key.startswith(KEYS.records)}
    new = Site()
    await report(new, *([A, B] if lived else [A]))
    async with Coordinator(new.client(), tmp_path / "new").at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        assert one.status.license.name != asked().licence.name
        response = await restore(client, backup)
        assert response.status == 200, await response.text()
        assert (await response.json())["changed"]
        await eventually(lambda: one.status.license.name == asked().licence.name)
        assert one.status.license.status is Validity.VALID
        assert Alert.STORE_RESTORED in one.status.alerts
    assert ledger(new).installed == ledger(old).installed
    assert ledger(new).sequence > ledger(old).sequence
    kept = {key: entry.value for key, entry in new.cluster.entries.items() if key.startswith(KEYS.records)}
    assert {key: kept[key] for key in records} == records
    assert len(kept) == len(records) + 3  # that a backup was restored
    assert await altered(new) is None


async def test_a_backup_that_is_older_takes_nothing_back(tmp_path: Path) -> None:
    """It is refused, and so is the present one again: the site knows as much; not a byte changes."""
    site, backup, early = await licensed(tmp_path)
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        before = entries(site)
        for file in early, backup:
            assert (await refusal(await restore(client, file)))[:2] == (409, "backup-too-old")
        assert entries(site) == before


def entries(site: Site) -> dict[str, bytes]:
    """Return what is stored of the site itself."""
    kept = (KEYS.site, KEYS.ledger, KEYS.usage)
    return {
        key: entry.value
        for key, entry in site.cluster.entries.items()
        if key in kept or key.startswith((KEYS.records, KEYS.inboxes))
    }


def changed(backup: bytes, change: Callable[[Ledger], Ledger]) -> bytes:
    """Return a backup with another ledger, whose checksum is right."""
    found = canonical.decode(backup, SealedBackup).backup
    return canonical.encode(
        seal(replace(found, snapshot=replace(found.snapshot, ledger=change(found.snapshot.ledger))))
    )


TAKEN_BACK: dict[str, Callable[[Ledger], Ledger]] = {
    "an older licence": lambda old: replace(old, sequence=99, lineages=(Lineage("C-1", 0, NOW),)),
    "a forgotten contract": lambda old: replace(old, sequence=99, lineages=()),
    "a forgotten code": lambda old: replace(old, sequence=99, spent=()),
}


@pytest.mark.parametrize("how", TAKEN_BACK)
async def test_no_licence_is_rolled_back_by_a_backup(tmp_path: Path, how: str) -> None:
    """Whatever its sequence says, a backup that does not know what was installed is refused."""
    site, backup, _ = await licensed(tmp_path)
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        before = entries(site)
        assert (await refusal(await restore(client, changed(backup, TAKEN_BACK[how]))))[:2] == (409, "backup-too-old")
        assert entries(site) == before


def damaged(backup: bytes) -> bytes:
    """Return a backup with one wrong figure."""
    return backup.replace(b'"hosts":10', b'"hosts":99')


def foreign(backup: bytes) -> bytes:
    """Return a good backup of another site."""
    found = canonical.decode(backup, SealedBackup).backup
    site = SiteIdentity("site-2", (A, B), TRIAL_START)
    return canonical.encode(seal(replace(found, snapshot=replace(found.snapshot, site=site))))


def forging(backup: bytes) -> bytes:
    """Return a backup with a licence that the vendor did not sign, and with the right checksum."""
    return changed(backup, lambda old: replace(old, installed=(forged(old.installed[0], name="Forged"),)))


@pytest.mark.parametrize("spoil", [damaged, foreign, forging], ids=["damaged", "of another site", "forged"])
async def test_a_bad_backup_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    """Nobody can make a backup up, and nothing of a damaged one is believed."""
    _, backup, _ = await licensed(tmp_path / "old")
    site = Site()
    await report(site)
    async with Coordinator(site.client(), tmp_path / "new").at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        await eventually(lambda: len(ledger(site).restored) == 0)
        assert (await refusal(await restore(client, spoil(backup))))[:2] == (422, "bad-backup")
        assert ledger(site).installed == ()


class Meddling(Counting):
    """A client of the store before whose order somebody else changes the ledger."""

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Let the other be faster."""
        if any(write.key.startswith(KEYS.inboxes) and isinstance(write, Put) for write in writes):
            found = decode_value(KEYS.ledger, self.cluster.entries[KEYS.ledger].value, Ledger)
            self.cluster.apply([Put(KEYS.ledger, encode_value(replace(found, sequence=found.sequence + 1)))])
        return await super().commit(conditions, writes)


async def test_what_was_written_for_nothing_is_taken_back(tmp_path: Path) -> None:
    """Where the site changed meanwhile nothing is restored, and what was staged for it is gone again."""
    _, backup, _ = await licensed(tmp_path / "old")
    site = Site()
    await report(site)
    store = Meddling(site.cluster)
    async with Coordinator(store, tmp_path / "new").at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        await eventually(lambda: decode_value("", site.cluster.entries[KEYS.site].value, SiteIdentity).request)
        before = entries(site)
        newer = changed(backup, lambda old: replace(old, sequence=99))
        assert (await refusal(await restore(client, newer)))[:2] == (409, "changed-meanwhile")
        assert any(any(key.startswith(KEYS.records) for key in keys) for keys in store.attempts[-6:])
        assert entries(site) | {KEYS.ledger: b""} == before | {KEYS.ledger: b""}
        assert await altered(site) is None


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"addNode":{}}', b'{"addNode":{"managementNodeUuid":"x"}}', b"[]"],
    ids=["none", "who", "x", "list"],
)
async def test_an_action_that_says_nothing_is_refused(site: Site, tmp_path: Path, body: bytes) -> None:
    """The call has one of its actions, and a node is named by its UUID."""
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one)
        assert (await refusal(await put(client, body)))[0] == 400


async def test_backups_are_for_administrators(site: Site, tmp_path: Path) -> None:
    """A token for reading gives neither a backup nor an action."""
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one)
        assert (await refusal(await client.get(BACKUP, headers=AUTH)))[0] == 403
        assert (await refusal(await client.put(ACTIONS, data=b"{}", headers=AUTH)))[0] == 403


async def test_a_backup_says_of_itself_whether_it_is_whole(tmp_path: Path) -> None:
    """Its checksum is over the canonical bytes of the backup in it, as a person can check with other tools."""
    _, backup, _ = await licensed(tmp_path)
    told: dict[str, Any] = json.loads(backup)
    inner = json.dumps(told["backup"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert told["sha256"] == hashlib.sha256(inner).hexdigest()
    assert "published" not in told["backup"]["snapshot"]


# --- a second node -------------------------------------------------------------------------------------------------

UUIDS = ("1f0a2b6c-7d53-4c8e-9a51-0c6f7f1c2d3e", "2f0a2b6c-7d53-4c8e-9a51-0c6f7f1c2d3e")


async def test_a_site_of_one_grows(site: Site, tmp_path: Path) -> None:
    """The node is a member at once, the licence stays, and the request code names it when it has reported."""
    first, second = UUIDS
    site = Site()
    alone = SiteIdentity(KEYS.site_id, (first,), TRIAL_START, nonces=("n-1",))
    site.put(KEYS.site, encode_value(alone))
    await site.report(first, fingerprint=Fingerprint("node-a", ("x",)))

    def identity() -> SiteIdentity:
        return decode_value(KEYS.site, site.cluster.entries[KEYS.site].value, SiteIdentity)

    async with Coordinator(site.client(), tmp_path, first).at_work() as one, serving(one, first) as client:
        await ready(one, KeyState.NONE)
        await install(site, asked(), "order-1")
        sequence, nonces = ledger(site).sequence, identity().nonces
        body = json.dumps({"addNode": {"managementNodeUuid": second}}).encode()
        assert (await (await put(client, body)).json())["changed"]
        assert ledger(site).sequence > sequence
        assert (identity().members, identity().request, identity().nonces) == (UUIDS, "", nonces)
        await eventually(lambda: len(one.status.nodes) == 2)
        await site.report(second, fingerprint=Fingerprint("new-machine", ("x",)))
        await eventually(lambda: identity().request)
        assert parse(identity().request).fingerprints == ("node-a", "new-machine")
        assert one.status.license.name == asked().licence.name
        assert not (await (await put(client, body)).json())["changed"]
        third = json.dumps({"addNode": {"managementNodeUuid": UUIDS[0].replace("1f", "3f", 1)}}).encode()
        assert (await refusal(await put(client, third)))[:2] == (409, "site-full")


async def test_a_node_with_new_hardware_needs_no_new_licence(tmp_path: Path) -> None:
    """An empty disk and another fingerprint: it remembers all again, and the licence can be renewed by the old code."""
    site, _, _ = await licensed(tmp_path)
    await site.report(A, fingerprint=Fingerprint("new-machine", ("x",)))
    async with Coordinator(site.client(), tmp_path / "new disk").at_work() as one:
        await ready(one, KeyState.NONE)
        assert (one.status.license.name, one.status.license.status) == (asked().licence.name, Validity.VALID)
        await eventually(lambda: one.memory.sequence == ledger(site).sequence)
        await install(site, asked("n-2", **LATER), "order-2")
        await eventually(lambda: ledger(site).lineages[0].sequence == 2)

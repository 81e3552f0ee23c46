"""Uploads that meet each other, and leaders that die in the middle: one winner, all or nothing, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from signal import SIGKILL, SIGSTOP
from typing import Any

import pytest

from cluster.store import Store
from tests.integration.site.vendor import Vendor, refused
from tests.site import KEYS, LEASE_OVER, Answer, LiveSite
from tests.waiting import eventually_sync

UPLOAD = "/v1/licenses"
ROUNDS = 8


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    """Give the vendor of a running site."""
    site = LiveSite(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        yield Vendor(site)
    finally:
        site.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Give threads for calls that are made at the same time."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


def upload(site: LiveSite, label: str, file: bytes) -> Answer | None:
    """Upload a file; None where the node died over it."""
    try:
        return site.call(label, "POST", UPLOAD, file, within=30)
    except (OSError, HTTPException):
        return None


def installed(site: LiveSite, label: str) -> set[str]:
    """Return the names of all licences that were ever installed, by the records; each is there once."""
    records = json.loads(site.get(label, "/v1/licenses/records?limit=100").body)["inventories"]
    names = [record["name"] for record in records if record["action"] == "installed"]
    assert len(set(names)) == len(names)
    return set(names)


def names_in_ledger(site: LiveSite) -> set[str]:
    """Return the names of the licences that the ledger holds."""
    ledger: dict[str, Any] = json.loads(site.read(KEYS.ledger).value)["data"]
    return {each["licence"]["name"] for each in ledger.get("installed", [])}


def inbox(site: LiveSite) -> int:
    """Return how many orders wait for a leader."""

    async def count(store: Store) -> int:
        return len((await store.snapshot(KEYS.inboxes)).entries)

    return site.in_store(count)


def test_two_uploads_with_one_nonce(vendor: Vendor, pool: ThreadPoolExecutor) -> None:
    """Two licences for one request code, at both nodes at once: one is installed and the other gets 409."""
    for _ in range(ROUNDS):
        first = vendor.licence()
        second = vendor.licence(binding=first.binding)
        files = {"a": vendor.sign(first), "b": vendor.sign(second)}
        answers = list(pool.map(lambda label, files=files: upload(vendor.site, label, files[label]), files))
        assert sorted(answer.status for answer in answers if answer) == [200, 409]
        assert [refused(answer) for answer in answers if answer and answer.status != 200] == [(409, "nonce-used")]
        assert len({first.name, second.name} & names_in_ledger(vendor.site)) == 1


def test_two_uploads_with_one_sequence(vendor: Vendor, pool: ThreadPoolExecutor) -> None:
    """Two licences in the same place of one contract: one is installed and the other gets 409."""
    first = vendor.licence(lineage="contract", sequence=7)
    second = vendor.licence(lineage="contract", sequence=7, issued=first.issued, not_before=first.not_before)
    answers = list(
        pool.map(lambda label, file: upload(vendor.site, label, file), "ab", map(vendor.sign, (first, second)))
    )
    assert sorted(answer.status for answer in answers if answer) == [200, 409]
    assert len({first.name, second.name} & names_in_ledger(vendor.site)) == 1


def test_an_order_outlives_its_leader(vendor: Vendor, pool: ThreadPoolExecutor) -> None:
    """A leader that is frozen with the order in the inbox, and then killed, leaves it to the next one."""
    site = vendor.site
    leader, other = site.leader()
    licence = vendor.licence()
    site.coordinators[leader].send(SIGSTOP)
    uploading: Future[Answer | None] = pool.submit(upload, site, other, vendor.sign(licence))
    eventually_sync(lambda: inbox(site) == 1)
    site.coordinators[leader].end(SIGKILL)
    answer = uploading.result(timeout=30)
    assert answer
    assert answer.status == 200
    assert licence.name in names_in_ledger(site)
    assert inbox(site) == 0
    site.start()


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_an_upload_is_all_or_nothing_whenever_its_leader_dies(
    vendor: Vendor, pool: ThreadPoolExecutor, turn: int
) -> None:
    """What was accepted is installed, what was refused is not, and the records and the ledger agree about it."""
    site = vendor.site
    leader, other = site.leader()
    licence = vendor.licence()
    receiver = leader if turn % 4 == 3 else other
    uploading = pool.submit(upload, site, receiver, vendor.sign(licence))
    eventually_sync(lambda: turn < 2 or inbox(site) or uploading.done())
    site.coordinators[leader].end(SIGKILL)
    answer = uploading.result(timeout=40)
    site.start()
    eventually_sync(lambda: inbox(site) == 0, LEASE_OVER)
    if answer is not None and answer.status == 202:
        location = json.loads(answer.body)["location"]
        answer = eventually_sync(lambda: found if (found := site.get(other, location)).status == 200 else None)
    held = licence.name in names_in_ledger(site)
    for label in site.nodes:
        assert (licence.name in installed(site, label)) == held
    if answer is not None:
        assert answer.status in (200, 503)
        assert held == (answer.status == 200)


def test_an_order_that_nobody_takes_is_withdrawn(vendor: Vendor) -> None:
    """With no leader that can decide the answer is 503 with Retry-After, and nothing is installed later on."""
    site, licence = vendor.site, vendor.licence()
    file = vendor.sign(licence)
    with site.tampered(KEYS.site, b"not a site"):
        answer = site.call("b", "POST", UPLOAD, file, within=30)
        assert refused(answer) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert inbox(site) == 0
    assert vendor.install(vendor.file())["changed"]
    assert licence.name not in names_in_ledger(site)


def test_nothing_is_accepted_while_etcd_is_away(vendor: Vendor) -> None:
    """Without the store the answer is 503 with Retry-After, at once, and the same file can be uploaded afterwards."""
    site, file = vendor.site, vendor.file()
    site.etcd.pause()
    try:
        site.wait_for("b", lambda status: status["stale"], within=15)
        answer = site.call("b", "POST", UPLOAD, file)
        assert refused(answer) == (503, "unavailable")
        assert answer.headers["Retry-After"]
    finally:
        site.etcd.resume()
    site.wait_for_all(lambda status: not status["stale"], within=15)
    assert vendor.install(file)["changed"]

"""Etcd is put back to an old copy, or lost: the newest ledger wins, an operator is told, and no licence is lost.

Every test has a site of its own, whose etcd is stopped while its files are copied, exchanged or removed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.etcd import EtcdStore
from cluster.store import Put
from cluster.values import decode_value
from coordinator.snapshot import FILE, from_bytes
from licensing.ledger import Ledger
from tests.etcd_server import EtcdCluster
from tests.integration.site.vendor import Vendor
from tests.site import KEYS, TWINKEY, LiveSite, Status
from tests.waiting import eventually_sync

BACK = 30.0
"""Seconds within which all is well again after everything was down."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LiveSite]:
    """Give a running site."""
    site = LiveSite(tmp_path)
    try:
        site.start()
        yield site
    finally:
        site.close()


def data_of(site: LiveSite) -> Path:
    """Return where etcd keeps its files."""
    return site.etcd.members[0].data_dir


def ledger(site: LiveSite) -> Ledger:
    """Return the stored ledger."""
    return decode_value(KEYS.ledger, site.read(KEYS.ledger).value, Ledger)


def copied(site: LiveSite) -> Path:
    """Return a copy of etcd's files as they are now."""
    copy = data_of(site).with_name("copy")
    site.etcd.members[0].stop()
    shutil.copytree(data_of(site), copy)
    site.start()
    return copy


def licensed(site: LiveSite) -> tuple[str, int]:
    """Install a licence, and wait until all disks know of it; return its name and the index that is shown."""
    vendor = Vendor(site)
    licence = vendor.licence()
    vendor.install(vendor.sign(licence))
    site.wait_until_told()
    newest = ledger(site)
    disks = [node.folder / "coordinator" / FILE for node in site.nodes.values()]
    eventually_sync(lambda: all(from_bytes(disk.read_bytes()).ledger == newest for disk in disks))
    return licence.name, max(site.status(label)["index"] for label in site.nodes)


def stop(site: LiveSite) -> None:
    """Let the power fail in the whole site."""
    for daemon in site.daemons:
        daemon.end()
    site.etcd.stop()


def put_back(site: LiveSite, copy: Path | None) -> None:
    """Put a copy of etcd's files in the place of them; None for no files at all."""
    site.etcd.stop()
    shutil.rmtree(data_of(site))
    if copy is not None:
        shutil.copytree(copy, data_of(site))


def is_well(name: str, index: int) -> Callable[[Status], bool]:
    """Return whether a status has the licence, freshly, with the alert, and above an index."""

    def well(status: Status) -> bool:
        licence, told = status["license"], "store-restored" in status["alerts"]
        return (licence["name"], licence["status"], status["stale"], told) == (name, "Valid", False, True) and (
            status["index"] > index
        )

    return well


def twinkey(site: LiveSite, label: str, *words: str | Path, code: int = 0) -> str:
    """Run a command on a node's console."""
    done = subprocess.run(
        [TWINKEY, *words, "--socket", f"{label}/coordinator.sock"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=site.site.folder,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_old_copy_under_running_nodes(site: LiveSite) -> None:
    """The leader writes the newest ledger back; the licence is never missing from an answer, and is not rolled back."""
    copy = copied(site)
    name, index = licensed(site)
    before = ledger(site)
    put_back(site, copy)
    shown = {site.status(label)["license"]["name"] for label in site.nodes}
    asyncio.run(site.etcd.start())

    def well(status: Status) -> bool:
        shown.add(status["license"]["name"])
        return is_well(name, index)(status)

    site.wait_for_all(well, BACK)
    assert shown == {name}
    assert ledger(site).installed == before.installed
    assert ledger(site).sequence > before.sequence
    told = twinkey(site, "a", "records", "verify")
    loss = ledger(site).restored[0]
    assert f"Records {loss.first} to {loss.end - 1} are missing (the store was restored from an old copy" in told
    assert "records are as they were written" in told


@pytest.mark.parametrize("lost", [False, True], ids=["older", "lost"])
def test_an_old_copy_or_none_after_everything_was_down(site: LiveSite, lost: bool) -> None:  # noqa: FBT001
    """The coordinators' disks bring back what etcd does not know any more, even all of it."""
    copy = None if lost else copied(site)
    name, index = licensed(site)
    before = ledger(site)
    stop(site)
    put_back(site, copy)
    site.launch()
    site.wait_for_all(is_well(name, index), BACK)
    assert ledger(site).installed == before.installed
    assert "as they were written" in twinkey(site, "b", "records", "verify")


def test_one_surviving_disk_is_enough(site: LiveSite) -> None:
    """Etcd is lost and node a has a new disk: what node b's disk knows comes back, whoever starts first."""
    name, index = licensed(site)
    stop(site)
    put_back(site, None)
    shutil.rmtree(site.nodes["a"].folder / "coordinator")
    asyncio.run(site.etcd.start())
    site.coordinators["a"].start()
    site.wait_for("a", lambda status: not status["stale"], BACK)
    site.launch()
    site.wait_for_all(is_well(name, index), BACK)


def test_a_backup_brings_back_a_site_that_lost_everything(site: LiveSite, tmp_path: Path) -> None:
    """Etcd and all disks are lost: the backup, and no licence anew; an older backup than the site is refused."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    twinkey(site, "a", "site", "backup", "--out", old)
    name, _ = licensed(site)
    twinkey(site, "b", "site", "backup", "--out", new)
    assert new.stat().st_mode & 0o777 == 0o600
    assert "sequence" in twinkey(site, "a", "site", "restore", old, "--yes", code=1)
    stop(site)
    put_back(site, None)
    for node in site.nodes.values():
        for daemon in "agent", "coordinator":
            shutil.rmtree(node.folder / daemon)
    site.start()
    assert site.status("a")["license"]["name"] != name
    assert "was restored" in twinkey(site, "b", "site", "restore", new, "--yes")
    site.wait_for_all(is_well(name, 0))
    assert "All" in twinkey(site, "a", "records", "verify")
    rows = json.loads(twinkey(site, "a", "records", "--json"))["inventories"]
    assert {"installed", "restored"} <= {row["action"] for row in rows}


def test_without_etcd_a_restarted_node_answers_from_its_disk(site: LiveSite) -> None:
    """Stale, with its age, and ready; a node may start; changes are refused; a damaged snapshot is not believed."""
    name, _ = licensed(site)
    site.etcd.stop()
    for label in site.nodes:
        site.coordinators[label].end()
    snapshot = site.nodes["b"].folder / "coordinator" / FILE
    snapshot.write_bytes(snapshot.read_bytes()[:-9])
    for label in site.nodes:
        site.coordinators[label].start()
    status = site.wait_for("a", lambda status: status["stale"], 10)
    assert (status["license"]["name"], status["license"]["status"], status["leader"]) == (name, "Valid", None)
    answer = site.get("a", "/v1/status")
    assert 1 <= int(answer.headers["Age"]) < 120  # it waits a second for etcd before it asks its disk
    assert site.get("a", "/readyz").status == 200
    assert json.loads(site.get("a", "/v1/licenses").body)["inventory"]["expired"] is False
    assert "stale" in twinkey(site, "a", "start-check")
    refused = site.call("a", "POST", "/v1/licenses/request-code")
    assert (refused.status, bool(refused.headers["Retry-After"])) == (503, True)
    eventually_sync(lambda: site.get("b", "/livez").status == 200, 10)
    assert site.get("b", "/v1/status").status == 503
    site.start()
    site.wait_for_all(lambda status: status["license"]["name"] == name)


def test_one_surviving_member_makes_a_new_cluster(tmp_path: Path) -> None:
    """Two of three members are lost for good: the third goes on alone with what it is sure of."""
    etcd = EtcdCluster(tmp_path)

    async def story() -> None:
        await etcd.start()
        store = EtcdStore(etcd.endpoints)
        await store.commit((), [Put(KEYS.ledger, b"kept")])
        for _ in range(5):  # a member that is forced drops the last write: it cannot know that a majority had it
            await store.commit((), [Put(KEYS.clock, b"last")])
        await store.close()
        one = etcd.leader()
        two, three = (member for member in etcd.members if member is not one)
        etcd.stop()
        for member in two, three:
            shutil.rmtree(member.data_dir)
        one.options = ("--force-new-cluster",)
        one.start()
        await one.ready()
        one.stop()
        one.options = ()
        one.start()
        await one.ready()
        etcd.etcdctl("member", "add", two.name, f"--peer-urls=http://127.0.0.1:{two.peer_port}")
        two.peers = {member.name: member.peer_port for member in (one, two)}
        two.options = ("--initial-cluster-state", "existing")
        two.start()
        await two.ready()
        store = EtcdStore((two.endpoint.removeprefix("http://"),))
        assert (await store.snapshot(KEYS.ledger)).entries[KEYS.ledger].value == b"kept"
        assert await store.voters() == 2
        await store.close()

    try:
        asyncio.run(story())
    finally:
        etcd.stop()

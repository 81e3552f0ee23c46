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

from cluster.values import decode_value
from coordinator.snapshot import FILE, from_bytes
from licensing.ledger import Ledger
from tests.integration.site.vendor import Vendor
from tests.site import KEYS, TWINKEY, LiveSite, Status, started
from tests.waiting import eventually_sync

BACK = 30.0
"""Seconds within which all is well again after everything was down."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LiveSite]:
    """Give a running site."""
    with started(LiveSite(tmp_path)) as site:
        yield site


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
    """Stale, whole, with its age, and ready; a node may start; changes are refused; a damaged file is not believed."""
    name, _ = licensed(site)
    inventory = json.loads(site.get("a", "/v1/licenses").body)["inventory"]
    code = site.get("a", "/v1/licenses/request-code").body
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
    assert json.loads(site.get("a", "/v1/licenses").body)["inventory"] == inventory
    assert site.get("a", "/v1/licenses/request-code").body == code
    assert "stale" in twinkey(site, "a", "start-check")
    refused = site.call("a", "POST", "/v1/licenses/request-code")
    assert (refused.status, bool(refused.headers["Retry-After"])) == (503, True)
    eventually_sync(lambda: site.get("b", "/livez").status == 200, 10)
    assert site.get("b", "/v1/status").status == 503
    site.start()
    site.wait_for_all(lambda status: status["license"]["name"] == name)

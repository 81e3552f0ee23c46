"""What an operator does by hand to a site's etcd, step by step as `docs/recovery.md` says, and nothing more."""

from __future__ import annotations

import re

from cluster.local_etcd import find_etcd
from tests.netsite.asking import ETCD_PORT
from tests.netsite.netsite import ADDRESSES, NetSite, etcd_command
from tests.waiting import eventually_sync

CAUGHT_UP = 20.0
"""Seconds within which a new member has all that the others have."""
STEADY = 15.0
"""Seconds within which etcd takes another member: it wants all others to have been there for five."""
HEALTHY = 15.0
MEMBER = re.compile(r"Member +([0-9a-f]+) ")
AS_ADDED = re.compile(r'ETCD_INITIAL_CLUSTER="([^"]+)"')


def etcdctl(site: NetSite, at: str, *words: str) -> str:
    """Run etcdctl on the machine of a member, which it asks; AssertionError where it fails."""
    endpoint = f"http://{ADDRESSES[at]}:{ETCD_PORT}"
    return site.hosts[at].run(str(find_etcd().parent / "etcdctl"), "--endpoints", endpoint, *words)


def healthy(site: NetSite, label: str) -> None:
    """Wait until a member is healthy."""
    eventually_sync(lambda: etcdctl(site, label, "endpoint", "health") or True, HEALTHY)


def add_member(site: NetSite, label: str, at: str) -> None:
    """Add a member, whose data directory is empty, to the cluster that `at` belongs to."""
    words = ("member", "add", label, "--learner", f"--peer-urls=http://{ADDRESSES[label]}:2380")
    added = eventually_sync(lambda: etcdctl(site, at, *words), STEADY)
    member, initial = MEMBER.search(added), AS_ADDED.search(added)
    assert member, added
    assert initial, added
    command = etcd_command(label, site.site.folder)
    place = command.index("--initial-cluster") + 1
    command[place : place + 1] = [initial[1], "--initial-cluster-state", "existing"]
    etcd = site.members[label].etcd
    etcd.command = command
    etcd.start()
    eventually_sync(lambda: etcdctl(site, at, "member", "promote", member[1]), CAUGHT_UP)
    healthy(site, label)


def remove_member(site: NetSite, label: str, at: str) -> None:
    """Remove a member that is lost from the cluster that `at` belongs to."""
    (line,) = (line for line in etcdctl(site, at, "member", "list").splitlines() if f", {label}, " in line)
    etcdctl(site, at, "member", "remove", line.partition(",")[0])


def make_new_cluster(site: NetSite, label: str) -> None:
    """Make a new cluster of one out of what the only member that is left has on its disk."""
    machine, peer = site.members[label], f"http://{ADDRESSES[label]}:2380"
    machine.etcd.stop()
    data = machine.folder / "etcd" / "data"
    kept = data.with_name("kept")
    machine.host.run("mv", str(data), str(kept))
    restore = ("snapshot", "restore", str(kept / "member" / "snap" / "db"), "--skip-hash-check")
    identity = ("--name", label, "--initial-cluster", f"{label}={peer}", "--initial-advertise-peer-urls", peer)
    etcdctl(site, label, *restore, *identity, "--data-dir", str(data))
    machine.etcd.start()
    healthy(site, label)

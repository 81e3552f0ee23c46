"""The site of namespaces itself: what its acts do, and that it leaves no trace."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.netsite.namespaces import Host
from tests.netsite.network import Network
from tests.waiting import eventually_sync

OWN_NETWORK = Path("/proc/thread-self/ns/net")


def reaches(host: Host, address: str) -> bool:
    """Whether a host gets an answer from an address."""
    try:
        with host.network_entered(), socket.create_connection((address, 9), 0.3):
            return True
    except ConnectionRefusedError:  # nobody listens, and says so
        return True
    except OSError:
        return False


def test_what_is_cut_is_lost_both_ways_and_comes_back() -> None:
    """A cut loses what passes between a pair and nothing else; a pulled cable loses all; healing brings all back."""
    addresses = {"a": "10.77.0.1", "b": "10.77.0.2", "w": "10.77.0.3"}
    hosts = {name: Host(name) for name in addresses}
    network = Network(hosts, addresses)

    def reached() -> set[str]:
        return {f"{one}{other}" for one in hosts for other in hosts if reaches(hosts[one], addresses[other])}

    def reach(wanted: set[str]) -> None:
        eventually_sync(lambda: reached() == wanted, 10.0)

    everything = {one + other for one in hosts for other in hosts}
    reach(everything)
    network.cut("a", "b")
    reach(everything - {"ab", "ba"})
    network.heal()
    network.isolate("w", but=["b"])
    reach(everything - {"aw", "wa"})
    network.heal()
    network.split("a", "b w")
    reach(everything - {"ab", "ba", "aw", "wa"})
    network.heal()
    network.port_down("b")
    reach(everything - {"ab", "ba", "bw", "wb"})
    network.heal()
    reach(everything)
    network.close()
    for host in hosts.values():
        host.close()


def test_a_host_leaves_no_trace(tmp_path: Path) -> None:
    """Its disk and its network are its own: this machine sees neither, also while the host is there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    before = OWN_NETWORK.readlink()
    host = Host("a", {disk: 1 << 16})
    host.run("dd", "if=/dev/zero", f"of={disk / 'file'}", "bs=64k", "status=none", check=False)
    assert host.run("stat", "-c", "%s", str(disk / "file")).strip() == str(1 << 16)
    assert list(disk.iterdir()) == []
    assert str(disk) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    with host.network_entered():
        assert OWN_NETWORK.readlink() != before
    assert OWN_NETWORK.readlink() == before
    host.close()

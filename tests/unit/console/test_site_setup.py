"""`twinkey site init`, `join` and `renew` as somebody at a console meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.main import main
from console.site_interface import interface_with
from tests.unit.console.founding import KEYRING

TWO = ("--node", "a=203.0.113.1", "--node", "b=203.0.113.2")
UUID = "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01"
NODES = (*TWO, "--witness", "w=203.0.113.3", "--virtual-ip", "203.0.113.10")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a folder with the vendor's keyring."""
    (tmp_path / "keyring.json").write_bytes(KEYRING)
    return tmp_path


def site(*arguments: str | Path) -> Result:
    """Run `twinkey site`."""
    return CliRunner().invoke(main, ["site", *map(str, arguments)], catch_exceptions=False)


def init(desk: Path, *more: str, nodes: tuple[str, ...] = NODES) -> Result:
    """Found a site in this folder's `a`."""
    return site("init", "--site-id", "acme", *nodes, "--keyring", desk / "keyring.json", "--etc", desk / "a", *more)


def test_founding_tells_what_it_wrote_and_what_to_do(desk: Path) -> None:
    """Every file has its line, and the commands lead to a site that runs."""
    told = init(desk)
    assert told.exit_code == 0
    assert "This machine is a of the site acme." in told.output
    assert "authority/ca.key          the key of the site's authority" in told.output
    assert "authority/join-b.tar      the files of b, with private keys" in told.output
    steps = [
        *(f"scp {desk}/a/authority/join-b.tar root@203.0.113.2:/root/", "twinkey site join /root/join-b.tar"),
        *("tar -xf /root/join-w.tar -C /", "systemctl restart etcd", "twinkey site roles"),
        *("systemctl restart twinkey-coordinator twinkey-agent", "systemctl restart keepalived", "twinkey status"),
    ]
    places = [told.output.index(step) for step in steps]
    assert places == sorted(places)


def test_no_secret_is_told(desk: Path) -> None:
    """Neither a token nor a key is printed, in words or in JSON."""
    told = init(desk).output + init(desk, "--json").output
    for name in ("token", "platform.token"):
        assert (desk / "a" / name).read_text(encoding="ascii").strip() not in told
    assert "PRIVATE" not in told


def test_founding_again_says_that_all_is_there(desk: Path) -> None:
    """And what to do next, since that may not be done yet."""
    init(desk)
    told = init(desk)
    assert told.exit_code == 0
    assert "Everything is there; nothing was changed." in told.output
    assert "Written" not in told.output
    assert "twinkey site roles" in told.output


def test_machines_are_told_in_json(desk: Path) -> None:
    """A script finds the uuids, the bundles and what became of the files."""
    told = json.loads(init(desk, "--json").output)
    assert set(told["nodes"]) == {"a", "b"}
    assert told["bundles"] == {name: f"{desk}/a/authority/join-{name}.tar" for name in ("b", "w")}
    assert "authority/site.json" in told["written"]
    assert told["certificatesEnd"].endswith("Z")
    assert json.loads(init(desk, "--json").output)["written"] == []


def test_a_second_node_joins_and_is_told_what_is_next(desk: Path) -> None:
    """It gets files, keepalived's interface is asked for where it is unknown, and it does not give the roles."""
    init(desk)
    told = site("join", desk / "a/authority/join-b.tar", "--etc", desk / "b")
    assert told.exit_code == 0
    assert "This machine is b of the site acme." in told.output
    assert "Set the interface in keepalived.conf" in told.output
    assert "When `twinkey site roles` has been run on a, start Twinkey" in told.output


def test_an_interface_can_be_named(desk: Path) -> None:
    """Then that is what keepalived is told."""
    init(desk, "--interface", "bond0")
    assert "interface bond0" in (desk / "a/keepalived.conf").read_text(encoding="utf-8")


def test_an_interface_that_comes_too_late_is_told(desk: Path) -> None:
    """Keepalived's settings stay as they are, and it is said what is not in them."""
    init(desk, "--interface", "bond0")
    told = init(desk, "--interface", "bond1")
    assert told.exit_code == 0
    assert "keepalived.conf was there and stays, without the interface bond1" in told.output
    assert "without the interface" not in init(desk, "--interface", "bond0").output


def test_a_machine_that_replaces_another_is_told_to_start(desk: Path) -> None:
    """Also where it had joined before without saying so."""
    init(desk)
    bundle = desk / "a/authority/join-b.tar"
    site("join", bundle, "--etc", desk / "b")
    told = site("join", "--replacing", bundle, "--etc", desk / "b")
    assert told.exit_code == 0
    assert "etcd/etcd.env" in told.output
    assert "systemctl restart etcd" in told.output


def test_a_site_of_one_node_is_told_of_no_other(desk: Path) -> None:
    """There is nobody to join, and nothing about a witness or a virtual IP."""
    told = init(desk, nodes=("--node", "a=203.0.113.1"))
    assert told.exit_code == 0
    for word in ("scp", "keepalived", "both nodes", "witness"):
        assert word not in told.output


def test_uuids_are_taken_as_the_platform_has_them(desk: Path) -> None:
    """In whichever way they are written."""
    told = json.loads(init(desk, "--uuid", "b=5A5B9F0E8F0E4C569F3C0D6A3B3F3A01", "--json").output)
    assert told["nodes"]["b"] == UUID


def test_two_nodes_without_a_witness_are_told_why(desk: Path) -> None:
    """In one sentence, with the option that is missing."""
    told = init(desk, nodes=TWO)
    assert told.exit_code == 1
    assert "of two members none may fail" in told.output
    assert "--witness NAME=ADDRESS" in told.output
    assert not (desk / "a").exists()


def test_another_site_is_refused_with_the_way_out(desk: Path) -> None:
    """Each difference has its line."""
    init(desk)
    told = init(desk, "--bus", "simulated:/keys")
    assert told.exit_code == 1
    assert "  --bus was usb, and is simulated:/keys now\n" in told.output
    assert "docs/install.md" in told.output
    assert f"move {desk}/a away." in told.output


def test_a_node_with_two_uuids_is_refused(desk: Path) -> None:
    """Neither is taken silently, and nothing is written."""
    uuids = ("--uuid", f"a={UUID}", "--uuid", f"a={UUID.replace('5', '6')}")
    told = init(desk, *uuids)
    assert told.exit_code == 1
    assert "--uuid names a twice" in told.output
    assert not (desk / "a").exists()


def test_certificates_are_renewed_and_carried(desk: Path) -> None:
    """The commands that bring what was renewed to the other machines are told."""
    init(desk)
    told = site("renew", "--etc", desk / "a")
    assert told.exit_code == 0
    assert "scp " in told.output
    assert "systemctl reload twinkey-coordinator" in told.output
    assert "authority/join-w.tar      the files of w, with private keys" in told.output


def test_what_is_no_bundle_is_refused(desk: Path) -> None:
    """And it is said which file is one."""
    told = site("join", desk / "keyring.json", "--etc", desk / "b")
    assert told.exit_code == 1
    assert "no bundle of a site" in told.output


def test_files_for_good_are_written_on_their_own_machine_only(desk: Path) -> None:
    """Without --etc the machine must have the address; this one has none of the documentation's."""
    told = site("init", "--site-id", "acme", *NODES, "--keyring", desk / "keyring.json")
    assert told.exit_code == 1
    assert "203.0.113.1, the address of a, is none of this machine's" in told.output


def test_roles_are_given_where_the_site_was_founded(desk: Path) -> None:
    """Elsewhere there is no root of etcd, and that is told."""
    init(desk)
    site("join", desk / "a/authority/join-b.tar", "--etc", desk / "b")
    told = site("roles", "--etc", desk / "b")
    assert told.exit_code == 1
    assert "no site was founded here" in told.output


def test_roles_wait_for_etcd(desk: Path) -> None:
    """Where none answers it is said what to start."""
    init(desk)
    told = site("roles", "--etc", desk / "a", "--endpoints", "127.0.0.1:1", "--wait", "0")
    assert told.exit_code == 1
    assert "Start etcd on two of the site's machines" in told.output


def test_the_interface_of_an_address_is_found() -> None:
    """The loopback's is lo, and an address that nobody has is on none."""
    assert interface_with("127.0.0.1") == "lo"
    assert interface_with("203.0.113.1") is None
    assert interface_with("2001:db8::1") is None

"""The files of a founded site: which there are, who may read them, and that doing it again changes nothing."""

from __future__ import annotations

import datetime as dt
import grp
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from agent.settings import AgentSettings
from cluster.settings import read_settings
from console.demo_keys import keyring_of
from console.site_bundle import BadBundle, unpack
from console.site_found import Refusal, found, join, renew
from console.site_plan import Machine, Ports
from coordinator.settings import CoordinatorSettings
from coordinator.tokens import by_hash, read_tokens, token_of
from tests.unit.console.founding import ALONE, KEYRING, NOW, WISH, A, everything, found_in

if TYPE_CHECKING:
    from console.site_plan import Wish

TAR = "/usr/bin/tar"
LATER = NOW + dt.timedelta(days=300)
SECRETS = {
    "authority/ca.key": 0o600,
    "authority/root.key": 0o600,
    "authority/site.json": 0o600,
    "authority/join-b.tar": 0o600,
    "authority/join-w.tar": 0o600,
    "token": 0o600,
    "platform.token": 0o600,
    "tokens.json": 0o640,
    "agent/etcd.key": 0o640,
    "coordinator/etcd.key": 0o640,
    "coordinator/http.key": 0o640,
    "etcd/member.key": 0o640,
}
PUBLIC = {
    *("agent.toml", "coordinator.toml", "keyring.json", "machine.json", "ca.pem", "keepalived.conf"),
    *("agent/etcd.pem", "coordinator/etcd.pem", "coordinator/http.pem", "etcd/member.pem", "etcd/etcd.env"),
    "authority/root.pem",
}


FOLDERS = {"": 0o755, "agent": 0o755, "authority": 0o700, "coordinator": 0o755, "etcd": 0o755}


def folders_of(etc: Path) -> dict[str, int]:
    """Return the modes of a folder of settings and of the folders in it, by their names."""
    inside = {path.name: path for path in etc.iterdir() if path.is_dir()}
    return {name: path.stat().st_mode & 0o777 for name, path in ({"": etc} | inside).items()}


def joined(tmp_path: Path, name: str, *, now: dt.datetime = NOW, replacing: bool = False) -> Path:
    """Let a machine join with the bundle that was made for it; return where its files are."""
    bundle = (tmp_path / f"a/authority/join-{name}.tar").read_bytes()
    join(bundle, tmp_path / name, now, "ens3", replacing=replacing)
    return tmp_path / name


def certificate(file: Path) -> x509.Certificate:
    """Read a certificate."""
    return x509.load_pem_x509_certificate(file.read_bytes())


def user_of(file: Path) -> list[object]:
    """Return the common names in a certificate: whom etcd takes its bearer for."""
    return [name.value for name in certificate(file).subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def environment(etc: Path) -> dict[str, str]:
    """Return what etcd's settings say."""
    lines = (etc / "etcd/etcd.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- what is written -----------------------------------------------------------------------------------------------


def test_all_files_are_there_and_secrets_are_kept(tmp_path: Path) -> None:
    """Exactly these files are written; what is secret is readable for root, or for the group of who needs it."""
    found_in(tmp_path / "a")
    modes = {path: mode & 0o7777 for path, (_, mode, _) in everything(tmp_path / "a").items()}
    assert modes == SECRETS | dict.fromkeys(PUBLIC, 0o644)
    assert (tmp_path / "a/authority").stat().st_mode & 0o7777 == 0o700


def test_private_keys_are_in_no_other_file(tmp_path: Path) -> None:
    """Neither a key nor a token in clear is in a file that others may read."""
    found_in(tmp_path / "a")
    files = everything(tmp_path / "a")
    tokens = [files[name][0].strip() for name in ("token", "platform.token")]
    for path in PUBLIC:
        assert b"PRIVATE KEY" not in files[path][0]
        assert not any(token in files[path][0] for token in tokens)


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_daemons_take_their_settings(tmp_path: Path, name: str) -> None:
    """Both daemons of both nodes read what was written for them, and find themselves and each other in it."""
    plan = found_in(tmp_path / "a").here.plan
    etc = tmp_path / "a" if name == "a" else joined(tmp_path, name)
    agent = read_settings(etc / "agent.toml", AgentSettings, {})
    coordinator = read_settings(etc / "coordinator.toml", CoordinatorSettings, {})
    node = plan.machine(name)
    assert agent.node == coordinator.node == node.uuid
    assert coordinator.members == plan.uuids
    assert agent.etcd.endpoints == coordinator.etcd.endpoints == plan.endpoints(node)
    assert agent.virtual_ip == "203.0.113.10"
    assert coordinator.tls.pair == (
        Path("/etc/twinkey/coordinator/http.pem"),
        Path("/etc/twinkey/coordinator/http.key"),
    )
    assert agent.coordinator == f"https://127.0.0.1:{coordinator.address[1]}"
    assert agent.coordinator_ca == Path("/etc/twinkey/ca.pem")
    for named in (agent.etcd.cert, agent.etcd.key, coordinator.etcd.cert, coordinator.etcd.key, *coordinator.tls.pair):
        assert named
        assert (etc / named.relative_to("/etc/twinkey")).exists()


def test_a_certificate_says_who_its_bearer_is(tmp_path: Path) -> None:
    """A daemon is its own user of etcd; members and the HTTPS server are nobody."""
    plan = found_in(tmp_path / "a").here.plan
    joined(tmp_path, "b")
    for node in plan.nodes:
        etc = tmp_path / node.name
        assert user_of(etc / "agent/etcd.pem") == [f"agent-{node.uuid}"]
        assert user_of(etc / "coordinator/etcd.pem") == [f"coordinator-{node.uuid}"]
        assert user_of(etc / "etcd/member.pem") == user_of(etc / "coordinator/http.pem") == []
    assert user_of(tmp_path / "a/authority/root.pem") == ["root"]


def test_the_https_certificate_is_for_all_that_the_node_is_called(tmp_path: Path) -> None:
    """Its name, its address, this very machine, and the virtual IP; the member's is not for that."""
    found_in(tmp_path / "a")
    http, member = (
        certificate(tmp_path / f"a/{path}.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        for path in ("coordinator/http", "etcd/member")
    )
    assert http.get_values_for_type(x509.DNSName) == ["a", "localhost"]
    addresses = set(map(str, http.get_values_for_type(x509.IPAddress)))
    assert addresses == {"203.0.113.1", "127.0.0.1", "::1", "203.0.113.10"}
    assert "203.0.113.10" not in map(str, member.get_values_for_type(x509.IPAddress))


def test_certificates_last_a_year_and_their_authority_ten(tmp_path: Path) -> None:
    """What is told of their end is when the first of them ends."""
    done = found_in(tmp_path / "a")
    assert done.ends == NOW + dt.timedelta(days=397)
    assert done.authority_ends == NOW + dt.timedelta(days=3650)
    for path in ("coordinator/http", "agent/etcd", "etcd/member"):
        assert certificate(tmp_path / f"a/{path}.pem").not_valid_after_utc == done.ends


def test_certificates_are_good_for_openssl(tmp_path: Path) -> None:
    """Each is signed by the authority, and has its own key; strictly judged."""
    found_in(tmp_path / "a", now=dt.datetime.now(dt.UTC))
    for path in ("authority/root", "agent/etcd", "coordinator/etcd", "coordinator/http", "etcd/member"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(tmp_path / f"a/{path}.pem", tmp_path / f"a/{path}.key")
        command = ["openssl", "verify", "-x509_strict", "-CAfile", f"{tmp_path}/a/ca.pem", f"{tmp_path}/a/{path}.pem"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_tokens_are_known_to_both_coordinators(tmp_path: Path) -> None:
    """The hashes are those of the two tokens in clear, the same on both nodes; the platform's changes no licence."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    for name in ("a", "b"):
        known = by_hash(read_tokens(tmp_path / name / "tokens.json"))
        admin, platform = (
            token_of((tmp_path / name / file).read_text(encoding="ascii"), known)
            for file in ("token", "platform.token")
        )
        assert admin
        assert platform
        assert admin.scopes == ("read", "usage", "admin")
        assert platform.scopes == ("read", "usage")
    assert (tmp_path / "a/tokens.json").read_bytes() == (tmp_path / "b/tokens.json").read_bytes()


def test_etcd_is_told_of_all_members(tmp_path: Path) -> None:
    """Each member has its own name and address and the same picture of the cluster, and wants certificates."""
    plan = found_in(tmp_path / "a").here.plan
    for machine in plan.machines:
        etc = tmp_path / "a" if machine.name == "a" else joined(tmp_path, machine.name)
        env = environment(etc)
        assert env["ETCD_NAME"] == machine.name
        assert env["ETCD_LISTEN_CLIENT_URLS"] == f"https://{machine.address}:2379"
        assert (
            env["ETCD_INITIAL_CLUSTER"]
            == "a=https://203.0.113.1:2380,b=https://203.0.113.2:2380,w=https://203.0.113.3:2380"
        )
        assert env["ETCD_INITIAL_CLUSTER_STATE"] == "new"
        assert env["ETCD_CLIENT_CERT_AUTH"] == env["ETCD_PEER_CLIENT_CERT_AUTH"] == "true"


def test_keepalived_gets_this_sites_addresses(tmp_path: Path) -> None:
    """Both nodes have the documented settings with their own addresses, and nothing of the example is left."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    for name, own, peer in (("a", "203.0.113.1", "203.0.113.2"), ("b", "203.0.113.2", "203.0.113.1")):
        text = (tmp_path / name / "keepalived.conf").read_text(encoding="utf-8")
        assert re.search(rf"unicast_src_ip {own}\n  unicast_peer {{\n    {peer}\n", text)
        assert "203.0.113.10/32 dev ens3\n" in text
        assert "eth0" not in text
        assert "/var/lib/twinkey/keepalived/track" in text


def test_a_site_may_have_ipv6_addresses(tmp_path: Path) -> None:
    """They are written in brackets where a port follows, and the node's own coordinator is asked over IPv6."""
    nodes = (Machine("a", "2001:db8::1"), Machine("b", "2001:db8::2"))
    found_in(tmp_path / "a", replace(WISH, nodes=nodes, witness=Machine("w", "2001:db8::3"), virtual_ip="2001:db8::9"))
    agent = read_settings(tmp_path / "a/agent.toml", AgentSettings, {})
    assert agent.coordinator == "https://[::1]:8441"
    assert agent.etcd.endpoints[0] == "[2001:db8::1]:2379"
    assert read_settings(tmp_path / "a/coordinator.toml", CoordinatorSettings, {}).listen == "[::]:8441"
    assert environment(tmp_path / "a")["ETCD_LISTEN_PEER_URLS"] == "https://[2001:db8::1]:2380"
    assert "2001:db8::9/128 dev ens3" in (tmp_path / "a/keepalived.conf").read_text(encoding="utf-8")


def test_a_site_of_one_node_needs_nobody(tmp_path: Path) -> None:
    """It has one etcd member, no virtual IP, no keepalived and no bundles."""
    done = found_in(tmp_path / "a", ALONE)
    assert done.bundles == {}
    assert not (tmp_path / "a/keepalived.conf").exists()
    assert environment(tmp_path / "a")["ETCD_INITIAL_CLUSTER"] == "a=https://203.0.113.1:2380"
    assert read_settings(tmp_path / "a/agent.toml", AgentSettings, {}).virtual_ip == ""


def test_a_witness_gets_nothing_of_the_nodes(tmp_path: Path) -> None:
    """It has its etcd's files, and no token and no certificate of a daemon."""
    found_in(tmp_path / "a")
    etc = joined(tmp_path, "w")
    assert set(everything(etc)) == {"machine.json", "ca.pem", "etcd/etcd.env", "etcd/member.pem", "etcd/member.key"}


def test_no_other_machine_gets_the_authority(tmp_path: Path) -> None:
    """Who has the second node can make no certificates."""
    found_in(tmp_path / "a")
    assert not (joined(tmp_path, "b") / "authority").exists()


def test_keys_belong_to_the_group_that_needs_them(tmp_path: Path) -> None:
    """Where a group is on this machine root gives its files to it, and where it is not that is told."""
    done = found_in(tmp_path / "a")
    if os.geteuid() != 0:
        assert not done.outcome.missing_groups
        return
    for group, path in (("etcd", "etcd/member.key"), ("twinkey-agent", "agent/etcd.key")):
        try:
            known = grp.getgrnam(group).gr_gid
        except KeyError:
            assert group in done.outcome.missing_groups
        else:
            assert (tmp_path / "a" / path).stat().st_gid == known
            assert group not in done.outcome.missing_groups
    assert (tmp_path / "a/authority/ca.key").stat().st_gid == 0


def test_a_bundle_can_be_unpacked_without_twinkey(tmp_path: Path) -> None:
    """Tar puts the files and etcd's unit where they belong, with the modes that they need."""
    found_in(tmp_path / "a")
    root = tmp_path / "root"
    root.mkdir()
    bundle = tmp_path / "a/authority/join-w.tar"
    subprocess.run([TAR, "-xpf", bundle, "-C", root, "--no-same-owner"], check=True, capture_output=True)
    assert environment(root / "etc/twinkey")["ETCD_NAME"] == "w"
    assert (root / "etc/twinkey/etcd/member.key").stat().st_mode & 0o777 == 0o640
    unit = (root / "etc/systemd/system/etcd.service.d/twinkey.conf").read_text(encoding="utf-8")
    assert "EnvironmentFile=/etc/twinkey/etcd/etcd.env" in unit
    listed = subprocess.run([TAR, "-tvf", bundle], check=True, capture_output=True, text=True).stdout
    assert re.search(r"^-rw-r----- root/etcd .* etc/twinkey/etcd/member.key$", listed, re.MULTILINE)


# --- once more -----------------------------------------------------------------------------------------------------


def test_founding_again_changes_nothing(tmp_path: Path) -> None:
    """All files are what they were, down to their times, and that is told."""
    found_in(tmp_path / "a")
    before = everything(tmp_path / "a")
    done = found_in(tmp_path / "a", now=LATER)
    assert not done.outcome.changed
    assert everything(tmp_path / "a") == before
    assert set(done.outcome.kept) == set(before)


def test_joining_again_changes_nothing(tmp_path: Path) -> None:
    """The same bundle finds everything there."""
    found_in(tmp_path / "a")
    before = everything(joined(tmp_path, "b"))
    assert everything(joined(tmp_path, "b")) == before


@pytest.mark.parametrize(
    "lost", sorted({*SECRETS, *PUBLIC} - {"authority/site.json", "authority/ca.key", "tokens.json"})
)
def test_what_is_missing_is_made_again(tmp_path: Path, lost: str) -> None:
    """A file that was not written yet, or is gone, is there afterwards; the identity of the site stays."""
    found_in(tmp_path / "a")
    before = everything(tmp_path / "a")
    (tmp_path / "a" / lost).unlink()
    found_in(tmp_path / "a")
    after = everything(tmp_path / "a")
    assert after.keys() == before.keys() - ({lost} if lost in {"token", "platform.token"} else set())
    assert after["machine.json"][0] == before["machine.json"][0]
    for pair in ("agent/etcd", "coordinator/etcd", "coordinator/http", "etcd/member", "authority/root"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(tmp_path / f"a/{pair}.pem", tmp_path / f"a/{pair}.key")


def written_in_order(folder: Path) -> list[str]:
    """Return a machine's files in the order in which they were written."""
    return [path for path, (_, _, time) in sorted(everything(folder).items(), key=lambda item: item[1][2])]


@pytest.mark.parametrize("written", range(len(SECRETS) + len(PUBLIC)))
def test_an_interrupted_founding_is_finished(tmp_path: Path, written: int) -> None:
    """Whatever was written when it stopped, the same command makes the same site of it."""
    plan = found_in(tmp_path / "a").here.plan
    for path in written_in_order(tmp_path / "a")[written:]:
        (tmp_path / "a" / path).unlink()
    again = found_in(tmp_path / "a").here.plan
    assert set(everything(tmp_path / "a")) == set(SECRETS) | PUBLIC
    if written:
        assert again == plan
    known = by_hash(read_tokens(tmp_path / "a/tokens.json"))
    assert token_of((tmp_path / "a/token").read_text(encoding="ascii"), known)


def test_a_key_that_others_may_read_is_closed(tmp_path: Path) -> None:
    """Rights that are wrong are put right, and told."""
    found_in(tmp_path / "a")
    (tmp_path / "a/etcd/member.key").chmod(0o644)
    done = found_in(tmp_path / "a")
    assert done.outcome.put_right == ["etcd/member.key"]
    assert (tmp_path / "a/etcd/member.key").stat().st_mode & 0o777 == 0o640


def test_settings_that_were_changed_stay(tmp_path: Path) -> None:
    """What an operator wrote into a settings file is left alone by founding, renewing and joining."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    for name in ("a", "b"):
        with (tmp_path / name / "agent.toml").open("a", encoding="utf-8") as settings:
            settings.write("# changed\n")
    found_in(tmp_path / "a")
    renew(tmp_path / "a", LATER)
    joined(tmp_path, "b", now=LATER)
    for name in ("a", "b"):
        assert (tmp_path / name / "agent.toml").read_text(encoding="utf-8").endswith("# changed\n")


def test_tokens_that_were_taken_away_do_not_come_back(tmp_path: Path) -> None:
    """An operator who removes the tokens in clear, and writes hashes of others, keeps those."""
    found_in(tmp_path / "a")
    (tmp_path / "a/token").unlink()
    hashes = {"tokens": [{"name": "ours", "sha256": hashlib.sha256(b"x").hexdigest(), "scopes": ["admin"]}]}
    (tmp_path / "a/tokens.json").write_text(json.dumps(hashes), encoding="utf-8")
    found_in(tmp_path / "a")
    renew(tmp_path / "a", LATER)
    assert not (tmp_path / "a/token").exists()
    assert json.loads((joined(tmp_path, "b", now=LATER) / "tokens.json").read_bytes()) == hashes


# --- renewing ------------------------------------------------------------------------------------------------------


def test_renewing_replaces_certificates_and_nothing_else(tmp_path: Path) -> None:
    """Every certificate with its key is a new one; the authority, settings and tokens are the same."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    before = {name: everything(tmp_path / name) for name in ("a", "b")}
    done = renew(tmp_path / "a", LATER)
    joined(tmp_path, "b", now=LATER)
    assert done.ends == LATER + dt.timedelta(days=397)
    for name in ("a", "b"):
        changed = {path for path, (data, _, _) in everything(tmp_path / name).items() if data != before[name][path][0]}
        pairs = ["agent/etcd", "coordinator/etcd", "coordinator/http", "etcd/member"]
        expected = {f"{pair}.{kind}" for pair in pairs for kind in ("pem", "key")}
        if name == "a":
            expected |= {f"authority/{file}" for file in ("root.pem", "root.key", "join-b.tar", "join-w.tar")}
        assert changed == expected


def test_an_old_bundle_does_not_bring_old_certificates_back(tmp_path: Path) -> None:
    """A bundle from before the renewal finds newer certificates, and leaves them."""
    found_in(tmp_path / "a")
    old = (tmp_path / "a/authority/join-b.tar").read_bytes()
    renew(tmp_path / "a", LATER)
    before = everything(joined(tmp_path, "b", now=LATER))
    assert not join(old, tmp_path / "b", LATER, "ens3").outcome.changed
    assert everything(tmp_path / "b") == before


def test_a_half_renewed_certificate_is_whole_afterwards(tmp_path: Path) -> None:
    """Where only the key had been replaced when it stopped, the same bundle brings the certificate."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    renew(tmp_path / "a", LATER)
    (pair,) = (pair for pair in unpack((tmp_path / "a/authority/join-b.tar").read_bytes()).pairs if "http" in pair.path)
    (tmp_path / "b/coordinator/http.key").write_bytes(pair.pair.key)
    joined(tmp_path, "b", now=LATER)
    assert (tmp_path / "b/coordinator/http.pem").read_bytes() == pair.pair.certificate


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    """In the authority's last year what it signs ends with it, and renewing says so."""
    found_in(tmp_path / "a")
    done = renew(tmp_path / "a", NOW + dt.timedelta(days=3600))
    assert done.ends == done.authority_ends == NOW + dt.timedelta(days=3650)


# --- replacing -----------------------------------------------------------------------------------------------------


def test_a_machine_that_replaces_another_joins_a_cluster_that_runs(tmp_path: Path) -> None:
    """Its etcd starts no cluster of its own, and the node is who it was."""
    found_in(tmp_path / "a")
    etc = joined(tmp_path, "b", replacing=True)
    assert environment(etc)["ETCD_INITIAL_CLUSTER_STATE"] == "existing"
    assert environment(etc)["ETCD_NAME"] == "b"


def test_a_machine_that_joined_as_a_new_one_can_replace_another(tmp_path: Path) -> None:
    """Joining again with `replacing` changes that in etcd's settings, and nothing else of what is in them."""
    found_in(tmp_path / "a")
    settings = joined(tmp_path, "b") / "etcd/etcd.env"
    with settings.open("a", encoding="utf-8") as env:
        env.write("ETCD_QUOTA_BACKEND_BYTES=1\n")
    before = environment(tmp_path / "b")
    joined(tmp_path, "b", replacing=True)
    assert environment(tmp_path / "b") == before | {"ETCD_INITIAL_CLUSTER_STATE": "existing"}
    after = everything(tmp_path / "b")
    assert everything(joined(tmp_path, "b", replacing=True)) == after


# --- what is refused -----------------------------------------------------------------------------------------------


def refused(tmp_path: Path, wish: Wish, told: str, name: str = "a") -> None:
    """Expect that founding is refused with these words, and that no file is changed by it."""
    before = everything(tmp_path / name)
    with pytest.raises(Refusal, match=told):
        found_in(tmp_path / name, wish)
    assert everything(tmp_path / name) == before


def test_another_site_is_not_founded_over_one(tmp_path: Path) -> None:
    """Every difference is told, and the way out."""
    found_in(tmp_path / "a")
    other = replace(WISH, site_id="other", nodes=(A, Machine("b", "203.0.113.7")), ports=Ports(http=443))
    refused(tmp_path, other, r"--site-id was acme(.|\n)*b=203.0.113.7(.|\n)*the ports(.|\n)*move .* away")


def test_a_machine_that_joined_founds_nothing(tmp_path: Path) -> None:
    """It is told of which site it is, and where that was founded."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    refused(tmp_path, WISH, "this machine is b of the site acme, which was founded on a", "b")


@pytest.mark.parametrize("left", ["agent.toml", "ca.pem", "etcd/member.key", "tokens.json", "keyring.json"])
def test_half_a_site_is_not_built_upon(tmp_path: Path, left: str) -> None:
    """Files of nobody knows which site are named, and left alone."""
    (tmp_path / "a" / left).parent.mkdir(parents=True)
    (tmp_path / "a" / left).write_bytes(b"of somebody")
    refused(tmp_path, WISH, rf"{left} is there, and nothing says of which site")


def test_the_keyring_may_be_there_already(tmp_path: Path) -> None:
    """Who has put the vendor's keyring in its place has done nothing wrong."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/keyring.json").write_bytes(KEYRING)
    assert "keyring.json" in found_in(tmp_path / "a").outcome.kept


def test_a_keyring_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(Refusal, match="keyring cannot be used"):
        found(WISH, b"{}", tmp_path / "a", NOW, None)
    assert not (tmp_path / "a").exists()


def test_a_keyring_that_is_none_does_not_finish_a_site(tmp_path: Path) -> None:
    """It is judged whenever it would be written, also where founding was interrupted before that."""
    found_in(tmp_path / "a")
    (tmp_path / "a/keyring.json").unlink()
    before = everything(tmp_path / "a")
    with pytest.raises(Refusal, match="keyring cannot be used"):
        found(WISH, b"{}", tmp_path / "a", NOW, None)
    assert everything(tmp_path / "a") == before


def test_another_keyring_is_not_passed_over(tmp_path: Path) -> None:
    """The one in force stays, and how to change it is told."""
    found_in(tmp_path / "a")
    before = everything(tmp_path / "a")
    other = keyring_of(Ed25519PrivateKey.generate(), NOW)
    with pytest.raises(Refusal, match=r"keyring.json, which stays.* on both nodes and run"):
        found(WISH, other, tmp_path / "a", NOW, None)
    assert everything(tmp_path / "a") == before


def test_another_interface_is_not_passed_over(tmp_path: Path) -> None:
    """Keepalived's settings stay, and that they name another interface is known."""
    assert found_in(tmp_path / "a").interface_told
    assert found_in(tmp_path / "a").interface_told
    done = found(WISH, KEYRING, tmp_path / "a", NOW, "ens4")
    assert not done.outcome.changed
    assert not done.interface_told


def test_tokens_that_the_other_node_does_not_know_are_not_made(tmp_path: Path) -> None:
    """Where they were lost the other node still has them; from the bundle they can be had as it is told."""
    found_in(tmp_path / "a")
    names = ("tokens.json", "token", "platform.token")
    before = {name: (tmp_path / "a" / name).read_bytes() for name in names}
    for name in names:
        (tmp_path / "a" / name).unlink()
    left = everything(tmp_path / "a")
    with pytest.raises(Refusal, match=r"tokens.json is missing.* of b there.*`tar .*`") as refusal:
        found_in(tmp_path / "a")
    with pytest.raises(Refusal, match=r"tokens.json is missing"):
        renew(tmp_path / "a", LATER)
    assert everything(tmp_path / "a") == left
    command = shlex.split(str(refusal.value).split("`")[1])
    subprocess.run([TAR, *command[1:], "--no-same-owner"], check=True, capture_output=True)
    assert {name: (tmp_path / "a" / name).read_bytes() for name in names} == before
    assert set(found_in(tmp_path / "a").outcome.kept) == set(SECRETS) | PUBLIC


def test_a_node_that_is_alone_gets_new_tokens(tmp_path: Path) -> None:
    """Nobody else has the ones that were lost."""
    found_in(tmp_path / "a", ALONE)
    (tmp_path / "a/tokens.json").unlink()
    assert found_in(tmp_path / "a", ALONE).outcome.written == ["tokens.json"]


@pytest.mark.parametrize("left", ["machine.json", "agent/etcd.pem", "authority/root.key", "authority/join-w.tar"])
def test_an_authority_that_is_lost_is_not_made_anew(tmp_path: Path, left: str) -> None:
    """Where anything is left that came after it, both of its files are named, and no second authority is made."""
    found_in(tmp_path / "a")
    for path in everything(tmp_path / "a"):
        if path not in {"authority/site.json", left}:
            (tmp_path / "a" / path).unlink()
    refused(tmp_path, WISH, r"authority/ca.key and .*/ca.pem are missing: restore both")
    with pytest.raises(Refusal, match=r"are missing: restore both"):
        renew(tmp_path / "a", LATER)


def test_an_authority_that_has_ended_signs_nothing(tmp_path: Path) -> None:
    """What it signed would count for nobody; the page says how to make a new one."""
    found_in(tmp_path / "a")
    before = everything(tmp_path / "a")
    ended = NOW + dt.timedelta(days=3650)
    with pytest.raises(Refusal, match=r'authority ended on 2036-11-21.* under "The authority is lost"'):
        renew(tmp_path / "a", ended)
    with pytest.raises(Refusal, match=r"authority ended on"):
        found_in(tmp_path / "a", now=ended)
    assert everything(tmp_path / "a") == before


def test_an_authority_without_its_key_signs_nothing(tmp_path: Path) -> None:
    """A lost key is said to be lost; a new authority, whom no other machine trusts, is not made in its place."""
    found_in(tmp_path / "a")
    (tmp_path / "a/authority/ca.key").unlink()
    refused(tmp_path, WISH, r"ca.key is missing: restore it")
    with pytest.raises(Refusal, match=r"ca.key is missing"):
        renew(tmp_path / "a", LATER)


def test_an_authority_with_another_key_signs_nothing(tmp_path: Path) -> None:
    """Key and certificate of two sites are told apart."""
    found_in(tmp_path / "a")
    found_in(tmp_path / "other")
    shutil.copy(tmp_path / "other/authority/ca.key", tmp_path / "a/authority/ca.key")
    refused(tmp_path, WISH, "do not belong together")


def test_a_damaged_decision_is_not_decided_anew(tmp_path: Path) -> None:
    """What was decided can be restored, and guessing would make another site."""
    found_in(tmp_path / "a")
    (tmp_path / "a/authority/site.json").write_bytes(b"{")
    refused(tmp_path, WISH, r"site.json is damaged")


def test_renewing_is_done_where_the_site_was_founded(tmp_path: Path) -> None:
    """Elsewhere there is no authority, and that is told."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    with pytest.raises(Refusal, match="no site was founded here"):
        renew(tmp_path / "b", LATER)


def refused_bundle(tmp_path: Path, bundle: Path, told: str, name: str = "b", now: dt.datetime = NOW) -> None:
    """Expect that joining is refused with these words, and that no file is changed by it."""
    before = everything(tmp_path / name)
    with pytest.raises((Refusal, BadBundle), match=told):
        join(bundle.read_bytes(), tmp_path / name, now, "ens3")
    assert everything(tmp_path / name) == before


def test_a_bundle_for_another_machine_is_refused(tmp_path: Path) -> None:
    """Neither the founding node nor one that joined becomes somebody else."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    bundle = tmp_path / "a/authority/join-w.tar"
    refused_bundle(tmp_path, bundle, "this machine is b, and the bundle is for w")
    refused_bundle(tmp_path, bundle, "this machine is a, and the bundle is for w", "a")


def test_a_bundle_of_another_site_is_refused(tmp_path: Path) -> None:
    """Also where that has the same name and addresses."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    found_in(tmp_path / "other")
    refused_bundle(tmp_path, tmp_path / "other/authority/join-b.tar", "not of the site acme")


def test_a_bundle_with_other_addresses_is_refused(tmp_path: Path) -> None:
    """A machine that runs is not moved to another address by joining again."""
    found_in(tmp_path / "a")
    joined(tmp_path, "b")
    machine = json.loads((tmp_path / "b/machine.json").read_bytes())
    machine["plan"]["nodes"][1]["address"] = "203.0.113.77"
    (tmp_path / "b/machine.json").write_text(json.dumps(machine), encoding="utf-8")
    refused_bundle(tmp_path, tmp_path / "a/authority/join-b.tar", "Addresses are not changed")


def test_a_bundle_is_not_put_over_half_a_site(tmp_path: Path) -> None:
    """Files of nobody knows which site are named, and left alone."""
    found_in(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/coordinator.toml").write_bytes(b"of somebody")
    refused_bundle(tmp_path, tmp_path / "a/authority/join-b.tar", "coordinator.toml is there")


def test_a_bundle_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """With certificates that have ended nobody would be let in; the way out is a new one."""
    found_in(tmp_path / "a")
    refused_bundle(tmp_path, tmp_path / "a/authority/join-b.tar", "have ended", now=NOW + dt.timedelta(days=400))


@pytest.mark.parametrize("kept", [0, 100, 5000, 9000])
def test_half_a_bundle_is_refused(tmp_path: Path, kept: int) -> None:
    """What was cut off on its way is no bundle, and nothing is written."""
    found_in(tmp_path / "a")
    bundle = tmp_path / "cut.tar"
    bundle.write_bytes((tmp_path / "a/authority/join-b.tar").read_bytes()[:kept])
    refused_bundle(tmp_path, bundle, "bundle|whole")


@pytest.mark.parametrize("name", ["b", "w"])
def test_a_bundle_cut_between_two_files_is_refused(tmp_path: Path, name: str) -> None:
    """Wherever a block of the tar ends: what is cut off before its end says that it has to be copied again."""
    found_in(tmp_path / "a")
    whole = (tmp_path / f"a/authority/join-{name}.tar").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        starts = [entry.offset for entry in tar]
    for start in starts[1:]:
        with pytest.raises(BadBundle, match="not whole, its end is missing: copy it again"):
            unpack(whole[:start])
    used = len(whole.rstrip(b"\0"))
    for length in range(512, used + 512, 512):
        with pytest.raises(BadBundle):
            unpack(whole[:length])
    assert unpack(whole).machine.name == name


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("b", "coordinator.toml"),
        ("b", "etcd/etcd.env"),
        ("b", "agent/etcd.key"),
        ("w", "etcd/member.pem"),
        ("w", "ca.pem"),
    ],
)
def test_a_bundle_without_a_file_is_refused(tmp_path: Path, name: str, missing: str) -> None:
    """What each kind of machine needs is known; a tar without one of these is not joined with."""
    found_in(tmp_path / "a")
    whole, less = (tmp_path / f"a/authority/join-{name}.tar").read_bytes(), tmp_path / "less.tar"
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar, tarfile.open(less, "w") as fewer:
        for entry in tar:
            if entry.name != f"etc/twinkey/{missing}":
                fewer.addfile(entry, tar.extractfile(entry))
    refused_bundle(tmp_path, less, rf"not whole \('{missing}'\)", name)


def test_a_file_that_cannot_be_written_leaves_what_can_be_finished(tmp_path: Path) -> None:
    """After an error in the middle the same command finishes the site."""
    etc = tmp_path / "a"
    etc.mkdir()
    (etc / "agent").write_bytes(b"")  # a file where a folder has to be
    with pytest.raises(OSError, match="agent"):
        found_in(etc)
    (etc / "agent").unlink()
    assert found_in(etc).outcome.changed
    assert set(everything(etc)) == set(SECRETS) | PUBLIC


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=["open", "closed"])
def test_who_may_read_does_not_depend_on_the_shell(tmp_path: Path, umask: int) -> None:
    """Whatever the umask is, secrets are closed, and what the daemons have to find is open."""
    former = os.umask(umask)
    try:
        found_in(tmp_path / "a")
    finally:
        os.umask(former)
    modes = {path: mode & 0o7777 for path, (_, mode, _) in everything(tmp_path / "a").items()}
    assert modes == SECRETS | dict.fromkeys(PUBLIC, 0o644)
    assert folders_of(tmp_path / "a") == FOLDERS


def test_a_machine_that_joins_does_not_depend_on_the_shell(tmp_path: Path) -> None:
    """Its daemons find their settings, although root's files are closed by the umask."""
    found_in(tmp_path / "a")
    former = os.umask(0o077)
    try:
        joined(tmp_path, "b")
    finally:
        os.umask(former)
    assert folders_of(tmp_path / "b") == {name: mode for name, mode in FOLDERS.items() if name != "authority"}


def test_folders_that_are_closed_to_the_daemons_are_opened(tmp_path: Path) -> None:
    """And the one that nobody else may enter is closed; what was put right is told, once."""
    found_in(tmp_path / "a")
    for folder, mode in (("", 0o700), ("agent", 0o750), ("authority", 0o755)):
        (tmp_path / "a" / folder).chmod(mode)
    assert set(found_in(tmp_path / "a").outcome.put_right) == {"./", "agent/", "authority/"}
    assert folders_of(tmp_path / "a") == FOLDERS
    assert not found_in(tmp_path / "a").outcome.changed

"""Who is let in by the etcd of a founded site, and who may write what there."""

from __future__ import annotations

import socket
import ssl
from contextlib import aclosing, asynccontextmanager
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import pytest

from cluster.etcd import EtcdStore
from cluster.etcd_roles import EtcdRoles
from cluster.keys import Keys
from cluster.store import LeaseLost, PermissionRefused, Put, Unavailable
from tests.integration.roles.founded_site import ADDRESSES, KEYS, FoundedSite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AGENT, COORDINATOR, HTTP, MEMBER = "agent/etcd", "coordinator/etcd", "coordinator/http", "etcd/member"


@asynccontextmanager
async def client(site: FoundedSite, name: str, pair: str | None) -> AsyncIterator[EtcdStore]:
    """Open a client that shows this certificate of that machine, and close it."""
    store = site.store(name, pair)
    try:
        yield store
    finally:
        await store.close()


async def may_write(site: FoundedSite, name: str, pair: str, key: str) -> bool:
    """Tell whether etcd takes a write of the key from whom this certificate is."""
    async with client(site, name, pair) as store:
        try:
            await store.commit((), [Put(key, b"written by a test")])
        except PermissionRefused:
            return False
    return True


@pytest.mark.parametrize("pair", [None, HTTP], ids=["none", "https"])
async def test_nobody_is_let_in_without_a_certificate_for_it(site: FoundedSite, pair: str | None) -> None:
    """Who shows no certificate, or one that is for something else, is not even answered."""
    async with client(site, "a", pair) as store:
        with pytest.raises(Unavailable):
            await store.read([KEYS.ledger])


async def test_nobody_is_let_in_without_tls(site: FoundedSite) -> None:
    """Plain text is not answered."""
    store = EtcdStore(site.endpoints)
    with pytest.raises(Unavailable):
        await store.read([KEYS.ledger])
    await store.close()


async def test_an_agent_writes_its_own_reports(site: FoundedSite) -> None:
    """Both reports of a node are its agent's."""
    assert await may_write(site, "a", AGENT, KEYS.node(site.uuids["a"]))
    assert await may_write(site, "a", AGENT, KEYS.last_seen(site.uuids["a"]))


async def test_an_agent_does_not_write_another_nodes_report(site: FoundedSite) -> None:
    """What node b sees is told by node b, and etcd refuses it from node a."""
    assert not await may_write(site, "a", AGENT, KEYS.node(site.uuids["b"]))
    assert not await may_write(site, "a", AGENT, KEYS.last_seen(site.uuids["b"]))
    assert await may_write(site, "b", AGENT, KEYS.node(site.uuids["b"]))


@pytest.mark.parametrize(
    "key", [KEYS.site, KEYS.ledger, KEYS.clock, KEYS.usage, KEYS.status, KEYS.leader, KEYS.record(0), KEYS.drain("x")]
)
async def test_an_agent_writes_nothing_else(site: FoundedSite, key: str) -> None:
    """The licence, the history and the rest of the site are none of an agent's business."""
    assert not await may_write(site, "a", AGENT, key)


async def test_a_coordinator_does_not_write_reports(site: FoundedSite) -> None:
    """No coordinator can make up what a node sees, not even its own node."""
    for uuid in site.uuids.values():
        assert not await may_write(site, "a", COORDINATOR, KEYS.node(uuid))
        assert not await may_write(site, "a", COORDINATOR, KEYS.last_seen(uuid))


@pytest.mark.parametrize(
    "key", [KEYS.drain("x"), KEYS.inbox("x"), KEYS.outcome("x"), KEYS.reread("x"), KEYS.staged("x", 1)]
)
async def test_a_coordinator_writes_what_is_the_sites(site: FoundedSite, key: str) -> None:
    """On both sides of the reports in order of key."""
    assert await may_write(site, "b", COORDINATOR, key)


async def test_nobody_touches_another_site(site: FoundedSite) -> None:
    """Outside its own prefix a site's daemon neither reads nor writes."""
    for pair in (AGENT, COORDINATOR):
        assert not await may_write(site, "a", pair, "/twinkey/acme-2/ledger")
        assert not await may_write(site, "a", pair, "/twinkey/")
        async with client(site, "a", pair) as store:
            with pytest.raises(PermissionRefused):
                await store.snapshot("/twinkey/")


async def test_all_daemons_see_the_whole_site(site: FoundedSite) -> None:
    """Each reads and watches everything under the site's prefix."""
    assert await may_write(site, "a", AGENT, KEYS.node(site.uuids["a"]))
    for pair in (AGENT, COORDINATOR):
        async with client(site, "b", pair) as store:
            view = await store.snapshot(KEYS.prefix)
            assert KEYS.node(site.uuids["a"]) in view.entries
            async with aclosing(store.watch(KEYS.prefix, view.revision - 1)) as changes:
                assert (await anext(changes)).events


@pytest.mark.parametrize("pair", [AGENT, COORDINATOR, MEMBER])
async def test_only_root_gives_roles(site: FoundedSite, pair: str) -> None:
    """A daemon cannot give itself rights, and neither can who has the certificate of an etcd member."""
    roles = EtcdRoles(site.endpoints, site.tls("a", pair))
    with pytest.raises(PermissionRefused):
        await roles.put_right([], KEYS, ["agent-"])
    await roles.close()


async def test_a_member_is_no_user(site: FoundedSite) -> None:
    """The certificate by which etcd's members know each other lets nobody read or write."""
    async with client(site, "w", MEMBER) as store:
        with pytest.raises(PermissionRefused):
            await store.read([KEYS.ledger])


@pytest.mark.parametrize(
    ("pair", "let_in"), [(MEMBER, True), (AGENT, False), (COORDINATOR, False)], ids=["member", "agent", "coordinator"]
)
def test_only_members_are_peers(site: FoundedSite, pair: str, *, let_in: bool) -> None:
    """A daemon's certificate, though of the same authority, does not open the port on which members replicate."""
    etc = site.etc("a")
    context = ssl.create_default_context(cafile=str(etc / "ca.pem"))
    context.load_cert_chain(etc / f"{pair}.pem", etc / f"{pair}.key")
    answer = b""
    try:
        plain = socket.create_connection((ADDRESSES["w"], site.peer_port), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname=ADDRESSES["w"]) as peer:
            peer.sendall(b"GET /version HTTP/1.0\r\n\r\n")
            answer = peer.recv(100)
    except OSError as error:
        assert isinstance(error, ssl.SSLError | ConnectionError), error  # noqa: PT017 - it came to a handshake
    assert answer.startswith(b"HTTP/1.0 200") is let_in


async def test_a_report_is_not_taken_away_by_another_node(site: FoundedSite) -> None:
    """The lease of node b's report cannot be revoked by node a, as its key could not be written."""
    report = KEYS.node(site.uuids["b"])
    async with client(site, "a", AGENT) as ours, client(site, "b", AGENT) as theirs:
        lease = await theirs.grant(30)
        await theirs.commit((), [Put(report, b"under a lease", lease.lease_id)])
        with pytest.raises(PermissionRefused):
            await ours.revoke(lease.lease_id)
        assert (await theirs.read([report]))[0]
        await theirs.revoke(lease.lease_id)
        with pytest.raises(LeaseLost):
            await theirs.keep_alive(lease.lease_id)


def test_the_roles_are_given_once(site: FoundedSite) -> None:
    """The first time tells all that was done, and the next one finds everything as it should be."""
    assert "authentication is on" in site.told["changes"]
    assert site.twinkey("roles", etc="a") == {"changes": [], "strangers": []}


def test_what_was_changed_by_hand_is_put_right(site: FoundedSite) -> None:
    """A grant too many, one that is missing, a wrong role and a user of a former node are found, undone and told."""
    agent, coordinator = f"agent-{site.uuids['a']}", f"coordinator-{site.uuids['b']}"
    site.etcdctl("role", "grant-permission", agent, "readwrite", KEYS.ledger)
    site.etcdctl("role", "grant-permission", agent, "readwrite", KEYS.node(site.uuids["a"]))
    site.etcdctl("role", "revoke-permission", coordinator, KEYS.prefix, KEYS.lastseen)
    site.etcdctl("user", "grant-role", agent, "root")
    site.etcdctl("user", "add", "agent-former:secret")
    site.etcdctl("role", "add", "agent-former")
    site.etcdctl("role", "grant-permission", "agent-former", "readwrite", KEYS.node("former"))
    site.etcdctl("role", "add", "somebody")
    try:
        told = site.twinkey("roles", etc="a")
    finally:
        site.etcdctl("role", "delete", "somebody")
    assert set(told["changes"]) == {
        f"{agent} may no longer read and write {KEYS.ledger}",
        f"{agent} may write {KEYS.node(site.uuids['a'])}",
        f"{coordinator} may write {KEYS.prefix} up to {KEYS.lastseen}",
        f"{agent} has no longer the role root",
        "the user agent-former is gone",
        "the role agent-former is gone",
    }
    assert told["strangers"] == ["somebody"]
    assert site.twinkey("roles", etc="a") == {"changes": [], "strangers": []}


def test_another_sites_users_are_left_alone(site: FoundedSite) -> None:
    """A second site in the same etcd has users of the same kind; they are told, and neither they nor roles go."""
    names = [f"{kind}-other{number}" for kind in ("agent", "coordinator") for number in (1, 2)]
    other = Keys("other")
    grants = [(other.node("x"),), (other.prefix, "--prefix"), (KEYS.ledger,), (KEYS.prefix, "--from-key")]
    for name, grant in zip(names, grants, strict=True):
        site.etcdctl("user", "add", f"{name}:secret")
        site.etcdctl("role", "add", name)
        site.etcdctl("role", "grant-permission", name, "read", *grant)
    site.etcdctl("role", "grant-permission", names[2], "read", other.ledger)
    try:
        assert site.twinkey("roles", etc="a") == {"changes": [], "strangers": names}
    finally:
        for name in names:
            site.etcdctl("user", "delete", name)
            site.etcdctl("role", "delete", name)


def test_no_password_from_before_opens_anything(site: FoundedSite) -> None:
    """Who made a user while authentication was off does not come back by its password, not even as root."""
    names = ["root", f"agent-{site.uuids['a']}"]
    site.etcdctl("auth", "disable")
    for name in names:
        site.etcdctl("user", "delete", name)
        site.etcdctl("user", "add", f"{name}:secret")
        site.etcdctl("user", "grant-role", name, name)
    told = site.twinkey("roles", etc="a")
    for name in names:
        assert f"{name} has a new password, which nobody knows" in told["changes"]
        with pytest.raises(CalledProcessError) as refused:
            site.etcdctl("get", KEYS.ledger, "--user", f"{name}:secret")
        assert "authentication failed" in refused.value.stderr
    assert site.twinkey("roles", etc="a") == {"changes": [], "strangers": []}


def test_what_was_interrupted_is_gone_on_with(site: FoundedSite) -> None:
    """With authentication off and half of the roles, everybody could write everything; afterwards nobody can."""
    site.etcdctl("auth", "disable")
    site.etcdctl("user", "delete", f"agent-{site.uuids['b']}")
    site.etcdctl("role", "delete", f"coordinator-{site.uuids['a']}")
    told = site.twinkey("roles", etc="a")
    assert told["changes"][-1] == "authentication is on"
    assert f"the user agent-{site.uuids['b']} is new" in told["changes"]
    assert f"the role coordinator-{site.uuids['a']} is new" in told["changes"]
    assert f"coordinator-{site.uuids['a']} has its role" in told["changes"]

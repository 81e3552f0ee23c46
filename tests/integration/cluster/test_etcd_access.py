"""A real etcd that asks for certificates or passwords, and what happens when those change."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from cluster.etcd import EtcdStore, open_etcd
from cluster.etcd_access import Login, Tls
from cluster.mirror import Mirror
from cluster.settings import EtcdSettings
from cluster.store import PermissionRefused, Put, Unavailable
from cluster.timings import Timings
from tests.certificates import Authority
from tests.etcd_server import EtcdServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TIMINGS = Timings()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[EtcdServer]:
    """Return an etcd, not started, that asks clients for a certificate."""
    options = ["--client-cert-auth", "--trusted-ca-file", f"{tmp_path}/ca.pem"]
    options += ["--cert-file", f"{tmp_path}/server.pem", "--key-file", f"{tmp_path}/server.key"]
    server = EtcdServer(tmp_path, options=options, scheme="https")
    yield server
    server.stop()


async def test_certificates_are_asked_for_and_read_again(tls_server: EtcdServer, tmp_path: Path) -> None:
    """Client and server prove who they are; a mirror survives that both get new certificates of a new authority."""
    authority = Authority()
    authority.write(tmp_path, "server")
    ca, cert, key = authority.write(tmp_path, "client")
    await tls_server.start()
    store = open_etcd(EtcdSettings(endpoints=tls_server.endpoints, ca=ca, cert=cert, key=key), TIMINGS)
    nobody = EtcdStore(tls_server.endpoints, TIMINGS, tls=Tls(ca))
    with pytest.raises(Unavailable):
        await nobody.snapshot("/")
    await nobody.close()
    await store.commit([], [Put("/s/a", b"1")])
    mirror = Mirror(store, "/s/", TIMINGS)
    running = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.connected)

    tls_server.stop()
    successor = Authority("successor")
    successor.write(tmp_path, "server")
    await tls_server.start()
    await eventually(lambda: not mirror.connected)
    successor.write(tmp_path, "client")
    await eventually(lambda: mirror.connected, within=8)
    await store.commit([], [Put("/s/a", b"2")])
    await eventually(lambda: mirror.view.entries["/s/a"].value == b"2")
    running.cancel()
    await store.close()


async def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """The error says what is wrong instead of waiting for an answer."""
    store = EtcdStore(["127.0.0.1:1"], TIMINGS, tls=Tls(tmp_path / "missing.pem"))
    with pytest.raises(Unavailable, match="certificates"):
        await store.snapshot("/")
    await store.close()


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    """Run an etcd where user `node` may touch /s/ only, with the password `first`."""
    server = EtcdServer(tmp_path)
    await server.start()
    for command in (
        "user add root:root",
        "user grant-role root root",
        "user add node:first",
        "role add node",
        "role grant-permission node --prefix=true readwrite /s/",
        "user grant-role node node",
        "auth enable",
    ):
        server.etcdctl(*command.split())
    yield server
    server.stop()


async def test_a_password_lets_one_touch_what_one_may(guarded: EtcdServer, tmp_path: Path) -> None:
    """Own keys can be read, written and watched; others are refused at once, and watching them does not loop."""
    password = tmp_path / "password"
    password.write_text("first\n")
    store = EtcdStore(guarded.endpoints, TIMINGS, login=Login("node", password))
    await store.commit([], [Put("/s/a", b"1")])
    with pytest.raises(PermissionRefused):
        await store.commit([], [Put("/other", b"1")])
    with pytest.raises(PermissionRefused):
        await store.snapshot("/")
    async with asyncio.timeout(5), contextlib.aclosing(store.watch("/", 0)) as changes:
        with pytest.raises(PermissionRefused, match="watched"):
            await anext(changes)
    await store.close()


async def test_a_token_that_is_forgotten_is_replaced(guarded: EtcdServer, tmp_path: Path) -> None:
    """A restarted etcd knows no tokens: calls and mirrors log in again by themselves."""
    password = tmp_path / "password"
    password.write_text("first")
    store = EtcdStore(guarded.endpoints, TIMINGS, login=Login("node", password))
    mirror = Mirror(store, "/s/", TIMINGS)
    running = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.connected)
    guarded.stop()
    await guarded.start()

    async def written() -> bool:
        with contextlib.suppress(Unavailable):
            return bool(await store.commit([], [Put("/s/a", b"2")]))
        return False

    await eventually(written)
    await eventually(lambda: "/s/a" in mirror.view.entries)
    running.cancel()
    await store.close()


async def test_a_change_of_users_makes_tokens_old_and_is_survived(guarded: EtcdServer, tmp_path: Path) -> None:
    """Every change of etcd's users outdates all tokens; the next call logs in again."""
    password = tmp_path / "password"
    password.write_text("first")
    store = EtcdStore(guarded.endpoints, TIMINGS, login=Login("node", password))
    await store.commit([], [Put("/s/a", b"1")])
    guarded.etcdctl("--user", "root:root", "user", "add", "another:x")
    await store.commit([], [Put("/s/a", b"2")])
    guarded.etcdctl("--user", "root:root", "user", "passwd", "node", "--interactive=false", stdin="second\n")
    password.write_text("second")
    await store.commit([], [Put("/s/a", b"3")])
    await store.close()


async def test_a_wrong_password_and_none_are_told_apart(guarded: EtcdServer, tmp_path: Path) -> None:
    """The refusal says what to do."""
    password = tmp_path / "password"
    password.write_text("wrong")
    wrong = EtcdStore(guarded.endpoints, TIMINGS, login=Login("node", password))
    with pytest.raises(PermissionRefused, match="authentication failed"):
        await wrong.snapshot("/s/")
    without = EtcdStore(guarded.endpoints, TIMINGS)
    with pytest.raises(PermissionRefused, match="set them"):
        await without.snapshot("/s/")
    await wrong.close()
    await without.close()

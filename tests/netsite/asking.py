"""HTTP from one of the hosts: a call is made on its network, whichever thread makes it."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple

from tests.netsite.namespaces import Host
from tests.site import Answer

ETCD_PORT = 2379
NEWEST = 0
"""In the place of a revision of etcd: the newest."""


@contextmanager
def connected(host: Host, address: str, port: int, within: float) -> Iterator[HTTPConnection]:
    """Give a connection from a host; connecting, and each answer, may take `within` seconds."""
    with host.network_entered():
        wire = socket.create_connection((address, port), within)
    connection = HTTPConnection(address, port)
    connection.sock = wire
    try:
        yield connection
    finally:
        connection.close()


def call(
    host: Host,
    address: str,
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    within: float = 15.0,
) -> Answer:
    """Make one call from a host."""
    with connected(host, address, port, within) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


class Version(NamedTuple):
    """One value that a key has had, and the revision that wrote it."""

    key: str
    value: bytes
    revision: int


class Change(NamedTuple):
    """What one revision did to a key: its new value, None where it was deleted."""

    key: str
    value: bytes | None
    revision: int


class Member:
    """One etcd member as `host` sees it, by etcd's own JSON over HTTP."""

    def __init__(self, host: Host, address: str) -> None:
        self._host = host
        self._address = address

    def ask(self, path: str, question: dict[str, Any], within: float = 2.0) -> dict[str, Any]:
        """Ask the member something; OSError where it does not answer in time or not as it should."""
        body = json.dumps(question).encode()
        answer = call(self._host, self._address, ETCD_PORT, "POST", f"/v3/{path}", body, within=within)
        if answer.status != 200:
            raise OSError(f"etcd at {self._address} answers {answer.status}: {answer.body[:200]!r}")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def status(self) -> tuple[str, str]:
        """Return the member's own id and the id of the member that leads; "" where it knows none."""
        told = self.ask("maintenance/status", {})
        return told["header"]["member_id"], told.get("leader", "")

    def put(self, key: str, value: bytes) -> None:
        """Store a value."""
        self.ask("kv/put", {"key": _text64(key), "value": base64.b64encode(value).decode()})

    def revision(self) -> int:
        """Return the store's revision now; what it had then can be read later, as of one moment."""
        return int(self.ask("kv/range", {"key": _text64("/"), "count_only": True})["header"]["revision"])

    def under(self, prefix: str, revision: int = NEWEST) -> dict[str, bytes]:
        """Return everything that is stored under a prefix, or was at a revision."""
        which = {"key": _text64(prefix), "range_end": _text64(_after(prefix)), "revision": str(revision)}
        found = self.ask("kv/range", which)
        return {_plain(each["key"]).decode(): _plain(each.get("value", "")) for each in found.get("kvs", [])}

    def history(self, key: str, revision: int) -> list[Version]:
        """Return every value that a key has had since it was created and until a revision, the oldest first."""
        found: list[Version] = []
        while entries := self.ask("kv/range", {"key": _text64(key), "revision": str(revision)}).get("kvs"):
            revision = int(entries[0]["mod_revision"])
            found.append(Version(key, _plain(entries[0].get("value", "")), revision))
            if revision == int(entries[0]["create_revision"]):
                break
            revision -= 1
        return found[::-1]

    def changes(self, prefix: str, until: int, within: float = 10.0) -> list[Change]:
        """Return all that was ever done under a prefix, the oldest first, up to the revision of one change there."""
        which = {"key": _text64(prefix), "range_end": _text64(_after(prefix)), "start_revision": "1"}
        found: list[Change] = []
        with connected(self._host, self._address, ETCD_PORT, within) as connection:
            connection.request("POST", "/v3/watch", json.dumps({"create_request": which}).encode())
            answer = connection.getresponse()
            while not found or found[-1].revision < until:
                found += map(_change, json.loads(answer.readline())["result"].get("events", ()))
        return found


def _change(event: dict[str, Any]) -> Change:
    entry = event["kv"]
    value = None if event.get("type") == "DELETE" else _plain(entry.get("value", ""))
    return Change(_plain(entry["key"]).decode(), value, int(entry["mod_revision"]))


def _text64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _plain(text: str) -> bytes:
    return base64.b64decode(text)


def _after(prefix: str) -> str:
    """Return the first key after all that begin with the prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)

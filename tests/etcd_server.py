"""Real etcd for tests: one member or several, on free loopback ports, dead at the latest when the tests are."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cluster.local_etcd import LOOPBACK, LocalEtcd, find_etcd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


FIRST_PORT, FIRST_EPHEMERAL = 10_240, 32_768


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at the moment, and that the kernel gives to no outgoing connection."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = FIRST_PORT + secrets.randbelow(FIRST_EPHEMERAL - FIRST_PORT)
            try:
                stack.enter_context(socket.socket()).bind((LOOPBACK, port))
            except OSError:
                continue
            found.append(port)
        return found


class EtcdCluster:
    """Members that form one etcd; `start` waits until it answers, `stop` is by force, and the data stay."""

    def __init__(
        self,
        directory: Path,
        size: int = 3,
        binary: Path | None = None,
        options: Sequence[str] = (),
        scheme: str = "http",
    ) -> None:
        ports = free_ports(2 * size)
        names = [f"m{number}" for number in range(size)]
        peers = dict(zip(names, ports[size:], strict=True))
        self.binary = binary or find_etcd()
        self.members = [
            LocalEtcd(directory / name, port, peers[name], name, peers, self.binary, tuple(options), scheme)
            for name, port in zip(names, ports, strict=False)
        ]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """host:port of every member."""
        return tuple(f"{LOOPBACK}:{member.client_port}" for member in self.members)

    async def start(self) -> None:
        """Start the members that do not run, and wait until all answer."""
        for member in self.members:
            if not member.running:
                member.start()
        await asyncio.gather(*(member.ready() for member in self.members))

    def stop(self) -> None:
        """Kill all members."""
        for member in self.members:
            member.stop(grace=0)

    def pause(self) -> None:
        """Freeze all members."""
        for member in self.members:
            member.pause()

    def resume(self) -> None:
        """Let all members go on."""
        for member in self.members:
            member.resume()

    def etcdctl(self, *arguments: str, stdin: str = "") -> str:
        """Run etcdctl against the members that run and return what it prints."""
        endpoints = ",".join(member.endpoint for member in self.members if member.running)
        answer = subprocess.run(
            [self.binary.parent / "etcdctl", "--endpoints", endpoints, *arguments],
            input=stdin,
            env=os.environ | {"ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return answer.stdout

    def leader(self) -> LocalEtcd:
        """Return the member that leads the others."""
        statuses: list[dict[str, Any]] = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))
        for status in statuses:
            if status["Status"]["leader"] == status["Status"]["header"]["member_id"]:
                return next(member for member in self.members if member.endpoint.endswith(_address(status)))
        raise LookupError("no member leads")


class EtcdServer(EtcdCluster):
    """One member alone."""

    def __init__(
        self, directory: Path, binary: Path | None = None, options: Sequence[str] = (), scheme: str = "http"
    ) -> None:
        super().__init__(directory, 1, binary, options, scheme)


def _address(status: dict[str, Any]) -> str:
    return str(status["Endpoint"]).rpartition("/")[2]

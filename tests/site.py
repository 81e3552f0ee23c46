"""A whole site for tests: a real etcd, a real agent and coordinator per node, simulated USB buses, free loopback ports.

Everything is a process of its own and dies with the tests. Tests act as the world does (plug, pull, kill, freeze, write
to etcd) and look as a client does, over HTTP. Nothing here knows what the right answer is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, Signals
from typing import Any, NamedTuple, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from cluster.etcd import EtcdStore
from cluster.keys import Keys
from cluster.local_etcd import LOOPBACK, die_with_parent
from cluster.store import Entry, Put, Store
from console.demo_site import SITE_ID, Node, lay_out
from licensing.envelope import seal
from licensing.keyring import key_id
from licensing.licence import KeyBinding
from tests.etcd_server import EtcdServer, free_ports
from tests.licences import good_licence
from tests.waiting import eventually_sync
from usbwatch import simulated
from usbwatch.simulated import SimulatedKey

T = TypeVar("T")
Status = dict[str, Any]
"""The body of `GET /v1/status`."""

TWINKEY = str(Path(sys.executable).with_name("twinkey"))
KEYS = Keys(SITE_ID)
LEASE_TTL = 3
"""Seconds: of the agents and of the leader, the shortest that the product allows."""
LEASE_OVER = LEASE_TTL + 2.0
"""Seconds within which a lease whose owner is gone has certainly run out, and somebody has acted on it."""
SETTLE = 0.1
"""Seconds after which a removal has its lasting consequence, so that a wrong one would show."""


class Answer(NamedTuple):
    """What a node answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Daemon:
    """One `twinkey agent` or `twinkey coordinator`; its files stay from one start to the next.

    `environment` is what its next start adds to the environment.
    """

    def __init__(self, verb: str, node: Node) -> None:
        self.environment: dict[str, str] = {}
        self._command = [TWINKEY, verb, "--config", f"{node.label}/{verb}.toml"]
        self._folder = node.folder.parent
        self._log = node.folder / f"{verb}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TWINKEY_")}
        timings = {"TWINKEY_LEASE_TTL": str(LEASE_TTL), "TWINKEY_REMOVAL_SETTLE": str(SETTLE)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=ours | timings | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )

    @property
    def running(self) -> bool:
        """Whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process
        return self._process.pid

    def send(self, number: Signals) -> None:
        """Send a signal and go on."""
        os.kill(self.pid, number)

    def end(self, number: Signals = SIGKILL) -> None:
        """Send a signal and wait for the end."""
        assert self._process
        if self.running:
            self.send(number)
        self._process.wait(timeout=10)

    @property
    def exit_code(self) -> int | None:
        """How the process ended, None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def log(self) -> bytes:
        """All that the process and those before it have logged."""
        return self._log.read_bytes()

    @property
    def cpu_seconds(self) -> float:
        """How much processor time the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def threads(self) -> int:
        """How many threads the process has."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    @property
    def files(self) -> int:
        """How many files and connections the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


class LiveSite:
    """A site of the nodes named by `labels` (a, b); `start` returns when it answers, `close` ends all of it."""

    def __init__(self, folder: Path, labels: Iterable[str] = ("a", "b")) -> None:
        self.etcd = EtcdServer(folder / "etcd")
        names = tuple(labels)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.site = lay_out(folder, ports, self.etcd.endpoints[0], dt.datetime.now(dt.UTC))
        self.nodes = self.site.nodes
        self.agents = {label: Daemon("agent", node) for label, node in self.nodes.items()}
        self.coordinators = {label: Daemon("coordinator", node) for label, node in self.nodes.items()}

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """All agents and coordinators."""
        return (*self.agents.values(), *self.coordinators.values())

    def start(self) -> None:
        """Start what does not run, thaw what is frozen, and return when every node shows a fresh, complete status."""
        self.launch()
        self.wait_for_all(lambda status: not status["stale"] and all(node["reachable"] for node in status["nodes"]), 20)

    def launch(self) -> None:
        """Start what does not run and thaw what is frozen; return when etcd answers."""
        if self.etcd.members[0].running:
            self.etcd.resume()
        asyncio.run(self.etcd.start())
        for daemon in self.daemons:
            if daemon.running:
                daemon.send(SIGCONT)
            else:
                daemon.start()

    def reset(self) -> None:
        """Bring the site back to rest: everything runs, no key is plugged in, and what follows from that has come."""
        for node in self.nodes.values():
            for file in node.bus.iterdir():
                file.unlink()
        self.start()
        self.wait_for_all(lambda status: not any(keys_in(status).values()) and removal_settled(status))

    def close(self) -> None:
        """Kill everything."""
        for daemon in self.daemons:
            if daemon.running:
                daemon.end()
        self.etcd.stop()

    # --- acting ----------------------------------------------------------------------------------------------------

    def new_key(self, name: str, life: dt.timedelta = dt.timedelta(days=300)) -> SimulatedKey:
        """Return a genuine key whose licence, issued now, lasts so long (to the second)."""
        return licensed_key(self.site.vendor, name, life)

    def plug(self, label: str, *keys: SimulatedKey) -> None:
        """Insert keys into a node, or exchange what is on them; the agent sees it in its own time."""
        for key in keys:
            simulated.plug(self.nodes[label].bus, key)

    def unplug(self, label: str, name: str) -> None:
        """Pull a key out of a node."""
        simulated.unplug(self.nodes[label].bus, name)

    def report_key(self, label: str) -> str:
        """Return where the node's live report is in etcd."""
        return KEYS.node(self.nodes[label].uuid)

    def in_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do something with the store, as a client of its own."""

        async def connected() -> T:
            store = EtcdStore(self.etcd.endpoints)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(connected())

    def read(self, key: str) -> Entry:
        """Return what is stored under a key; KeyError where there is nothing."""

        async def read(store: Store) -> Entry:
            return (await store.snapshot(key)).entries[key]

        return self.in_store(read)

    def write(self, key: str, value: bytes) -> None:
        """Put raw bytes under a key; a lease that holds the key goes on holding it."""

        async def write(store: Store) -> None:
            before = (await store.snapshot(key)).entries.get(key)
            await store.commit((), (Put(key, value, before.lease_id if before else 0),))

        self.in_store(write)

    @contextmanager
    def tampered(self, key: str, value: bytes) -> Iterator[None]:
        """Put raw bytes under a key for the length of the context; then what was there is put back."""
        good = self.read(key).value
        self.write(key, value)
        try:
            yield
        finally:
            self.write(key, good)

    def history(self, key: str) -> list[Entry]:
        """Return every value that a key has had since etcd's first revision."""

        async def history(store: Store) -> list[Entry]:
            last, found = (await store.snapshot(key)).entries[key], list[Entry]()
            async with aclosing(store.watch(key, 0)) as watch:
                async for changes in watch:
                    found += [event.entry for event in changes.events if event.entry and event.key == key]
                    if changes.revision >= last.mod_revision:
                        break
            return found

        return self.in_store(history)

    @property
    def revision(self) -> int:
        """How many writes etcd has seen; leases do not count."""

        async def revision(store: Store) -> int:
            return (await store.snapshot(KEYS.leader)).revision

        return self.in_store(revision)

    # --- looking ---------------------------------------------------------------------------------------------------

    def get(self, label: str, path: str, headers: dict[str, str] | None = None, within: float = 5.0) -> Answer:
        """Ask a node with the site's token."""
        return self.call(label, "GET", path, headers=headers, within=within)

    def call(
        self,
        label: str,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        within: float = 15.0,
    ) -> Answer:
        """Make any call of a node with the site's token; a body in parts is sent in chunks, with no length told."""
        connection = http.client.HTTPConnection(LOOPBACK, self.nodes[label].port, timeout=within)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.site.token}"} | (headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def status(self, label: str) -> Status:
        """Return what a node answers to `GET /v1/status`."""
        answer = self.get(label, "/v1/status")
        assert answer.status == http.client.OK, answer.body
        status: Status = json.loads(answer.body)
        return status

    def wait_for(self, label: str, shown: Callable[[Status], object], within: float = 5.0) -> Status:
        """Return the first status of a node of which `shown` is true; a failure tells the last one."""
        last: list[Status] = [{}]

        def look() -> bool:
            last[0] = self.status(label)
            return bool(shown(last[0]))

        try:
            eventually_sync(look, within)
        except AssertionError as error:
            raise AssertionError(f"{error}\nnode {label} shows: {json.dumps(last[0], indent=1)}") from error
        return last[0]

    def wait_for_all(self, shown: Callable[[Status], object], within: float = 5.0) -> list[Status]:
        """Return the first status of each node of which `shown` is true."""
        return [self.wait_for(label, shown, within) for label in self.nodes]

    def wait_until_told(self) -> None:
        """Return when every node shows the status that is stored, so that no news is on its way any more."""
        stored = json.loads(self.read(KEYS.status).value)["data"]["index"]
        self.wait_for_all(lambda status: status["index"] == stored and not status["stale"])

    def leaders(self) -> list[str]:
        """Return the nodes that say that they lead; one that is dead or frozen says nothing."""
        found = []
        for label in self.nodes:
            with suppress(OSError):
                if self.get(label, "/leader", within=0.5).status == http.client.OK:
                    found.append(label)
        return found

    def leader(self, within: float = LEASE_OVER) -> tuple[str, str]:
        """Return the node that leads, as soon as exactly one does, and the other one."""
        leader = eventually_sync(lambda: found[0] if len(found := self.leaders()) == 1 else "", within)
        (other,) = (label for label in self.nodes if label != leader)
        return leader, other


class Startable(Protocol):
    """A site of any make."""

    def start(self) -> None:
        """Start all of it and wait until it is at rest."""

    def close(self) -> None:
        """End all of it."""


S = TypeVar("S", bound=Startable)


@contextmanager
def started(site: S) -> Iterator[S]:
    """Run a site meanwhile."""
    try:
        site.start()
        yield site
    finally:
        site.close()


def licensed_key(vendor: Ed25519PrivateKey, name: str, life: dt.timedelta) -> SimulatedKey:
    """Return a genuine USB key that can prove itself; its licence begins now and has the key's name."""
    device, issued = Ed25519PrivateKey.generate(), dt.datetime.now(dt.UTC).replace(microsecond=0)
    binding = KeyBinding(key_id=name, device_public_key=device.public_key().public_bytes_raw())
    licence = good_licence(name, binding, issued, life)
    file = seal(licence, key_id(vendor.public_key().public_bytes_raw()), vendor)
    return SimulatedKey(key_id=name, licence_file=file, device_private_key=device.private_bytes_raw())


def broken(key: SimulatedKey) -> SimulatedKey:
    """Return the key as it is when it does not answer."""
    return replace(key, broken=True)


def keys_in(status: Status) -> dict[str, dict[str, str]]:
    """Return the readings of the inserted keys by node name and key id."""
    return {node["name"]: {key["keyId"]: key["reading"] for key in node["ukeys"]} for node in status["nodes"]}


def removal_settled(status: Status) -> bool:
    """Whether nothing is to come of a key's removal any more: no key was in use, or its buffer runs, or it is over."""
    return status["keyState"] == "None" or status["buffer"] is not None or status["license"]["status"] == "Expired"


def node_in(status: Status, label: str) -> dict[str, Any]:
    """Return what a status says about a node; one that never told its name is called by its uuid."""
    found: dict[str, Any] = next(node for node in status["nodes"] if node["name"] == label)
    return found


def let_pass(seconds: float) -> None:
    """Let an interval pass over which something is measured, or in which nothing may happen."""
    until = time.monotonic() + seconds
    eventually_sync(lambda: time.monotonic() >= until, seconds + 1)

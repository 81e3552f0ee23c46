"""A whole site on one machine whose nodes are hosts of their own: two nodes, a witness, a client, and a switch between.

On each node run an etcd member, an agent, a coordinator and keepalived; on the witness an etcd member alone. Tests act
as the world does and look as a client does. Nothing here knows what the right answer is.
"""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.fingerprint import HARDWARE, MACHINE_ID
from cluster.local_etcd import find_etcd
from console.demo_site import Node, lay_out
from tests.netsite.asking import ETCD_PORT, Member, call
from tests.netsite.keepalived import configuration
from tests.netsite.namespaces import Host
from tests.netsite.network import Network
from tests.netsite.program import Program
from tests.netsite.readers import Readers, Reading, Target
from tests.site import LEASE_TTL, SETTLE, TWINKEY, Answer, Status, keys_in, licensed_key
from tests.waiting import eventually_sync
from usbwatch import simulated
from usbwatch.simulated import SimulatedKey

ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2", "w": "10.77.0.3", "c": "10.77.0.9"}
VIRTUAL_IP = "10.77.0.100"
PORT = 8441
WITNESS, CLIENT, VIP = "w", "c", "vip"
MEMBERS = ("a", "b", WITNESS)
DISKS = ("state", "etcd")
IDENTITY = "identity"
"""The file from which a machine has what tells it from others."""
STATE_DISK = 2 << 20
ETCD_DISK = 320 << 20
"""Bytes: etcd takes 64 MB for its journal in advance, and as much again for the next."""
AT_REST = 30.0
ANSWERED = 2.0
"""Seconds within which a node that lives has answered, on a machine that runs other tests too."""
MOVED = 0.3
"""Seconds after which a reader of the virtual IP asks again: it may have moved."""


class NetNode:
    """One machine of a site: its host and its programs by name, in the order in which they start."""

    def __init__(self, host: Host, folder: Path, commands: dict[str, list[str]]) -> None:
        self.host = host
        self.folder = folder
        self.programs = {
            name: Program(host, command, folder.parent, folder / f"{name}.log") for name, command in commands.items()
        }

    @property
    def etcd(self) -> Program:
        """Its etcd member."""
        return self.programs["etcd"]

    @property
    def agent(self) -> Program:
        """Its agent; the witness has none, nor any of the following."""
        return self.programs["agent"]

    @property
    def coordinator(self) -> Program:
        """Its coordinator."""
        return self.programs["coordinator"]

    @property
    def keepalived(self) -> Program:
        """Its keepalived."""
        return self.programs["keepalived"]

    def start(self) -> None:
        """Start what does not run and thaw what is frozen."""
        for program in self.programs.values():
            program.start()

    def freeze(self) -> None:
        """Stop everything where it is, as a host that hangs."""
        for program in self.programs.values():
            program.freeze()

    def thaw(self) -> None:
        """Let everything go on."""
        for program in self.programs.values():
            program.thaw()

    def kill(self) -> None:
        """End everything by force at once, as a power cut does."""
        self.freeze()
        for program in self.programs.values():
            program.kill()

    def stop(self) -> None:
        """End everything in the order in which a machine that is shut down does."""
        for program in reversed(self.programs.values()):
            program.stop()

    def fill_disk(self, name: str) -> None:
        """Leave no byte on one of the node's small disks, `state` or `etcd`."""
        target = f"of={self.folder / name / 'filler'}"
        self.host.run("dd", "if=/dev/zero", target, "bs=64k", "status=none", check=False)

    def empty_disk(self, name: str) -> None:
        """Give the room back."""
        self.host.run("rm", "-f", str(self.folder / name / "filler"))

    def lose_disk(self, name: str) -> None:
        """Have a new disk, with nothing on it; what uses the old one must have ended."""
        self.host.run("find", str(self.folder / name), "-mindepth", "1", "-delete")

    def become_another_machine(self) -> None:
        """End everything by force, and have new hardware with empty disks from then on."""
        self.kill()
        for name in DISKS:
            self.lose_disk(name)
        (self.folder / IDENTITY).write_text(str(uuid.uuid4()), encoding="ascii")


class NetSite:
    """The site; `start` returns when it is at rest, `close` ends all of it.

    `coordinator` is the program whose verb `coordinator` is run.
    """

    def __init__(self, folder: Path, coordinator: Sequence[str] = (TWINKEY,)) -> None:
        self._coordinator = coordinator
        self.site = lay_out(folder, dict.fromkeys("ab", PORT), "unused:1", dt.datetime.now(dt.UTC))
        self.labels = tuple(self.site.nodes)
        self._uuids = {label: node.uuid for label, node in self.site.nodes.items()}
        self.hosts = {name: self._host(name, folder) for name in ADDRESSES}
        self.network = Network(self.hosts, ADDRESSES)
        self.nodes = {label: self._node(node) for label, node in self.site.nodes.items()}
        self.witness = NetNode(self.hosts[WITNESS], folder / WITNESS, {"etcd": etcd_command(WITNESS, folder)})
        self.members: dict[str, NetNode] = {**self.nodes, WITNESS: self.witness}
        self.readers: Readers | None = None
        self.base = self.new_key("K1")
        self._keys = 0

    def _host(self, name: str, folder: Path) -> Host:
        if name == CLIENT:
            return Host(name)
        disks = {folder / name / disk: size for disk, size in zip(DISKS, (STATE_DISK, ETCD_DISK), strict=True)}
        for disk in disks:
            disk.mkdir(parents=True)
        host, identity = Host(name, disks), folder / name / IDENTITY
        identity.write_text(str(uuid.uuid4()), encoding="ascii")
        for source in (*HARDWARE.values(), MACHINE_ID):  # else all hosts would be the same machine
            if (Path("/") / source).exists():
                host.run("mount", "--bind", str(identity), f"/{source}")
        return host

    def _node(self, node: Node) -> NetNode:
        label, folder = node.label, node.folder
        (peer,) = (other for other in self.labels if other != label)
        conf = folder / "keepalived.conf"
        conf.write_text(configuration(label, ADDRESSES[label], ADDRESSES[peer], VIRTUAL_IP), encoding="utf-8")
        parent, child = folder / "keepalived.pid", folder / "vrrp.pid"
        pids = ("-p", str(parent), "-r", str(child))
        commands = {
            "etcd": etcd_command(label, folder.parent),
            "agent": [TWINKEY, "agent", "--config", f"{label}/agent.toml"],
            "coordinator": [*self._coordinator, "coordinator", "--config", f"{label}/coordinator.toml"],
            "keepalived": ["keepalived", "-n", "-l", "-D", "-P", "-f", str(conf), *pids],
        }
        found = NetNode(self.hosts[label], folder, commands)
        found.keepalived.leftovers = parent, child
        nearest_first = sorted(MEMBERS, key=lambda each: each != label)
        common = {
            "TWINKEY_LEASE_TTL": str(LEASE_TTL),
            "TWINKEY_ETCD_ENDPOINTS": ",".join(f"{ADDRESSES[each]}:{ETCD_PORT}" for each in nearest_first),
            "TWINKEY_STATE_DIR": f"{label}/state",
        }
        found.agent.lasting = common | {"TWINKEY_VIRTUAL_IP": VIRTUAL_IP, "TWINKEY_VIRTUAL_IP_FILE": ""}
        found.coordinator.lasting = common | {
            "TWINKEY_LISTEN": f"0.0.0.0:{PORT}",
            "TWINKEY_REMOVAL_SETTLE": str(SETTLE),
            "TWINKEY_CHANGES_PER_MINUTE": "100000",
        }
        return found

    # --- the whole of it -------------------------------------------------------------------------------------------

    def repair(self) -> None:
        """Repair the network and the disks, start what does not run, and thaw what is frozen."""
        self.network.heal()
        for machine in self.members.values():
            for disk in DISKS:
                machine.empty_disk(disk)
            machine.start()

    def start(self) -> None:
        """Repair everything; return when the site is at rest, with no key but `base`, which is in node a."""
        self.repair()
        for label, node in self.site.nodes.items():
            for file in node.bus.iterdir():
                if label != "a" or self.base.key_id not in file.name:
                    file.unlink()
        if not self.site.nodes["a"].has(self.base.key_id):
            self.plug("a", self.base)
        self.read()
        eventually_sync(lambda: all(self._rests(name) for name in (*self.labels, VIP)), AT_REST)
        eventually_sync(self._members_agree, AT_REST)

    def read(self) -> Readers:
        """Begin to read, unless somebody reads already; return the readers."""
        if self.readers is None:
            targets = {label: Target(ADDRESSES[label], ANSWERED) for label in self.labels}
            targets[VIP] = Target(VIRTUAL_IP, MOVED)
            self.readers = Readers(self.hosts[CLIENT], targets, PORT, self.site.token)
        return self.readers

    def _rests(self, target: str) -> bool:
        assert self.readers
        last = self.readers.newest(target)
        if last is None or not last.fresh:
            return False
        status = last.status
        whole = all(node["reachable"] for node in status["nodes"]) and len(self.holders(status)) == 1
        ours = {"a": {self.base.key_id: "ok"}, "b": {}}
        return whole and status["license"]["keyId"] == self.base.key_id and keys_in(dict(status)) == ours

    def _members_agree(self) -> bool:
        leads = {self.member(label).status()[1] for label in self.members}
        return len(leads) == 1 and "" not in leads

    def close(self) -> None:
        """Kill everything and leave no trace."""
        if self.readers:
            self.readers.close()
        for node in self.members.values():
            node.kill()
        self.network.close()
        for host in self.hosts.values():
            host.close()

    # --- acting ----------------------------------------------------------------------------------------------------

    def new_key(self, name: str = "") -> SimulatedKey:
        """Return a genuine key; without a name one that there was not before."""
        if not name:
            self._keys += 1
            name = f"N{self._keys}"
        return licensed_key(self.site.vendor, name, dt.timedelta(days=300))

    def plug(self, label: str, key: SimulatedKey) -> None:
        """Insert a key into a node."""
        simulated.plug(self.site.nodes[label].bus, key)

    def unplug(self, label: str, key: SimulatedKey) -> None:
        """Pull a key out of a node."""
        simulated.unplug(self.site.nodes[label].bus, key.key_id)

    def move_etcd_leader(self, label: str) -> None:
        """Let this member lead etcd."""
        target = self.member(label).status()[0]

        def moved() -> bool:
            leading = self.etcd_leader()
            if leading != label:
                self.member(leading).ask("maintenance/transfer-leadership", {"targetID": target})
            return leading == label

        eventually_sync(moved, AT_REST, f"etcd's member {label} leads")

    # --- looking ---------------------------------------------------------------------------------------------------

    def call(
        self,
        label: str,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        source: str = CLIENT,
        within: float = 15.0,
    ) -> Answer:
        """Make any call of a node, from the client or another host, with the site's token."""
        headers = {"Authorization": f"Bearer {self.site.token}"}
        address = VIRTUAL_IP if label == VIP else ADDRESSES[label]
        return call(self.hosts[source], address, PORT, method, path, body, headers, within)

    def status(self, label: str, source: str = CLIENT) -> Status:
        """Return what a node answers to `GET /v1/status`."""
        answer = self.call(label, "GET", "/v1/status", source=source, within=2.0)
        assert answer.status == 200, answer.body
        found: Status = json.loads(answer.body)
        return found

    def wait_for(self, label: str, shown: Callable[[Status], object], within: float, source: str = CLIENT) -> Status:
        """Return the first status of a node, asked from a host, of which `shown` is true."""
        last: list[Status] = [{}]

        def look() -> bool:
            last[0] = self.status(label, source)
            return bool(shown(last[0]))

        eventually_sync(look, within, f"node {label} as seen from {source}")
        return last[0]

    def member(self, label: str, source: str = CLIENT) -> Member:
        """Return an etcd member as a host sees it."""
        return Member(self.hosts[source], ADDRESSES[label])

    def etcd_leader(self) -> str:
        """Return who leads etcd."""
        for own, leader, label in self._etcd_statuses():
            if own == leader:
                return label
        raise LookupError("no etcd member leads")

    def _etcd_statuses(self) -> Iterator[tuple[str, str, str]]:
        for label, node in self.members.items():
            if node.etcd.running:
                with suppress(OSError):
                    yield *self.member(label).status(), label

    def leader(self) -> str:
        """Return the node whose coordinator leads, by its own word; LookupError where that is not one."""
        found = []
        for label in self.labels:
            with suppress(OSError):
                if self.call(label, "GET", "/leader", within=1.0).status == 200:
                    found.append(label)
        if len(found) != 1:
            raise LookupError(f"leaders are {found}")
        return found[0]

    def other(self, label: str) -> str:
        """Return the other node."""
        (found,) = (each for each in self.labels if each != label)
        return found

    def holders(self, status: Any) -> list[str]:
        """Return the nodes that hold the virtual IP by a status."""
        return [node["name"] for node in status["nodes"] if node["vip"]]

    def seen(self, target: str, since: float, shown: Callable[[Reading], object], within: float = 15.0) -> float:
        """Return after how many seconds from a moment a reader of this target was first told what `shown` wants."""
        assert self.readers
        readers = self.readers

        def look() -> Reading | None:
            return next((reading for reading in readers.since(since, target) if shown(reading)), None)

        try:
            return eventually_sync(look, within).told - since
        except AssertionError as error:
            last = readers.newest(target)
            raise AssertionError(f"{error}\nlast reading: {last}, {last.status if last else None}") from error


def etcd_command(label: str, folder: Path, *, among: Sequence[str] = MEMBERS) -> list[str]:
    """Return the command of an etcd member with the timings that a site's etcd has; `among` whom it begins."""
    client, peer = f"http://{ADDRESSES[label]}:{ETCD_PORT}", f"http://{ADDRESSES[label]}:2380"
    cluster = ",".join(f"{each}=http://{ADDRESSES[each]}:2380" for each in among)
    return [
        str(find_etcd()),
        *("--name", label, "--data-dir", str(folder / label / "etcd" / "data")),
        *("--logger", "zap", "--log-level", "warn"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", cluster, "--heartbeat-interval", "50", "--election-timeout", "500"),
        "--pre-vote",  # a member that comes back from being cut off does not depose a leader that works
    ]


def now() -> float:
    """Return the time by which readings are dated."""
    return time.monotonic()

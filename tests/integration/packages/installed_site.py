"""A site installed from the package as its page says: two nodes with a virtual IP, a witness, and a simulated USB key.

People's commands act, on the machines; clients look, over HTTPS from outside.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.containers.docker_daemon import DockerDaemon
from tests.integration.packages.machines import CARRIED, NET, CommandFailed, Machine, build, holds, run
from tests.site import TWINKEY, Status, keys_in
from tests.waiting import eventually_sync

NODES = {"node-a": 11, "node-b": 12}
WITNESS, VIRTUAL_IP = 13, f"{NET}.10"
BUS = "/srv/bus"
ETC = "/etc/twinkey"
DAEMONS = ("twinkey-coordinator", "twinkey-agent")
KEEPALIVED = "/etc/keepalived/keepalived.conf"
HOSTS = 10
AT_REST = 30.0
SEEN = 10.0
ASKED_AGAIN = 0.1
TIMEOUT = 2.0


class InstalledSite:
    """The machines of one site; `folder` is shared with them, and `deb` is what is installed on the nodes."""

    def __init__(self, daemon: DockerDaemon, folder: Path, deb: Path) -> None:
        client = daemon.client()
        self.folder = folder
        self.deb = f"{CARRIED}/{deb.name}"
        shutil.copy(deb, folder)
        self.nodes = {name: build(client, name, last, folder) for name, last in NODES.items()}
        self.witness = build(client, "witness", WITNESS, folder)
        self.ca = folder / "ca.pem"
        self._token = ""

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All machines, the founding node first."""
        return (*self.nodes.values(), self.witness)

    @property
    def founder(self) -> Machine:
        """The node on which the site is founded."""
        return self.nodes["node-a"]

    def install(self) -> None:
        """Install the package on both nodes, and make a site of the three machines."""
        for machine in self.machines:
            machine.boot()
        for node in self.nodes.values():
            node.run("dpkg", "--install", self.deb)
            node.run("install", "-d", BUS)
        self._make_vendor()
        self.founder.run(*self._founding())
        for machine in self.machines[1:]:
            self.founder.run("cp", self.bundle(machine), CARRIED)
            self.join(machine)
        for machine in self.machines:
            restart(machine, "etcd")
        eventually_sync(lambda: self.founder.run("twinkey", "site", "roles"), AT_REST)
        for node in self.nodes.values():
            restart(node, *DAEMONS)
            node.run("ln", "-sf", f"{ETC}/keepalived.conf", KEEPALIVED)
            node.run("systemctl", "restart", "keepalived")
        self.founder.run("cp", f"{ETC}/ca.pem", CARRIED)
        self._token = self.founder.run("cat", f"{ETC}/platform.token").strip()

    def join(self, machine: Machine) -> None:
        """Give a machine its files, as one does where Twinkey is installed and where it is not."""
        bundle = f"{CARRIED}/{Path(self.bundle(machine)).name}"
        if machine is self.witness:
            machine.run("tar", "-xf", bundle, "-C", "/")
        else:
            machine.run("twinkey", "site", "join", bundle)

    def bundle(self, machine: Machine) -> str:
        """Return where the founding node keeps the files of another machine."""
        return f"{ETC}/authority/join-{machine.name}.tar"

    def _founding(self) -> tuple[str, ...]:
        nodes = (word for node in self.nodes.values() for word in ("--node", f"{node.name}={node.address}"))
        others = ("--witness", f"{self.witness.name}={self.witness.address}", "--virtual-ip", VIRTUAL_IP)
        own = ("--keyring", f"{CARRIED}/vendor/keyring.json", "--bus", f"simulated:{BUS}")
        return ("twinkey", "site", "init", "--site-id", "acme", *nodes, *others, *own)

    def _make_vendor(self) -> None:
        """Make a vendor, and a key that holds a licence."""
        vendor = self.folder / "vendor"
        licence, key = f"{vendor}/k1.licence", f"{vendor}/K1.ukey"
        run(TWINKEY, "issuer", "keygen", "--out", str(vendor))
        terms = ("--name", "Acme", "--edition", "advanced-paid", "--hosts", str(HOSTS), "--expires", "2099-12-31")
        run(TWINKEY, "issuer", "issue", "--key", f"{vendor}/vendor.key", "--out", licence, *terms, "--usb-key", "K1")
        run(TWINKEY, "issuer", "write-key", licence, "--simulated", key, "--yes")

    def plug(self) -> None:
        """Insert the key into the founding node, where it is not there."""
        self.founder.run("install", "-m", "0644", f"{CARRIED}/vendor/K1.ukey", BUS)

    def status(self, address: str = VIRTUAL_IP) -> Status:
        """Return what is answered at an address of the site; OSError where nobody does."""
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(f"https://{address}:8441/v1/status", headers=headers)
        trusting = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=trusting) as answer:  # noqa: S310
                status: Status = json.load(answer)
        except http.client.HTTPException as error:  # the node was stopped while it answered
            raise ConnectionError(f"half an answer: {error}") from error
        return status

    def shown(self, address: str, shows: Callable[[Status], object], within: float) -> Status:
        """Return the first status at an address of which `shows` is true; a failure tells the last one."""
        last: list[Status] = [{}]

        def look() -> bool:
            last[0] = self.status(address)
            return bool(shows(last[0]))

        try:
            eventually_sync(look, within)
        except AssertionError as error:
            raise AssertionError(f"{error}; {address} shows {last[0]}") from error
        return last[0]

    def holder(self) -> Machine:
        """Return the node that holds the virtual IP; AssertionError where it is not one."""
        holders = [node for node in self.nodes.values() if node.is_on and holds(node, VIRTUAL_IP)]
        assert len(holders) == 1, [node.name for node in holders]
        return holders[0]

    def other(self, node: Machine) -> Machine:
        """Return the other node."""
        return next(each for each in self.nodes.values() if each is not node)

    def mend(self) -> None:
        """Let everything run that should, in the version that was installed first, and wait until all is well."""
        for machine in self.machines:
            if not machine.is_on:
                machine.boot()
        for node in self.nodes.values():
            if not self._is_installed(node):
                node.run("dpkg", "--install", self.deb)
            if not node.succeeds("test", "-e", f"{ETC}/agent.toml"):
                self.join(node)
        for machine in self.machines:
            units = ("etcd",) if machine is self.witness else ("etcd", *DAEMONS, "keepalived")
            machine.run("systemctl", "start", *units)
        self.plug()
        for place in (VIRTUAL_IP, *(node.address for node in self.nodes.values())):
            self.shown(place, at_rest, AT_REST)

    def _is_installed(self, node: Machine) -> bool:
        """Whether a node has the package that was installed first, whole."""
        version = node.run("dpkg-deb", "--field", self.deb, "Version").strip()
        asked = ("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Version}", "twinkey")
        return node.succeeds(*asked) and node.run(*asked) == f"ii {version}"

    @contextmanager
    def licensed_throughout(self, node: Machine) -> Iterator[None]:
        """See that a node answers all the time meanwhile, and never anything else than that the licence is valid."""
        wrong: list[object] = []
        asked, over = [0], threading.Event()

        def ask() -> None:
            while not over.wait(ASKED_AGAIN):
                asked[0] += 1
                try:
                    said = self.status(node.address)
                except OSError as error:
                    wrong.append(error)
                else:
                    if (said["license"]["status"], said["license"]["keyId"]) != ("Valid", "K1"):
                        wrong.append(said)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            over.set()
            asking.join()
        assert not wrong, f"{len(wrong)} of {asked[0]} answers of {node.name}, the first: {wrong[0]}"
        assert asked[0]


def restart(machine: Machine, *units: str) -> None:
    """Let units start at every boot, and restart them now."""
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", *units)
    try:
        machine.run("systemctl", "restart", *units)
    except CommandFailed as error:
        logged = "".join(machine.journal(unit)[-2000:] for unit in units)
        raise CommandFailed(f"{error}{logged}") from error


def at_rest(status: Status) -> bool:
    """Whether a status is fresh, the key licenses the site, both nodes report, and one holds the virtual IP."""
    reachable = [node["reachable"] for node in status["nodes"]] == [True, True]
    held = keys_in(status) == {"node-a": {"K1": "ok"}, "node-b": {}} and status["license"]["keyId"] == "K1"
    return reachable and held and not status["stale"] and len(status["vipHolders"]) == 1

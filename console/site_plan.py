"""What was decided when a site was founded: its machines, their names, addresses and uuids, its ports.

Every other file of a machine follows from this and from the site's authority. Knows no file and no certificate.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from cluster.identity import BadIdentity, parse_uuid
from cluster.keys import BadKey, Keys
from licensing.value import Name, Time, Value
from usbwatch.driver import drivers_with, parse_ids

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_BUS = re.compile(r"usb|simulated:/.+")
_RESERVED = {"localhost", "etcd-member"}
"""Names in certificates that stand for something else."""
LARGEST_PORT = 65_535
TWO = 2


class BadPlan(ValueError):  # noqa: N818 - it says what the plan is
    """No site can be made of this; the text says what to write instead."""


class Machine(Value, frozen=True):
    """One machine of the site; `uuid` is the `managementNodeUuid` of a node, None for the witness."""

    name: str
    address: str
    uuid: str | None = None


class Ports(Value, frozen=True):
    """Where etcd listens for clients and for its peers, and the coordinator for everybody; on every machine alike."""

    client: int = 2379
    peer: int = 2380
    http: int = 8441


class Plan(Value, frozen=True):
    """A site as it was founded. `token` keeps etcd's members from those of another site that had their addresses."""

    site_id: Name
    nodes: tuple[Machine, ...]
    witness: Machine | None
    virtual_ip: str
    bus: str
    stick_ids: tuple[str, ...]
    ports: Ports
    token: str
    founded: Time

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The nodes, the founding one first, and the witness."""
        return (*self.nodes, *((self.witness,) if self.witness else ()))

    @property
    def uuids(self) -> tuple[str, ...]:
        """The `managementNodeUuid` of each node."""
        return tuple(node.uuid for node in self.nodes if node.uuid)

    def machine(self, name: str) -> Machine:
        """Return the machine of that name; KeyError where there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise KeyError(name)

    def peer_of(self, machine: Machine) -> Machine | None:
        """Return the other node of a node."""
        return next((node for node in self.nodes if node != machine), None)

    def endpoints(self, nearest: Machine) -> tuple[str, ...]:
        """Return host:port of every etcd member, the nearest first."""
        others = (machine for machine in self.machines if machine != nearest)
        return tuple(at(machine.address, self.ports.client) for machine in (nearest, *others))


class Wish(Value, frozen=True):
    """What somebody asks for who founds a site; `uuids` are those that must not be made up, by the node's name."""

    site_id: str
    nodes: tuple[Machine, ...]
    witness: Machine | None
    virtual_ip: str
    bus: str
    stick_ids: tuple[str, ...]
    ports: Ports
    uuids: dict[str, str]


def at(address: str, port: int) -> str:
    """Return host:port, an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def named_machine(text: str) -> Machine:
    """Read NAME=ADDRESS.

    Raises:
        BadPlan
    """
    name, _, address = text.partition("=")
    if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
        raise BadPlan(
            f"{name!r} cannot be the name of a machine: take letters, digits and '-', at most 63, as in a=192.0.2.1"
        )
    return Machine(name, usual_address(address, f"the address of {name}"))


def usual_address(text: str, what: str) -> str:
    """Return an IP address in its usual form.

    Raises:
        BadPlan
    """
    try:
        address = ip_address(text)
    except ValueError as error:
        raise BadPlan(f"{what} has to be an IP address, and {text!r} is none: write NAME=192.0.2.1") from error
    if isinstance(address, IPv6Address) and (address.scope_id or address.is_link_local):
        raise BadPlan(
            f"{what} has to be one that is the same on every machine, and {text} is of one link: take another"
        )
    if address.is_unspecified or address.is_multicast:
        raise BadPlan(f"{what} has to be one at which the other machines reach it, and {text} is not")
    return str(address)


def named_uuids(texts: Iterable[str]) -> dict[str, str]:
    """Read NAME=UUID, each name once.

    Raises:
        BadPlan
    """
    uuids: dict[str, str] = {}
    for text in texts:
        name, sign, given = text.partition("=")
        if not sign:
            raise BadPlan(f"--uuid {text}: write NAME=UUID, with the name of a node")
        try:
            node = parse_uuid(given, f"--uuid {text}")
        except BadIdentity as error:
            raise BadPlan(str(error)) from error
        if name in uuids:
            raise BadPlan(f"--uuid names {name} twice: give each node one uuid")
        uuids[name] = node
    return uuids


def decide(wish: Wish, now: dt.datetime) -> Plan:
    """Decide what was left open, and return the plan of a new site.

    Raises:
        BadPlan
    """
    check(wish)
    nodes = tuple(
        Machine(node.name, node.address, wish.uuids.get(node.name) or str(uuid.uuid4())) for node in wish.nodes
    )
    return Plan(
        wish.site_id,
        nodes,
        wish.witness,
        wish.virtual_ip,
        wish.bus,
        wish.stick_ids,
        wish.ports,
        f"{wish.site_id}-{secrets.token_hex(8)}",
        now.replace(microsecond=0),
    )


def check(wish: Wish) -> None:
    """Refuse what cannot be a site.

    Raises:
        BadPlan: with what to write instead.
    """
    for problem in (*_machines_wrong(wish), *_rest_wrong(wish)):
        raise BadPlan(problem)


def _machines_wrong(wish: Wish) -> Iterator[str]:
    machines = (*wish.nodes, *((wish.witness,) if wish.witness else ()))
    if not 1 <= len(wish.nodes) <= TWO:
        yield f"a site has one or two management nodes, and not {len(wish.nodes)}"
    if len(wish.nodes) == TWO and wish.witness is None:
        yield (
            "two nodes need a witness, a third small machine that runs an etcd member and nothing else: of two members "
            "none may fail, of three one may. Name it: --witness NAME=ADDRESS"
        )
    if len(wish.nodes) == 1 and wish.witness:
        yield "a site of one node has no witness: two etcd members would tolerate less than one. Name a second --node"
    for what, values in (
        ("name", [machine.name.lower() for machine in machines]),
        ("address", [machine.address for machine in machines]),
    ):
        if len(set(values)) < len(values):
            yield f"two machines have the same {what}: {', '.join(values)}"
    if len({ip_address(machine.address).version for machine in machines}) > 1:
        yield "the machines have addresses of IPv4 and of IPv6: take one kind for all"


def _rest_wrong(wish: Wish) -> Iterator[str]:
    try:
        Keys(wish.site_id)
    except BadKey as error:
        yield str(error)
    yield from _virtual_ip_wrong(wish)
    names = [node.name for node in wish.nodes]
    for name, given in wish.uuids.items():
        if name not in names:
            yield f"--uuid {name}={given}: no node is called {name}; there are {', '.join(names)}"
        try:
            parse_uuid(given, f"--uuid {name}")
        except BadIdentity as error:
            yield str(error)
    if len(set(wish.uuids.values())) < len(wish.uuids):
        yield "two nodes have the same --uuid: each machine has its own"
    if not _BUS.fullmatch(wish.bus) or not wish.bus.isprintable():
        yield f"--bus is usb, or simulated: and the absolute path of a folder in plain text, and not {wish.bus!r}"
    try:
        drivers_with(map(parse_ids, wish.stick_ids))
    except ValueError as error:
        yield f"--stick-id: {error}"
    ports = (wish.ports.client, wish.ports.peer, wish.ports.http)
    if len(set(ports)) < len(ports) or not all(0 < port <= LARGEST_PORT for port in ports):
        yield f"the ports {', '.join(map(str, ports))} have to be three different ones, up to {LARGEST_PORT}"


def _virtual_ip_wrong(wish: Wish) -> Iterator[str]:
    if not wish.virtual_ip:
        return
    if len(wish.nodes) < TWO:
        yield "a virtual IP moves between two nodes, and this site has one: leave --virtual-ip out"
    for machine in (*wish.nodes, *((wish.witness,) if wish.witness else ())):
        if machine.address == wish.virtual_ip:
            yield f"--virtual-ip {wish.virtual_ip} is the address of {machine.name}: take one that no machine has"
        if ip_address(machine.address).version != ip_address(wish.virtual_ip).version:
            yield "the virtual IP and the machines' addresses have to be of one kind, IPv4 or IPv6"


def differences(plan: Plan, wish: Wish) -> Iterable[str]:
    """Tell in what a site that was founded is another one than is asked for now."""
    pairs: Mapping[str, tuple[object, object]] = {
        "--site-id": (plan.site_id, wish.site_id),
        "--node": (_told(plan.nodes), _told(wish.nodes)),
        "--witness": (_told(plan.machines[len(plan.nodes) :]), _told((wish.witness,) if wish.witness else ())),
        "--virtual-ip": (plan.virtual_ip or "none", wish.virtual_ip or "none"),
        "--bus": (plan.bus, wish.bus),
        "--stick-id": (", ".join(plan.stick_ids) or "none", ", ".join(wish.stick_ids) or "none"),
        "the ports": (plan.ports, wish.ports),
    }
    for option, (founded, asked) in pairs.items():
        if founded != asked:
            yield f"{option} was {founded}, and is {asked} now"
    for node in plan.nodes:
        asked_uuid = wish.uuids.get(node.name, node.uuid)
        if asked_uuid != node.uuid:
            yield f"--uuid of {node.name} was {node.uuid}, and is {asked_uuid} now"


def _told(machines: Sequence[Machine]) -> str:
    return " ".join(f"{machine.name}={machine.address}" for machine in machines) or "none"

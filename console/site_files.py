"""Which files a machine of a founded site has, with their contents, who may read them and what they are for.

Says nothing about where they are now, and writes nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal, NamedTuple

import msgspec

from console.site_authority import CLIENT, SERVER, Authority, Pair, Subject
from console.site_plan import Machine, Plan
from console.site_settings import MEMBER, agent_toml, coordinator_toml, etcd_env
from licensing.value import Value

Group = Literal["root", "twinkey-agent", "twinkey-coordinator", "etcd"]

PUBLIC, GROUP, PRIVATE = 0o644, 0o640, 0o600
MACHINE = "machine.json"
KEYRING, TOKENS, TOKEN, PLATFORM = "keyring.json", "tokens.json", "token", "platform.token"
CA, ETCD_ENV, KEEPALIVED = "ca.pem", "etcd/etcd.env", "keepalived.conf"
AUTHORITY = "authority"
CA_KEY, SITE = f"{AUTHORITY}/ca.key", f"{AUTHORITY}/site.json"
AGENTS, COORDINATORS = "agent-", "coordinator-"
"""How etcd's users begin."""
LOCAL = ("localhost", "127.0.0.1", "::1")
ROOT = f"{AUTHORITY}/root"
"""etcd's `root`: the certificate with which roles are given."""
WHAT = {
    SITE: "what was decided when the site was founded",
    CA_KEY: "the key of the site's authority: whoever has it is let in everywhere",
    f"{ROOT}.pem": "etcd's root, who gives the roles",
    f"{ROOT}.key": "its key",
    MACHINE: "which machine this is",
    CA: "the site's certificate authority",
    KEYRING: "the vendor's public keys",
    TOKEN: "a token that may do everything",
    PLATFORM: "the platform's token: it may read, and report usage",
    TOKENS: "both tokens, as hashes",
    "agent.toml": "the agent's settings",
    "coordinator.toml": "the coordinator's settings",
    KEEPALIVED: "keepalived's settings",
    ETCD_ENV: "etcd's settings",
    "etcd/member.pem": "etcd's certificate",
    "etcd/member.key": "its key",
    "agent/etcd.pem": "the agent's certificate for etcd",
    "agent/etcd.key": "its key",
    "coordinator/etcd.pem": "the coordinator's certificate for etcd",
    "coordinator/etcd.key": "its key",
    "coordinator/http.pem": "the coordinator's certificate for HTTPS",
    "coordinator/http.key": "its key",
}
"""What each file is, in words."""


class Here(Value, frozen=True):
    """What a machine knows of its site: which of the plan's machines it is."""

    machine: str
    plan: Plan


class File(NamedTuple):
    """One file: `path` below /etc/twinkey, and who may read it. Of a `group` of others than root the group may."""

    path: str
    data: bytes
    mode: int = PUBLIC
    group: Group = "root"


class PairFiles(NamedTuple):
    """A certificate with its key: `path` without .pem and .key."""

    path: str
    pair: Pair
    group: Group = "root"

    @property
    def files(self) -> tuple[File, File]:
        """The two files, the key first."""
        mode = PRIVATE if self.group == "root" else GROUP
        return (
            File(f"{self.path}.key", self.pair.key, mode, self.group),
            File(f"{self.path}.pem", self.pair.certificate),
        )


class Shared(NamedTuple):
    """What all nodes have alike: the authority's certificate, the keyring, the tokens as hashes and in clear."""

    ca: bytes
    keyring: bytes
    tokens: bytes
    token: bytes | None
    platform: bytes | None


class MachineFiles(NamedTuple):
    """All files of a machine, in the order in which they are written: what was decided comes first."""

    here: Here
    plain: tuple[File, ...]
    pairs: tuple[PairFiles, ...]

    @property
    def machine(self) -> Machine:
        """Whose they are."""
        return self.here.plan.machine(self.here.machine)


def machine_files(
    plan: Plan, machine: Machine, authority: Authority, shared: Shared, now: dt.datetime, state: str = "new"
) -> MachineFiles:
    """Make a machine's files, with new certificates; keepalived's settings are missing, which name its interface."""
    here = Here(machine.name, plan)
    member = Subject(None, (MEMBER, machine.name, machine.address, *LOCAL), (SERVER, CLIENT))
    plain = [
        File(MACHINE, msgspec.json.format(msgspec.json.encode(here)) + b"\n"),
        File(CA, shared.ca),
    ]
    pairs = [PairFiles("etcd/member", authority.issue(member, now), "etcd")]
    if machine.uuid:
        plain += _node_files(plan, machine, shared)
        pairs += _node_pairs(plan, machine, authority, now)
    env = File(ETCD_ENV, etcd_env(plan, machine, state).encode())
    return MachineFiles(here, (*plain, env), tuple(pairs))


def root_pair(authority: Authority, now: dt.datetime) -> PairFiles:
    """Make the certificate of etcd's `root`."""
    return PairFiles(ROOT, authority.issue(Subject("root", (), (CLIENT,)), now))


def agent_user(uuid: str) -> str:
    """Return the etcd user that a node's agent is, and the name of its role."""
    return AGENTS + uuid


def coordinator_user(uuid: str) -> str:
    """Return the etcd user that a node's coordinator is, and the name of its role."""
    return COORDINATORS + uuid


def _node_files(plan: Plan, node: Machine, shared: Shared) -> list[File]:
    tokens = [
        File(TOKEN, shared.token, PRIVATE) if shared.token else None,
        File(PLATFORM, shared.platform, PRIVATE) if shared.platform else None,
    ]
    return [
        File(KEYRING, shared.keyring),
        *(file for file in tokens if file),
        File(TOKENS, shared.tokens, GROUP, "twinkey-coordinator"),
        File("agent.toml", agent_toml(plan, node).encode()),
        File("coordinator.toml", coordinator_toml(plan, node).encode()),
    ]


def _node_pairs(plan: Plan, node: Machine, authority: Authority, now: dt.datetime) -> list[PairFiles]:
    assert node.uuid
    agent = Subject(agent_user(node.uuid), (), (CLIENT,))
    coordinator = Subject(coordinator_user(node.uuid), (), (CLIENT,))
    virtual = (plan.virtual_ip,) if plan.virtual_ip else ()
    http = Subject(None, (node.name, node.address, *LOCAL, *virtual), (SERVER,))
    return [
        PairFiles("agent/etcd", authority.issue(agent, now), "twinkey-agent"),
        PairFiles("coordinator/etcd", authority.issue(coordinator, now), "twinkey-coordinator"),
        PairFiles("coordinator/http", authority.issue(http, now), "twinkey-coordinator"),
    ]

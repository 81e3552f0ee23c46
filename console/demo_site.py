"""The files of a demo's site: who is who, which ports, and the settings of every daemon.

Everything is laid out fresh at each start. Paths are relative to the demo's folder, where the daemons run: a unix
socket of theirs may have a path of 107 bytes at most. Knows no process.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from console.demo_keys import keyring_of, pem_of
from console.demo_places import LOOPBACK, TOKEN_FILE, url_of
from usbwatch.simulated_key import key_path

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

SITE_ID = "demo"


@dataclass(frozen=True)
class Node:
    """One node of the demo: `label` is a or b, `port` that of its HTTP API, `folder` where its files are."""

    label: str
    uuid: str
    port: int
    folder: Path

    @property
    def agent(self) -> str:
        """The name of its agent's process."""
        return f"agent of node {self.label}"

    @property
    def coordinator(self) -> str:
        """The name of its coordinator's process."""
        return f"coordinator of node {self.label}"

    @property
    def daemons(self) -> tuple[str, str]:
        """Both."""
        return (self.agent, self.coordinator)

    @property
    def bus(self) -> Path:
        """Its simulated USB bus."""
        return self.folder / "bus"

    @property
    def vip(self) -> Path:
        """The node holds the virtual IP while this file exists."""
        return self.folder / "vip" / "held"

    @property
    def url(self) -> str:
        """Where its API answers."""
        return url_of(self.port)

    def has(self, key: str) -> bool:
        """Tell whether the key is plugged in here."""
        return key_path(self.bus, key).exists()


@dataclass(frozen=True)
class Site:
    """The whole demo: its nodes by label, and the secrets of this start."""

    folder: Path
    nodes: Mapping[str, Node]
    endpoint: str
    token: str
    vendor: Ed25519PrivateKey

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the site answers, node a first."""
        return tuple(node.url for node in self.nodes.values())


def lay_out(folder: Path, ports: Mapping[str, int], endpoint: str, now: dt.datetime) -> Site:
    """Write the files of a fresh site with no key plugged and the virtual IP on the first node.

    Args:
        folder: empty and private.
        ports: the HTTP port of every node by its label.
        endpoint: host:port of etcd.
        now: UTC; the vendor's key is valid from a day before.
    """
    nodes = {label: Node(label, str(uuid.uuid4()), port, folder / label) for label, port in ports.items()}
    site = Site(folder, nodes, endpoint, secrets.token_urlsafe(24), Ed25519PrivateKey.generate())
    _write_secret(folder / "vendor.key", pem_of(site.vendor))
    (folder / "keyring.json").write_bytes(keyring_of(site.vendor, now))
    _write_secret(folder / TOKEN_FILE, f"{site.token}\n".encode())
    _write_secret(folder / "tokens.json", _tokens(site.token))
    for node in nodes.values():
        _lay_out_node(node, site)
    next(iter(nodes.values())).vip.touch()
    return site


def _lay_out_node(node: Node, site: Site) -> None:
    for folder in (node.bus, node.vip.parent, node.folder / "agent", node.folder / "coordinator"):
        folder.mkdir(parents=True)
    where = node.label
    both = {"site_id": SITE_ID, "node": node.uuid, "name": node.label, "keyring": "keyring.json"}
    agent = both | {
        "state_dir": f"{where}/agent",
        "bus": f"simulated:{where}/bus",
        "virtual_ip_file": f"{where}/vip/held",
    }
    coordinator = both | {
        "members": [member.uuid for member in site.nodes.values()],
        "state_dir": f"{where}/coordinator",
        "listen": f"{LOOPBACK}:{node.port}",
        "tokens": "tokens.json",
        "socket": f"{where}/coordinator.sock",
    }
    (node.folder / "agent.toml").write_text(_toml(agent, site.endpoint), encoding="utf-8")
    (node.folder / "coordinator.toml").write_text(_toml(coordinator, site.endpoint), encoding="utf-8")


def _toml(settings: Mapping[str, object], endpoint: str) -> str:
    """Strings and lists of strings look the same in JSON and TOML."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join([*lines, "", "[etcd]", f"endpoints = {json.dumps([endpoint])}", ""])


def _tokens(token: str) -> bytes:
    digest = hashlib.sha256(token.encode()).hexdigest()
    known = {"name": "demo", "sha256": digest, "scopes": ["read", "usage", "admin"]}
    return json.dumps({"tokens": [known]}).encode()


def _write_secret(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)

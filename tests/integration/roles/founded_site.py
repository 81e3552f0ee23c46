"""A site as `twinkey site` founds it, on the loopback: three etcd members with TLS, and the daemons of two nodes.

The files are those that the commands wrote, started as they are; only the paths in them, which are those of an
installed machine, are this test's own.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cluster.etcd import EtcdStore
from cluster.etcd_access import Tls
from cluster.keys import Keys
from cluster.local_etcd import die_with_parent
from console.demo_keys import keyring_of
from console.demo_site import Node
from tests.etcd_server import free_ports
from tests.site import TWINKEY, Daemon

SITE = "acme"
KEYS = Keys(SITE)
ADDRESSES = {"a": "127.0.0.1", "b": "127.0.0.2", "w": "127.0.0.3"}
NODES = ("a", "b")


class FoundedSite:
    """The machines a, b and w (the witness), each with a folder of its own; `close` ends all that was started.

    `told` is what `twinkey site roles` told when it was run first.
    """

    def __init__(self, folder: Path, binary: Path, vendor: Ed25519PrivateKey) -> None:
        self.folder, self.binary = folder, binary
        self.client_port, self.peer_port, self.http_port = free_ports(3)
        (folder / "keyring.json").write_bytes(keyring_of(vendor, dt.datetime.now(dt.UTC)))
        machines = [f"{name}={address}" for name, address in ADDRESSES.items()]
        self._founding = [
            *("init", "--site-id", SITE, "--keyring", f"{folder}/keyring.json", "--bus", f"simulated:{folder}/bus"),
            *("--node", machines[0], "--node", machines[1], "--witness", machines[2]),
            *("--client-port", str(self.client_port), "--peer-port", str(self.peer_port)),
            *("--http-port", str(self.http_port)),
        ]
        self.uuids: dict[str, str] = self.found()
        self._members = {name: self._start_etcd(name) for name in ADDRESSES}
        self.daemons: dict[tuple[str, str], Daemon] = {}
        self.told: dict[str, list[str]] = {}

    def found(self, *more: str) -> dict[str, str]:
        """Found the site and let the other machines join; return the nodes' uuids."""
        told = self.twinkey(*self._founding, *more, etc="a")
        for name, bundle in told["bundles"].items():
            self.twinkey("join", bundle, etc=name)
        uuids: dict[str, str] = told["nodes"]
        return uuids

    def etc(self, name: str) -> Path:
        """Return where a machine's /etc/twinkey is."""
        return self.folder / name / "etc"

    def twinkey(self, *arguments: str, etc: str) -> Any:
        """Run a command of `twinkey site` on a machine and return what it told."""
        command = [TWINKEY, "site", *arguments, "--etc", str(self.etc(etc)), "--json"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def tls(self, name: str, pair: str | None) -> Tls:
        """Return the certificate of a machine's daemon; with None that of the authority alone."""
        etc = self.etc(name)
        return Tls(etc / "ca.pem", etc / f"{pair}.pem", etc / f"{pair}.key") if pair else Tls(etc / "ca.pem")

    @property
    def endpoints(self) -> tuple[str, ...]:
        """host:port of every etcd member."""
        return tuple(f"{address}:{self.client_port}" for address in ADDRESSES.values())

    def store(self, name: str, pair: str | None) -> EtcdStore:
        """Return a client that shows this certificate."""
        return EtcdStore(self.endpoints, tls=self.tls(name, pair))

    def etcdctl(self, *arguments: str) -> str:
        """Run etcdctl as etcd's root and return what it prints."""
        etc = self.etc("a")
        answer = subprocess.run(
            [
                *(str(self.binary.parent / "etcdctl"), "--endpoints", f"https://{self.endpoints[0]}"),
                *("--cacert", f"{etc}/ca.pem"),
                *("--cert", f"{etc}/authority/root.pem", "--key", f"{etc}/authority/root.key", *arguments),
            ],
            env=os.environ | {"ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return answer.stdout

    def start_daemons(self) -> None:
        """Start agent and coordinator of both nodes with the settings that were written for them."""
        for name in NODES:
            address = ADDRESSES[name]
            node = Node(name, self.uuids[name], self.http_port, self.folder / name)
            for verb in ("agent", "coordinator"):
                settings = (self.etc(name) / f"{verb}.toml").read_text(encoding="utf-8")
                (node.folder / f"{verb}.toml").write_text(self._here(settings, name), encoding="utf-8")
                daemon = Daemon(verb, node)
                daemon.environment = {
                    "TWINKEY_LISTEN": f"{address}:{self.http_port}",  # both nodes are this machine
                    "TWINKEY_COORDINATOR": f"https://{address}:{self.http_port}",
                    "TWINKEY_SOCKET": f"{name}/coordinator.sock",
                    "TWINKEY_BUS": f"simulated:{name}/bus",
                }
                (node.folder / "bus").mkdir(exist_ok=True)
                daemon.start()
                self.daemons[name, verb] = daemon

    def status(self, name: str) -> dict[str, Any]:
        """Ask a node for the status, over HTTPS and as the platform would."""
        etc = self.etc(name)
        address = f"https://{ADDRESSES[name]}:{self.http_port}"
        access = ("--url", address, "--token-file", f"{etc}/platform.token", "--ca", f"{etc}/ca.pem")
        command = [TWINKEY, "status", "--json", *access]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=self.folder)
        return json.loads(answer.stdout) if answer.stdout.strip() else {"error": answer.stderr}

    def restart_etcd(self) -> None:
        """Start all members anew with the settings and certificates that are there now."""
        self._stop_etcd()
        self._members = {name: self._start_etcd(name) for name in ADDRESSES}

    def stop_daemons(self) -> None:
        """End agents and coordinators."""
        for daemon in self.daemons.values():
            daemon.end()

    def close(self) -> None:
        """End everything."""
        self.stop_daemons()
        self._stop_etcd()

    def _stop_etcd(self) -> None:
        for member in self._members.values():
            member.kill()
            member.wait()

    def _start_etcd(self, name: str) -> subprocess.Popen[bytes]:
        lines = self._here((self.etc(name) / "etcd/etcd.env").read_text(encoding="utf-8"), name).splitlines()
        wanted = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        with (self.folder / name / "etcd.log").open("ab") as log:
            return subprocess.Popen(
                [self.binary],
                env=ours | wanted,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )

    def _here(self, text: str, name: str) -> str:
        """Return settings with this test's paths."""
        folder = self.folder / name
        for installed, here in (
            ("/etc/twinkey", str(self.etc(name))),
            ("/var/lib/twinkey", f"{folder}/lib"),
            ("/var/lib/etcd/twinkey", f"{folder}/etcd"),
        ):
            text = text.replace(installed, here)
        return text

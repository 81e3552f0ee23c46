"""Three etcd members, each in a container of its own on one Docker network, with addresses that survive restarts."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from docker.types import EndpointConfig, IPAMConfig, IPAMPool
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.waiting import eventually_sync

IMAGE = "twinkey-test-etcd"
BRIDGE = "twinkey-etcd"
SUBNET = "10.213.77"
NAMES = ("m0", "m1", "m2")
READY = 15.0
_API = "1.41"


class EtcdContainer:
    """One member; what breaks it is undone by `mend`."""

    def __init__(self, name: str, program: Path, network: Network) -> None:
        self.name = name
        self.address = _address(name)
        self.endpoint = f"{self.address}:2379"
        self._cables = docker.from_env().networks.get(network.name)
        self._connected = True
        endpoint = EndpointConfig(_API, ipv4_address=self.address)
        self._member = (
            DockerContainer(IMAGE)
            .with_command([str(program), *_arguments(name)])
            .with_kwargs(network=network.name, networking_config={network.name: endpoint})
        )

    def start(self) -> None:
        """Start the container."""
        self._member.start()

    def remove(self) -> None:
        """Remove the container with its data."""
        self._member.stop()

    def kill(self) -> None:
        """Kill the member; its data stay."""
        self._container.kill()

    def pause(self) -> None:
        """Freeze the member: its connections stay open and nothing answers."""
        self._container.pause()

    def disconnect(self) -> None:
        """Pull the network cable out: nobody reaches the member, and it goes on."""
        self._cables.disconnect(self._container)
        self._connected = False

    def mend(self) -> None:
        """Undo what was broken."""
        self._container.reload()
        if self._container.status == "paused":
            self._container.unpause()
        elif self._container.status == "exited":
            self._container.start()
        if not self._connected:
            self._cables.connect(self._container, ipv4_address=self.address)
            self._connected = True

    def status(self) -> dict[str, Any]:
        """Return what the member says of itself; OSError where it does not answer."""
        request = urllib.request.Request(f"http://{self.endpoint}/v3/maintenance/status", b"{}")
        with urllib.request.urlopen(request, timeout=1) as answer:  # noqa: S310 - ours
            found: dict[str, Any] = json.load(answer)
        return found

    @property
    def _container(self) -> Container:
        container = self._member.get_wrapped_container()
        assert isinstance(container, Container)
        return container


class EtcdContainers:
    """The three members."""

    def __init__(self, program: Path) -> None:
        pool = IPAMPool(subnet=f"{SUBNET}.0/24", gateway=f"{SUBNET}.1")
        options = {"com.docker.network.bridge.name": BRIDGE}
        ipam = IPAMConfig(pool_configs=[pool])
        self._network = Network(docker_network_kw={"ipam": ipam, "options": options}).create()
        self.members = [EtcdContainer(name, program, self._network) for name in NAMES]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """host:port of every member."""
        return tuple(member.endpoint for member in self.members)

    def start(self) -> None:
        """Start all members for the first time, and wait until they are one etcd."""
        for member in self.members:
            member.start()
        self.agree()

    def mend(self) -> None:
        """Undo what was broken, and wait until the members are one etcd again."""
        for member in self.members:
            member.mend()
        self.agree()

    def agree(self) -> None:
        """Wait until all members follow the same leader and have the same history."""
        eventually_sync(lambda: len({_place(member.status()) for member in self.members}) == 1, READY)

    def leader(self) -> EtcdContainer:
        """Return the member that leads the others."""
        for member in self.members:
            status = member.status()
            if status["leader"] == status["header"]["member_id"]:
                return member
        raise LookupError("no member leads")

    def close(self) -> None:
        """Remove all of it."""
        for member in self.members:
            member.remove()
        self._network.remove()


def _place(status: dict[str, Any]) -> tuple[str, str]:
    if status.get("leader", "0") == "0":
        raise LookupError("a member knows no leader")
    return status["leader"], status["header"]["revision"]


def _address(name: str) -> str:
    return f"{SUBNET}.{10 + NAMES.index(name)}"


def _arguments(name: str) -> list[str]:
    client, peer = f"http://{_address(name)}:2379", f"http://{_address(name)}:2380"
    cluster = ",".join(f"{each}=http://{_address(each)}:2380" for each in NAMES)
    return [
        *("--name", name, "--data-dir", "/data", "--logger", "zap", "--log-level", "warn"),
        *("--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", client),
        *("--listen-peer-urls", "http://0.0.0.0:2380", "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", cluster, "--heartbeat-interval", "50", "--election-timeout", "500", "--pre-vote"),
    ]

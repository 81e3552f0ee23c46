"""Machines with systemd, each a container that boots, and the network between them. Knows nothing of what runs there.

A machine keeps its disk from one boot to the next. Beside it has a folder that all machines and the tests share, as a
person's memory stick that is carried from one to the other.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.models.containers import Container
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from tests.integration.containers.docker_daemon import DockerDaemon
from tests.waiting import eventually_sync

IMAGE = "machine"
BRIDGE = "twinkey-nodes"
NET = "10.213.79"
SUBNET = f"{NET}.0/24"
CARRIED = "/mnt"
BOOTED = 30.0
POWERS = ("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "NET_RAW")
"""What systemd needs for the sandboxes of its services, and keepalived for the virtual IP."""
# Docker shows the container its part of the control groups, which systemd manages, but lets it only look.
BOOT = "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec /lib/systemd/systemd"
HALT = "SIGRTMIN+3"
_API = "1.41"


class CommandFailed(AssertionError):  # noqa: N818 - it says what happened
    """A command on a machine ended with an error; the text is what it printed."""


class Machine:
    """One machine, off until it is booted."""

    def __init__(self, name: str, address: str, container: Container) -> None:
        self.name = name
        self.address = address
        self._container = container

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        self._container.reload()
        return bool(self._container.status == "running")

    def boot(self) -> None:
        """Switch it on, and wait until systemd has started what it starts at boot."""
        self._container.start()
        eventually_sync(self._is_up, BOOTED, f"{self.name} is up")

    def shut_down(self) -> None:
        """Let systemd stop everything, and switch it off."""
        self._container.stop(timeout=60)

    def lose_power(self) -> None:
        """Switch it off at once."""
        self._container.kill()

    def remove(self) -> None:
        """Take it away, with its disk."""
        self._container.remove(force=True, v=True)

    def run(self, *words: str) -> str:
        """Run a command as root and return what it prints.

        Raises:
            CommandFailed: it ended with an error.
        """
        code, printed = self._container.exec_run(list(words))
        text = printed.decode(errors="replace")
        if code:
            raise CommandFailed(f"{self.name}: {' '.join(words)}: {code}: {text[-4000:]}")
        return text

    def succeeds(self, *words: str) -> bool:
        """Whether a command ends well."""
        return not self._container.exec_run(list(words)).exit_code

    def is_active(self, unit: str) -> bool:
        """Whether a unit runs, or has done what it is for."""
        return self.succeeds("systemctl", "--quiet", "is-active", unit)

    def property_of(self, unit: str, name: str) -> str:
        """Return what systemd knows of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def journal(self, unit: str) -> str:
        """Return what a unit has logged since the machine was booted, and what systemd has logged of it."""
        return self.run("journalctl", "--boot", "--no-pager", "--output", "cat", "--unit", unit)

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running", "--wait").strip() == "running"


@contextmanager
def network(daemon: DockerDaemon) -> Iterator[None]:
    """Let there be a network for machines meanwhile."""
    pool = IPAMPool(subnet=SUBNET)
    made = daemon.client().networks.create(
        BRIDGE, ipam=IPAMConfig(pool_configs=[pool]), options={"com.docker.network.bridge.name": BRIDGE}
    )
    try:
        yield
    finally:
        made.remove()


def build(client: docker.DockerClient, name: str, last: int, carried: Path) -> Machine:
    """Return a new machine with an empty disk, at the address with this last part."""
    address = f"{NET}.{last}"
    container = client.containers.create(
        IMAGE,
        ["sh", "-c", BOOT],
        hostname=name,
        network=BRIDGE,
        networking_config={BRIDGE: EndpointConfig(_API, ipv4_address=address)},
        cgroupns="private",
        cap_add=list(POWERS),
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        tmpfs={"/run": "", "/tmp": ""},  # noqa: S108 - the container's
        volumes={str(carried): {"bind": CARRIED, "mode": "rw"}},
        environment={"container": "docker"},
        stop_signal=HALT,
    )
    return Machine(name, address, container)


def holds(machine: Machine, address: str) -> bool:
    """Whether a machine that is on has an address, as its kernel says."""
    return f" {address}/" in machine.run("ip", "-oneline", "address", "show")


def repacked(deb: Path, version: str, folder: Path) -> Path:
    """Return the package as it would be in another version, made in an empty folder: nothing but the number differs."""
    tree, other = folder / "tree", folder / f"twinkey_{version}.deb"
    run("dpkg-deb", "--raw-extract", str(deb), str(tree))
    numbered = [tree / "DEBIAN" / "control", *tree.glob("usr/lib/twinkey/lib/*/*/twinkey-*.dist-info/METADATA")]
    assert len(numbered) == 2, numbered
    for file in numbered:
        lines = file.read_text(encoding="utf-8").splitlines()
        said = [f"Version: {version}" if line.startswith("Version: ") else line for line in lines]
        file.write_text("\n".join([*said, ""]), encoding="utf-8")
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(other))
    return other


def run(*words: str) -> str:
    """Run a command on the machine of the tests and return what it prints; CommandFailed where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"{' '.join(words)}: {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout

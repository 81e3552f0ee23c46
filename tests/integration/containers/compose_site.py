"""The site of `docker-compose.ha.yml` on the tests' own Docker daemon: people's commands, and what a client sees.

The images are those of the repository. What they are built on is made here, in the place of the official images.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from docker.models.containers import Container

from tests.integration.containers.docker_daemon import DockerDaemon
from tests.site import Status
from tests.waiting import eventually_sync

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.ha.yml"
USB_FILE = ROOT / "docker-compose.usb.yml"
STAND_IN = ROOT / ".cache" / "containers" / "stand-in.tar"
OFFICIAL = ("debian:bookworm-slim", "python:3.11-slim-bookworm")
PROJECT = "twinkey-test"
NET = "10.213.78"
SUBNET = f"{NET}.0/24"
VIRTUAL_IP = 10
NODES = {"a": 21, "b": 22}
"""Last parts of addresses."""
Environment = Mapping[str, str]
NOTHING: Environment = {}
ASKED_AGAIN = 0.5
"""Seconds after which the virtual IP is asked again: it may have moved."""


class CommandError(AssertionError):
    """A command has failed; the text is what it printed."""


class ComposeSite:
    """One site; `folder` is empty and holds the settings of the docker command."""

    def __init__(self, daemon: DockerDaemon, folder: Path) -> None:
        plugins = folder / "cli-plugins"
        plugins.mkdir()
        (plugins / "docker-compose").symlink_to(Path(sys.executable).with_name("docker-compose"))
        self._docker = daemon.client()
        machine = {name: value for name, value in os.environ.items() if not name.startswith(("TWINKEY_", "COMPOSE_"))}
        self._environment = machine | {
            "DOCKER_HOST": daemon.address,
            "DOCKER_CONFIG": str(folder),
            "COMPOSE_PROJECT_NAME": PROJECT,
            "TWINKEY_NET": NET,
            # The builder that comes with the daemon. It makes one image after the other, so that they share what is
            # alike, and on this machine's network, since the daemon has none of its own.
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_PARALLEL_LIMIT": "1",
            "BUILD_NETWORK": "host",
        }
        self._token = ""
        self._whole = frozenset[str]()

    def compose(self, *words: str, files: tuple[Path, ...] = (FILE,), environment: Environment = NOTHING) -> str:
        """Run `docker compose` and return what it prints.

        Raises:
            CommandError: it ended with an error.
        """
        named = [word for file in files for word in ("--file", str(file))]
        done = subprocess.run(
            ["docker", "compose", *named, *words],  # noqa: S607
            env=self._environment | dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(f"docker compose {' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-4000:]}")
        return done.stdout

    def run(self, service: str, *words: str, environment: Environment = NOTHING) -> str:
        """Run a service once, as people do, and return what it prints."""
        return self.compose("run", "--rm", "-T", service, *words, environment=environment)

    def build(self) -> None:
        """Build the images."""
        assert STAND_IN.exists(), "there is no stand-in for the official images: run the tests with 'make containers'"
        image = self._docker.api.import_image(str(STAND_IN), repository="stand-in")
        assert "error" not in image, image
        for name in OFFICIAL:
            self._docker.images.get("stand-in").tag(name)
        self.compose("build")

    def up(self) -> None:
        """Start what does not run, and wait until everything is healthy."""
        self.compose("up", "--wait", "--wait-timeout", "60")
        self._whole = frozenset(self.containers())

    @property
    def is_up(self) -> bool:
        """Whether all runs and is healthy that did so after the last `up`."""
        running = self.containers()
        return bool(running) and self._whole == set(running) and all(map(is_well, running.values()))

    def down(self) -> None:
        """Remove everything, with what was kept."""
        self.compose("--profile", "*", "down", "--volumes")
        self._token = ""

    def stop_node(self, label: str) -> None:
        """Stop all of a node, and the etcd member beside it."""
        self.compose("stop", *(f"{part}-{label}" for part in ("keepalived", "coordinator", "agent", "etcd", "node")))

    def containers(self) -> dict[str, Container]:
        """Return the containers that run, by service."""
        mark = "com.docker.compose"
        found = self._docker.containers.list(filters={"label": f"{mark}.project={PROJECT}"})
        return {container.labels[f"{mark}.service"]: container for container in found}

    def remains(self) -> list[str]:
        """Return the names of the project's containers, volumes and networks that there are."""
        mine = {"label": f"com.docker.compose.project={PROJECT}"}
        containers = self._docker.containers.list(all=True, filters=mine)
        lists = (containers, self._docker.volumes.list(filters=mine), self._docker.networks.list(filters=mine))
        return [each.name for found in lists for each in found]

    def status(self, place: int = VIRTUAL_IP) -> Status:
        """Return what is answered at an address of the site; OSError where nobody does."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{url_of(place)}/v1/status", headers=headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=ASKED_AGAIN) as answer:  # noqa: S310
                status: Status = json.load(answer)
        except http.client.HTTPException as error:  # the node was stopped while it answered
            raise ConnectionError(f"half an answer: {error}") from error
        return status

    def shown(self, place: int, shows: Callable[[Status], object], within: float) -> Status:
        """Return the first status at an address of which `shows` is true; a failure tells the last one."""
        last: list[Status] = [{}]

        def look() -> bool:
            last[0] = self.status(place)
            return bool(shows(last[0]))

        try:
            eventually_sync(look, within)
        except AssertionError as error:
            raise AssertionError(f"{error}; .{place} shows {last[0]}") from error
        return last[0]

    @property
    def token(self) -> str:
        """The token that was made for whoever tries the site out."""
        if not self._token:
            text = self.compose("run", "--rm", "-T", "--entrypoint", "cat", "twinkey", "/etc/twinkey/token")
            self._token = text.strip()
        return self._token

    def holders(self) -> list[str]:
        """Return the nodes whose network has the virtual IP, as their kernels say."""
        nodes = self.containers()
        tables = {
            label: Path(f"/proc/{nodes[f'node-{label}'].attrs['State']['Pid']}/net/fib_trie").read_text(
                encoding="ascii"
            )
            for label in NODES
            if f"node-{label}" in nodes
        }
        return [label for label, table in tables.items() if f" {NET}.{VIRTUAL_IP}\n" in table]


def is_well(container: Container) -> bool:
    """Whether a container's health check succeeds, where it has one."""
    return container.attrs["State"].get("Health", {}).get("Status", "healthy") == "healthy"


def shown_holders(status: Status) -> list[str]:
    """Return the nodes that hold the virtual IP, as a status shows them."""
    names = {node["managementNodeUuid"]: node["name"] for node in status["nodes"]}
    return [names[holder] for holder in status["vipHolders"]]


def url_of(place: int) -> str:
    """Return where the address with this last part answers."""
    return f"http://{NET}.{place}:8441"


def other(label: str) -> str:
    """Return the other node."""
    return next(each for each in NODES if each != label)


def at_rest(status: Status) -> bool:
    """Whether a status is fresh, both nodes report, and one holds the virtual IP."""
    reachable = all(node["reachable"] for node in status["nodes"])
    return reachable and not status["stale"] and len(status["vipHolders"]) == 1

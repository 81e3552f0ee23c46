"""The site of `docker-compose.ha.yml` on the tests' own Docker daemon: people's commands, and what a client sees.

Twinkey's images are those of the repository. The official ones that are used beside them, and what images are built on,
are made here under their names, of what Debian has of the same programs.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from docker.models.containers import Container

from tests.integration.containers.docker_daemon import DockerDaemon
from tests.site import Status
from tests.waiting import eventually_sync

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.ha.yml"
USB_FILE = ROOT / "docker-compose.usb.yml"
STAND_IN = ROOT / ".cache" / "containers" / "stand-in.tar"
BUILT_ON = ("debian:bookworm-slim", "python:3.11-slim-bookworm")
NOBODY = 65534
PROGRAMS = {
    "etcd": ("etcd", "etcdctl"),
    "prometheus": ("prometheus", "promtool"),
    "alertmanager": ("prometheus-alertmanager", "amtool"),
}
"""Of Debian's packages, by what the official image is called in the end."""
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
"""Of Debian's Alertmanager, which has them beside it and not in it."""
PROJECT = "twinkey-test"
NET = "10.213.78"
SUBNET = f"{NET}.0/24"
VIRTUAL_IP = 10
NODES = {"a": 21, "b": 22}
WITNESS, PROMETHEUS = 23, 31
"""Last parts of addresses."""
Environment = Mapping[str, str]
NOTHING: Environment = {}
ASKED_AGAIN = 0.5
"""Seconds after which the virtual IP is asked again: it may have moved."""


class CommandError(AssertionError):
    """A command has failed; the text is what it printed."""


class Answer(NamedTuple):
    """What a coordinator answered."""

    status: int
    body: bytes


class ComposeSite:
    """One site; `folder` is empty and holds the settings of the docker command. Alerts go to `webhook`."""

    def __init__(self, daemon: DockerDaemon, folder: Path, webhook: str) -> None:
        plugins = folder / "cli-plugins"
        plugins.mkdir()
        (plugins / "docker-compose").symlink_to(Path(sys.executable).with_name("docker-compose"))
        self._daemon = daemon
        self._docker = daemon.client()
        machine = {name: value for name, value in os.environ.items() if not name.startswith(("TWINKEY_", "COMPOSE_"))}
        self._environment = machine | {
            "DOCKER_HOST": daemon.address,
            "DOCKER_CONFIG": str(folder),
            "COMPOSE_PROJECT_NAME": PROJECT,
            "TWINKEY_NET": NET,
            "ALERT_WEBHOOK": webhook,
            # The builder that comes with the daemon. It makes one image after the other, so that they share what is
            # alike, and on this machine's network, since the daemon has none of its own.
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_PARALLEL_LIMIT": "1",
            "BUILD_NETWORK": "host",
        }
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

    def in_image(self, folder: Path, *words: str) -> None:
        """Run Twinkey's image as root, without a network, with a folder of this machine at /site."""
        mounted = {str(folder): {"bind": "/site", "mode": "rw"}}
        self._docker.containers.run("twinkey", words, user="0", network_mode="none", volumes=mounted, remove=True)

    def build(self) -> None:
        """Build Twinkey's images, and make those that stand in for official ones."""
        assert STAND_IN.exists(), "there is no stand-in for the official images: run the tests with 'make containers'"
        image = self._docker.api.import_image(str(STAND_IN), repository="stand-in")
        assert "error" not in image, image
        for name in BUILT_ON:
            self._docker.images.get("stand-in").tag(name)
        for service in ("etcd-a", "prometheus", "alertmanager"):
            self._make_official(self.config()["services"][service]["image"])
        self.compose("build")

    def config(self, *files: Path, environment: Environment = NOTHING) -> dict[str, Any]:
        """Return what Compose understands of these files, of the first one when none is named."""
        text = self.compose("config", "--format", "json", files=files or (FILE,), environment=environment)
        understood: dict[str, Any] = json.loads(text)
        return understood

    def _make_official(self, image: str) -> None:
        """Make what stands in for an official image: its programs, where it has them, as its user, and no shell."""
        name = image.rpartition("/")[2].partition(":")[0]
        folder = "/usr/local/bin" if name == "etcd" else "/bin"
        programs = {f"{folder}/{each.removeprefix('prometheus-')}": program_file(each) for each in PROGRAMS[name]}
        if name == "etcd":
            self._daemon.make_image(image, programs)
        else:
            entry = (f'ENTRYPOINT ["/bin/{name}"]', f"USER {NOBODY}", f"VOLUME /{name}")
            beside = {str(TEMPLATES): TEMPLATES} if name == "alertmanager" else {}
            self._daemon.make_image(image, programs | beside, {f"/{name}": NOBODY}, entry)

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
        for known in ("token", "authority"):
            self.__dict__.pop(known, None)

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
        answer = self.ask(place, "GET", "/v1/status")
        if answer.status != http.HTTPStatus.OK:
            raise ConnectionError(f"it answered {answer.status}: {answer.body!r}")
        status: Status = json.loads(answer.body)
        return status

    def ask(self, place: int, method: str, path: str, body: bytes | None = None, token: str = "") -> Answer:
        """Ask at an address of the site, with the administrator's token unless another is given; OSError: nobody is."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        request = urllib.request.Request(url_of(place) + path, body, headers, method=method)  # noqa: S310 - ours
        trust = ssl.create_default_context(cadata=self.authority)
        try:
            with urllib.request.urlopen(request, timeout=ASKED_AGAIN, context=trust) as answer:  # noqa: S310
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())
        except http.client.HTTPException as error:  # the node was stopped while it answered
            raise ConnectionError(f"half an answer: {error}") from error

    def asked_of_prometheus(self, expression: str) -> list[dict[str, Any]]:
        """Return Prometheus's answer to an expression now."""
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://{NET}.{PROMETHEUS}:9090/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def etcdctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run this machine's etcdctl on the member of the witness."""
        return subprocess.run(
            [program_file("etcdctl"), "--endpoints", f"https://{NET}.{WITNESS}:2379", *words],
            env={"ETCDCTL_API": "3", "ETCDCTL_DIAL_TIMEOUT": "3s", "ETCDCTL_COMMAND_TIMEOUT": "3s"},
            capture_output=True,
            text=True,
            check=False,
        )

    def read(self, service: str, path: str) -> str:
        """Return a file as a service reads it.

        Raises:
            CommandError: it cannot.
        """
        code, output = self.containers()[service].exec_run(["cat", path])
        if code:
            raise CommandError(output.decode())
        return str(output.decode())

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

    @cached_property
    def token(self) -> str:
        """The token of whoever founded the site."""
        return self._founded("token")

    @cached_property
    def authority(self) -> str:
        """The certificate of the site's authority."""
        return self._founded("ca.pem")

    def _founded(self, name: str) -> str:
        return self.compose("run", "--rm", "-T", "--entrypoint", "cat", "twinkey", f"/etc/twinkey/{name}").strip()

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


def program_file(name: str) -> Path:
    """Return where a program of this machine is."""
    found = shutil.which(name)
    assert found, f"there is no {name}: 'make debs' installs what the tests use of Debian"
    return Path(found).resolve()


def is_well(container: Container) -> bool:
    """Whether a container's health check succeeds, where it has one."""
    return container.attrs["State"].get("Health", {}).get("Status", "healthy") == "healthy"


def shown_holders(status: Status) -> list[str]:
    """Return the nodes that hold the virtual IP, as a status shows them."""
    names = {node["managementNodeUuid"]: node["name"] for node in status["nodes"]}
    return [names[holder] for holder in status["vipHolders"]]


def url_of(place: int) -> str:
    """Return where the address with this last part answers."""
    return f"https://{NET}.{place}:8441"


def other(label: str) -> str:
    """Return the other node."""
    return next(each for each in NODES if each != label)


def at_rest(status: Status) -> bool:
    """Whether a status is fresh, both nodes report, and one holds the virtual IP."""
    reachable = all(node["reachable"] for node in status["nodes"])
    return reachable and not status["stale"] and len(status["vipHolders"]) == 1

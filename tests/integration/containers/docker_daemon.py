"""A Docker daemon of the tests' own: everything of it is in one folder, and it changes no other network.

Knows nothing of what runs in the containers. No registry is asked: images are made of files of this machine.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException

from cluster.local_etcd import die_with_parent
from tests.waiting import eventually_sync

STARTED_WITHIN = 20.0
INSTALL = "install it with 'apt-get install docker.io'"
NOTHING: Mapping[str, int] = {}


class DockerDaemon:
    """`dockerd` on a socket in `folder`, whose path is short: the kernel allows a socket's path 108 bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What clients have as DOCKER_HOST."""
        return f"unix://{self._folder}/socket"

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = shutil.which("dockerd")
        assert program, f"there is no dockerd: {INSTALL}"
        command = [
            program,
            *("--host", self.address, "--pidfile", f"{self._folder}/pid"),
            *("--data-root", f"{self._folder}/data", "--exec-root", f"{self._folder}/exec"),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )
        eventually_sync(self._answers, STARTED_WITHIN, f"dockerd answers; it says: {self._folder}/log")

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, f"dockerd has ended: {(self._folder / 'log').read_text()[-2000:]}"
        try:
            return bool(self.client().ping())
        except DockerException:
            return False

    def client(self) -> docker.DockerClient:
        """Return a new client."""
        return docker.DockerClient(base_url=self.address)

    def stop(self) -> None:
        """End it; its containers should be gone by then."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
        for left in self._folder.glob("exec/netns/*"):  # it holds the namespaces that its containers shared with it
            subprocess.run(["umount", left], check=False)  # noqa: S607

    def make_image(
        self, name: str, files: Mapping[str, Path], owned: Mapping[str, int] = NOTHING, how: tuple[str, ...] = ()
    ) -> None:
        """Make an image of programs and folders, by the place of each, and of the libraries that programs need.

        It has nothing else but the empty folders `owned`, by their user. `how`: further lines of a Dockerfile.
        """
        image = io.BytesIO()
        with tarfile.open(fileobj=image, mode="w", dereference=True) as tar:
            for place, file in files.items():
                tar.add(file, place.lstrip("/"))
            for library in {library for file in files.values() for library in libraries(file)}:
                tar.add(library, str(library).lstrip("/"))
            for folder, user in owned.items():
                entry = tarfile.TarInfo(folder.lstrip("/"))
                entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, user, user
                tar.addfile(entry)
        repository, _, tag = name.partition(":")
        answer = self.client().api.import_image_from_data(image.getvalue(), repository, tag or None, list(how))
        assert "error" not in answer, answer


@contextmanager
def passed_on(*packets: str) -> Iterator[None]:
    """Let the firewall pass these packets meanwhile: another Docker on this machine would have them dropped."""
    rule = ("FORWARD", *packets, "-j", "ACCEPT")
    subprocess.run(["iptables", "-I", *rule], check=True)  # noqa: S607
    try:
        yield
    finally:
        subprocess.run(["iptables", "-D", *rule], check=True)  # noqa: S607


def libraries(program: Path) -> list[Path]:
    """Return the shared libraries that a program is linked with, as the loader finds them."""
    answer = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)  # noqa: S607
    return [Path(word) for line in answer.stdout.splitlines() for word in line.split() if word.startswith("/")]

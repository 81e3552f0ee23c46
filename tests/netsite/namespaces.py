"""Hosts that are namespaces of this machine: a network and a view of the mounts of their own, and no name.

A host lives as long as this process holds it open or a program runs in it, so nothing is left behind however the tests
end. Knows no cable between hosts and no program. Needs root, or to run under `unshare -Urnm`.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.local_etcd import die_with_parent

NEWNET = 0x4000_0000
NEWNS = 0x0002_0000
FS = 0x0000_0200
RECURSIVE_PRIVATE = 0x0000_4000 | 0x0004_0000
OWN_NETWORK = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """One host. `disks` are folders on which small file systems of their own are mounted, with their sizes in bytes."""

    def __init__(self, name: str, disks: Mapping[Path, int] | None = None) -> None:
        self.name = name
        self._net = self._mounts = -1
        made = threading.Thread(target=self._make, args=(disks or {},))  # a thread of its own: it leaves our namespaces
        made.start()
        made.join()
        if self._mounts < 0:
            raise PermissionError("namespaces cannot be made: run this as root, or under `unshare -Urnm`")

    @property
    def network(self) -> str:
        """The path by which other programs find the host's network while this process runs."""
        return f"/proc/{os.getpid()}/fd/{self._net}"

    @contextmanager
    def network_entered(self) -> Iterator[None]:
        """Be on this host's network with the calling thread; a socket that is made here stays here."""
        back = os.open(OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.setns(self._net, NEWNET))
            yield
        finally:
            _checked(_libc.setns(back, NEWNET))
            os.close(back)

    def entering(self, folder: Path) -> Callable[[], None]:
        """Return what brings a new process onto this host and into a folder, for `preexec_fn`; it dies with us."""

        def enter() -> None:
            die_with_parent()
            _checked(_libc.setns(self._mounts, NEWNS))
            _checked(_libc.setns(self._net, NEWNET))
            os.chdir(folder)

        return enter

    def run(self, *command: str, text: str = "", folder: Path = Path("/"), check: bool = True) -> str:
        """Run a short program on this host, with `text` on its standard input, and return what it prints."""
        done = self.process(command, text, folder)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
        return done.stdout

    def process(
        self, command: Sequence[str], text: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on this host to its end."""
        return subprocess.run(
            command,
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            preexec_fn=self.entering(folder),
        )

    def close(self) -> None:
        """Let go of the host; it is gone when its last program is."""
        os.close(self._net)
        os.close(self._mounts)

    def _make(self, disks: Mapping[Path, int]) -> None:
        _checked(_libc.unshare(NEWNET | NEWNS | FS))
        _checked(_libc.mount(b"none", b"/", None, RECURSIVE_PRIVATE, None))
        for folder, size in disks.items():
            _checked(_libc.mount(b"disk", os.fsencode(folder), b"tmpfs", 0, f"size={size},mode=700".encode()))
        self._net = os.open(OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
        self._mounts = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

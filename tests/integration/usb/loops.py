"""Block devices of the kernel that are files: what stands for a stick's disk in these tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 8 * 1024 * 1024


@contextmanager
def loop_device(folder: Path, block_size: int = 512) -> Iterator[Path]:
    """Make a disk of 8 MiB; yield its device node. What is on it afterwards is in the file `folder/disk`."""
    file = folder / "disk"
    file.write_bytes(b"old " * (SIZE // 4))
    argv = ("losetup", "--find", "--show", "--sector-size", str(block_size), str(file))
    device = Path(as_root(*argv).strip())
    owner = device.stat().st_uid
    try:
        as_root("chown", str(os.getuid()), str(device))
        yield device
    finally:
        as_root("losetup", "--detach", str(device))
        as_root("chown", str(owner), str(device))


def as_root(*argv: str) -> str:
    """Run a program that only root may run, and return what it says; `sudo` must need no password."""
    done = subprocess.run(
        argv if os.getuid() == 0 else ("sudo", "-n", *argv),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, f"run the tests as root or with sudo, where loop devices work: {done.stderr}"
    return done.stdout


def number_of(device: Path) -> str:
    """Return the kernel's number of a device node, as `7:0`."""
    status = device.stat()
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"

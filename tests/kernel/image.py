"""The guest's kernel, and the initramfs made for it: busybox, the kernel modules that are needed, and `init.sh`.

Knows what `make debs` unpacked and the formats of kernel modules and cpio archives; nothing of QEMU.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNPACKED = ROOT / ".cache" / "kernel"
"""Where `make debs` has put the kernel, busybox and udevd."""

WANTED = (
    *("virtio_pci", "virtio_console", "virtio_net", "virtio_rng", "9pnet_virtio", "9p", "overlay"),
    *("xhci_pci", "usb_storage", "sd_mod", "usbhid", "hid_generic", "vhci_hcd"),
)
_FOLDERS = ("bin", "dev", "host", "layer", "modules", "proc", "root", "sys")
_DIRECTORY, _PROGRAM, _FILE = 0o040755, 0o100755, 0o100644


def kernel() -> Path:
    """Return the newest unpacked kernel.

    Raises:
        FileNotFoundError: there is none.
    """
    kernels = sorted((UNPACKED / "boot").glob("vmlinuz-*-amd64"), key=_numbers)
    if not kernels:
        raise FileNotFoundError(f"There is no kernel in {UNPACKED}: run 'make debs'.")
    return kernels[-1]


def initramfs() -> bytes:
    """Return an initramfs that starts `tests.kernel.guest` with this Python in this directory."""
    modules = _in_order(UNPACKED / "lib/modules" / kernel().name.removeprefix("vmlinuz-"))
    files = {
        "init": (_PROGRAM, Path(__file__).with_name("init.sh").read_bytes()),
        "bin/busybox": (_PROGRAM, (UNPACKED / "bin/busybox").read_bytes()),
        "directory": (_FILE, str(ROOT).encode()),
        "python": (_FILE, sys.executable.encode()),
    }
    for number, module in enumerate(modules):
        files[f"modules/{number:02}-{module.name}"] = (_FILE, module.read_bytes())
    entries = dict.fromkeys(_FOLDERS, (_DIRECTORY, b"")) | files | {"TRAILER!!!": (0, b"")}
    return b"".join(_cpio(number, name, *entry) for number, (name, entry) in enumerate(entries.items(), 1))


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _in_order(directory: Path) -> list[Path]:
    """Return the wanted modules and what they need, each after all that it needs; what is built in has no file."""
    found = {_module_name(path): path for path in directory.rglob("*.ko")}
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in ordered or name not in found:
            return
        for needed in _needs(found[name]):
            add(needed)
        ordered[name] = found[name]

    for name in WANTED:
        add(name)
    return list(ordered.values())


def _needs(module: Path) -> Iterator[str]:
    told = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    names = told[1].decode().split(",") if told else []
    return (name.replace("-", "_") for name in names if name)


def _module_name(path: Path) -> str:
    return path.stem.replace("-", "_")


def _cpio(number: int, name: str, mode: int, content: bytes) -> bytes:
    """Return one entry of a cpio archive ("newc"); owner is root, there are no times."""
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return b"".join(part + bytes(-len(part) % 4) for part in (head, content))

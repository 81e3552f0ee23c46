"""What the guest can tell of its files and of sysfs. Never opens a device."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from asyncinotify import Inotify, Mask

USB_DEVICES = Path("/sys/bus/usb/devices")


def let_everybody_pass(*paths: Path) -> None:
    """Let every user reach these files, wherever their links lead; only this guest's layer is changed."""
    for path in paths:
        for each in (path.absolute(), *_links(path)):
            for folder in each.parents:
                if not folder.stat().st_mode & 0o001:
                    folder.chmod(folder.stat().st_mode | 0o011)


def _links(path: Path) -> list[Path]:
    found = []
    while path.is_symlink():
        path = path.parent / path.readlink()
        found.append(path.absolute())
    return found


def usb_devices() -> list[dict[str, Any]]:
    """Return each USB device: its name, ids, device node, the drivers of its interfaces and its disks."""
    return [_device(path) for path in sorted(USB_DEVICES.iterdir()) if (path / "idVendor").exists()]


def _device(path: Path) -> dict[str, Any]:
    ids = [int((path / name).read_text(encoding="ascii"), 16) for name in ("idVendor", "idProduct")]
    bus, address = (int((path / name).read_text(encoding="ascii")) for name in ("busnum", "devnum"))
    return {
        "name": path.name,
        "ids": ids,
        "node": f"/dev/bus/usb/{bus:03}/{address:03}",
        "drivers": sorted(link.resolve().name for link in path.glob(f"{path.name}:*/driver")),
        "disks": sorted(disk.name for disk in path.glob(f"{path.name}:*/host*/target*/*/block/*")),
    }


class Openings:
    """Counts how often files were opened, by whomever."""

    def __init__(self) -> None:
        self._inotify = Inotify(sync_timeout=0)
        self._counts: Counter[str] = Counter()

    def watch(self, paths: list[str]) -> None:
        """Begin to count these."""
        for path in paths:
            self._counts[path] = 0
            self._inotify.add_watch(path, Mask.OPEN)

    def counts(self) -> dict[str, int]:
        """Return the count of each watched file; one that is gone keeps its count."""
        while (event := self._inotify.sync_get()) is not None:
            if event.mask & Mask.OPEN and event.watch is not None:
                self._counts[str(event.watch.path)] += 1
        return dict(self._counts)

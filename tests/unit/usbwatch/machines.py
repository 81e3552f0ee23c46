"""A machine's tables as directories, with a stick in a USB port, for those who look into /sys and /proc."""

from __future__ import annotations

from pathlib import Path

from usbwatch.block_device import Machine


class MadeMachine:
    """A machine with one unused stick of 8 MiB in port 1-3, as the disk sdb with the number 8:16."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine(folder / "sys", folder / "proc")
        self.usb = folder / "sys/bus/usb/devices"
        self._numbers = folder / "sys/dev/block"
        self._numbers.mkdir(parents=True)
        (folder / "proc/self").mkdir(parents=True)
        self._mounts, self._swaps = folder / "proc/self/mountinfo", folder / "proc/swaps"
        self._mounts.write_text("22 27 0:21 / /proc rw,relatime - proc proc rw\n")
        self._swaps.write_text("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
        self.disk = self.add_disk("1-3", "sdb", "8:16")

    def add_disk(self, port: str, name: str, number: str, size: int = 8 * 1024 * 1024, block_size: int = 512) -> Path:
        """Plug a stick in; return its disk's directory."""
        device = self.usb / port
        disk = device / f"{port}:1.0/host6/target6:0:0/6:0:0:0/block" / name
        values = {"size": size // 512, "ro": 0, "dev": number, "diskseq": 9, "queue/logical_block_size": block_size}
        self._fill(disk, values, number)
        strings = {"serial": "4C53", "manufacturer": "SanDisk", "product": "Cruzer Blade"}
        self._fill(device, {"idVendor": "0781", **strings}, "")
        return disk

    def add_partition(self, name: str, number: str) -> Path:
        """Give the stick a partition of 2 MiB; return its directory."""
        partition = self.disk / name
        self._fill(partition, {"partition": 1, "size": 4096, "dev": number}, number)
        return partition

    def mount(self, number: str, point: str, source: str) -> None:
        """Mount something."""
        with self._mounts.open("a") as file:
            file.write(f"36 27 {number} / {point} rw,relatime shared:1 - ext4 {source} rw\n")

    def swap(self, node: str) -> None:
        """Swap to something."""
        with self._swaps.open("a") as file:
            file.write(f"{node}                               partition\t1048572\t\t0\t\t-2\n")

    def _fill(self, directory: Path, values: dict[str, object], number: str) -> None:
        for name, value in values.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")
        if number:
            (self._numbers / number).symlink_to(directory)

"""What a process that watches the USB bus has seen so far."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.usbmodel.testbed import UmockBus, python
from tests.waiting import eventually_sync
from usbwatch.bus import KeySet, Seen

Sight = tuple[Seen, ...] | str
_decoder = msgspec.json.Decoder(Sight)


@dataclass(frozen=True)
class Footprint:
    """What a process holds; memory in KiB."""

    open_files: int
    threads: int
    children: int
    memory: int


@dataclass(frozen=True)
class Watched:
    """A running `watch_bus` and the file it prints to."""

    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def start(
        cls, bus: UmockBus, keyring: Path, read_deadline: float, output: Path, stick_ids: tuple[str, ...] = ()
    ) -> Watched:
        """Start watching; `stick_ids` as "0781:5567"."""
        with output.open("wb") as file:
            argv = python("tests.usbmodel.watch_bus", str(keyring), str(read_deadline), *stick_ids)
            return cls(bus.spawn(argv, stdout=file), output)

    def sets(self) -> list[KeySet]:
        """Return all sets that were seen, oldest first."""
        return [sight for sight in self._lines() if isinstance(sight, tuple)]

    def until(self, condition: Callable[[KeySet], bool], within: float = 10.0) -> KeySet:
        """Wait for a newest set that meets the condition and return it."""

        def met() -> bool:
            keys = self.sets()[-1]
            assert condition(keys), keys
            return True

        eventually_sync(met, within)
        return self.sets()[-1]

    def reread(self) -> None:
        """Ask for all keys to be read again and wait until that is done."""
        self._order("reread")

    def prove_again(self) -> None:
        """Ask for new proofs and wait until that is done."""
        self._order("prove_again")

    def until_ready(self) -> None:
        """Wait until one process sleeps that was started in advance, and no other is left."""
        eventually_sync(lambda: [state(pid) for pid in children(self.process.pid)] == ["S"], within=10)

    def footprint(self) -> Footprint:
        """Tell what the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        number = {name: int(rest.split()[0]) for name, rest in re.findall(r"(Threads|VmRSS):\s+(.*)", status)}
        files = len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
        return Footprint(files, number["Threads"], len(children(self.process.pid)), number["VmRSS"])

    def _order(self, order: str) -> None:
        before = self._lines().count(order)
        assert self.process.stdin is not None
        self.process.stdin.write(order.encode() + b"\n")
        self.process.stdin.flush()
        eventually_sync(lambda: self._lines().count(order) > before, within=15)

    def _lines(self) -> list[Sight]:
        lines = self.output.read_bytes().split(b"\n")[:-1]  # what follows the last newline is not complete
        return [_decoder.decode(line) for line in lines]


def children(parent: int) -> list[int]:
    """Return the children of a process, dead or alive."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and _stat(int(entry.name))[1] == str(parent):
                found.append(int(entry.name))
    return found


def state(pid: int) -> str:
    """Return the letter by which the kernel calls the state of a process, as "S" for one that sleeps."""
    return _stat(pid)[0]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()

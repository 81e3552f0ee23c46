"""What a process that watches the USB bus has seen so far."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.usbmodel.testbed import UmockBus, python
from tests.waiting import eventually_sync
from usbwatch.bus import KeySet, Seen

Sight = tuple[Seen, ...] | str
_decoder = msgspec.json.Decoder(Sight)


@dataclass(frozen=True)
class Watched:
    """A running `watch_bus` and the file it prints to."""

    process: subprocess.Popen[bytes]
    output: Path

    @classmethod
    def start(cls, bus: UmockBus, keyring: Path, read_deadline: float, output: Path) -> Watched:
        """Start watching."""
        with output.open("wb") as file:
            argv = python("tests.usbmodel.watch_bus", str(keyring), str(read_deadline))
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
        before = self._lines().count("reread")
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        eventually_sync(lambda: self._lines().count("reread") > before, within=15)

    def open_files(self) -> int:
        """Count the process's file descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _lines(self) -> list[Sight]:
        lines = self.output.read_bytes().split(b"\n")[:-1]  # what follows the last newline is not complete
        return [_decoder.decode(line) for line in lines]

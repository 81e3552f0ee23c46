"""A reader that cannot be killed, as when a device hangs in the kernel: the others go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from licensing.seen import Reading
from tests.unit.usbwatch.rigs import IDS, QUICK, SysfsTree, Viewer
from tests.usbmodel.undying import VICTIM, held
from tests.usbmodel.vendor import Vendor
from tests.waiting import eventually
from usbwatch.bus import challenger
from usbwatch.driver import DRIVERS
from usbwatch.heard import Heard
from usbwatch.key_reader import WorkerReader
from usbwatch.real import UsbBus
from usbwatch.sysfs import scan
from usbwatch.uevents import Ring
from usbwatch.workers import Workers

DEAD_PORT = "1-1"
LONG = 60.0
"""Seconds for things that take one or two unless the machine is busy, such as starting a Python."""
WORKER = (
    VICTIM
    + """
import os, sys
from usbwatch.messages import Contents, Identified, decode_request, encode

def say(answer):
    sys.stdout.buffer.write(encode(answer) + b"\\n")
    sys.stdout.flush()

port = decode_request(sys.stdin.buffer.read()).device.sysname
say(Identified("K" + port))
if port == sys.argv[1]:
    open(sys.argv[2], "w").write(f"{os.getpid()} {thread.native_id} ")
    time.sleep(60)
say(Contents("K" + port, open(sys.argv[3], "rb").read(), None))
"""
)


class DeadKeyBus:
    """The real bus with readers of which the one in DEAD_PORT hangs; it writes down who it is."""

    def __init__(self, directory: Path, vendor: Vendor, seconds: float = LONG) -> None:
        self.tree = SysfsTree(directory / "devices")
        self.ring: Ring = lambda _: None
        self._hanging = directory / "hanging"
        licence = directory / "licence"
        licence.write_bytes(vendor.licence_file("K1-2", proving=False))
        arguments = (DEAD_PORT, str(self._hanging), str(licence))
        reader = WorkerReader(DRIVERS, seconds, Workers((sys.executable, "-I", "-c", WORKER, *arguments)))
        self.bus = UsbBus(
            vendor.judge,
            challenger("site"),
            timings=QUICK,
            scan=lambda: scan({IDS}, self.tree.root),
            reader=reader,
            wakeups=self._wakeups,
        )

    def plug(self, port: str) -> None:
        """Plug a key in."""
        self.tree.add(port)
        self.ring(Heard(events=1, arrived=1))

    def unplug(self, port: str) -> None:
        """Pull a key out."""
        self.tree.remove(port)
        self.ring(Heard(events=1, leaving=1, left=1))

    async def hanging(self) -> tuple[int, int]:
        """Return the process and the thread that hang, once they do."""
        await eventually(lambda: self._hanging.read_text().endswith(" "), within=LONG)
        process, thread = self._hanging.read_text().split()
        return int(process), int(thread)

    @contextmanager
    def _wakeups(self, ring: Ring) -> Iterator[None]:
        self.ring = ring
        yield


def open_files() -> int:
    """Count this process's open files."""
    return len(list(Path("/proc/self/fd").iterdir()))


def exists(pid: int) -> bool:
    """Tell whether there is such a process, be it dead."""
    return Path(f"/proc/{pid}").exists()


async def test_a_reader_that_cannot_be_killed_is_abandoned_and_the_others_go_on(
    tmp_path: Path, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    """The dead key is faulty and to be unplugged, another is read meanwhile, and nothing is left in the end."""
    rig = DeadKeyBus(tmp_path, vendor, seconds=3.0)
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    before = open_files()
    rig.plug(DEAD_PORT)
    process, thread = await rig.hanging()
    with held(thread):
        (dead,) = await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.FAULTY], within=LONG)
        assert "does not let go of it: unplug it" in dead.reason
        assert (rig.bus.abandoned, exists(process)) == (1, True)
        rig.plug("1-2")
        await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.FAULTY, Reading.OK], within=LONG)
        rig.unplug(DEAD_PORT)
        await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.OK])
        assert exists(process)
    await eventually(lambda: not exists(process))
    await eventually(lambda: open_files() <= before)
    assert caplog.text.count("cannot be killed") == 1
    await rig.bus.close()


async def test_a_key_pulled_while_its_reader_cannot_be_killed_is_gone_at_once(tmp_path: Path, vendor: Vendor) -> None:
    """Nobody waits for the end of a reader whose key has gone; the set is told again when the reader was counted."""
    rig = DeadKeyBus(tmp_path, vendor)
    viewer = Viewer(rig.bus)
    rig.plug(DEAD_PORT)
    _, thread = await rig.hanging()
    with held(thread):
        await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.PENDING])
        rig.unplug(DEAD_PORT)
        await viewer.until(lambda keys: keys == (), within=0.8)
        told = len(viewer.sets)
        assert rig.bus.abandoned == 0
        await eventually(lambda: len(viewer.sets) > told)
        assert (rig.bus.abandoned, viewer.sets[-1]) == (1, ())
    await rig.bus.close()


async def test_the_bus_closes_although_a_reader_cannot_be_killed(tmp_path: Path, vendor: Vendor) -> None:
    """Closing takes no longer than the time that the kernel is given to end a process."""
    rig = DeadKeyBus(tmp_path, vendor)
    Viewer(rig.bus)
    rig.plug(DEAD_PORT)
    process, thread = await rig.hanging()
    with held(thread):
        async with asyncio.timeout(2):
            await rig.bus.close()
        assert (rig.bus.abandoned, exists(process)) == (1, True)
    await eventually(lambda: not exists(process))

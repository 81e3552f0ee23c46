"""The simulated and the real bus, each with a way to plug keys in, so that one set of tests runs against both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licensing.genuine import proof_message
from licensing.seen import Challenge
from tests.usbmodel.vendor import Vendor
from tests.waiting import eventually
from usbwatch.bus import Bus, Judge, KeySet, challenger
from usbwatch.device import Device
from usbwatch.heard import Heard
from usbwatch.messages import Contents, Failed, Outcome
from usbwatch.real import UsbBus
from usbwatch.simulated import BURST, SimulatedBus
from usbwatch.simulated_key import SUFFIX, SimulatedKey, write_key_file
from usbwatch.sysfs import scan
from usbwatch.timings import UsbTimings
from usbwatch.uevents import Ring
from usbwatch.worker_process import Identify
from usbwatch.workers import OnAbandoned

IDS = (0x1209, 0xA1A1)
CAME, WENT = Heard(events=2), Heard(events=2, leaving=2)
"""What is heard of a device that no driver claims: of itself, and of the kernel's driver for it."""
KEY_CAME, KEY_WENT = CAME + Heard(arrived=1), WENT + Heard(left=1)
QUICK = UsbTimings(
    settle=0.01,
    leave=0.02,
    quiet=0.05,
    arrival=0.05,
    absence=0.1,
    burst=0.1,
    patience=0.1,
    reconcile=30.0,
    retries=(0.01,),
)


class Viewer:
    """Collects the sets that a bus yields."""

    def __init__(self, bus: Bus) -> None:
        self.sets: list[KeySet] = []
        self.task = asyncio.create_task(self._collect(bus))

    async def until(self, condition: Callable[[KeySet], bool], within: float = 5.0) -> KeySet:
        """Wait for a newest set that meets the condition and return it."""
        await eventually(lambda: bool(self.sets) and condition(self.sets[-1]), within, what=str(self.sets[-1:]))
        return self.sets[-1]

    async def _collect(self, bus: Bus) -> None:
        async for keys in bus.watch():
            self.sets.append(keys)


class Challenges:
    """Makes challenges and counts them: each reading takes one."""

    def __init__(self) -> None:
        self.made = 0
        self._new = challenger("site")

    def new(self) -> Challenge:
        """Make one more."""
        self.made += 1
        return self._new()


class Rig(Protocol):
    """A bus under test; `port` is any name, and each port holds one key."""

    bus: Bus
    challenges: Challenges

    def plug(self, port: str, key: SimulatedKey) -> None:
        """Plug a key in."""

    def unplug(self, port: str) -> None:
        """Pull it out."""


class SimulatedRig:
    """The simulated bus on a real directory."""

    def __init__(self, directory: Path, vendor: Vendor, burst: float = BURST) -> None:
        self.directory = directory / "bus"
        self.challenges = Challenges()
        self.bus: SimulatedBus = SimulatedBus(self.directory, vendor.judge, self.challenges.new, burst)

    def plug(self, port: str, key: SimulatedKey) -> None:
        """Put the key's file there."""
        write_key_file(self.directory / f"{port}{SUFFIX}", key)

    def unplug(self, port: str) -> None:
        """Remove the key's file."""
        (self.directory / f"{port}{SUFFIX}").unlink()


class SysfsTree:
    """A directory that looks as the kernel's table of USB devices does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()
        self._address = 1

    def add(self, sysname: str, ids: tuple[int, int] = IDS) -> None:
        """List a device."""
        self._address += 1
        device = self.root / sysname
        device.mkdir()
        values = {"idVendor": f"{ids[0]:04x}", "idProduct": f"{ids[1]:04x}", "busnum": 1, "devnum": self._address}
        for name, value in values.items():
            (device / name).write_text(f"{value}\n")

    def remove(self, sysname: str) -> None:
        """Do not list it any more."""
        for file in (self.root / sysname).iterdir():
            file.unlink()
        (self.root / sysname).rmdir()


class MemoryReader:
    """Answers from memory.

    `reads` counts the readings of each port. A port in `held` tells its id and is not answered until it is taken out
    of there; one in `answers` is answered with that.
    """

    abandoned = 0

    def __init__(self) -> None:
        self.keys: dict[str, SimulatedKey] = {}
        self.reads: dict[str, int] = {}
        self.held: set[str] = set()
        self.answers: dict[str, Outcome] = {}

    def prepare(self, on_abandoned: OnAbandoned) -> None:
        """Need no preparation, and never abandon a reading."""

    async def read(self, device: Device, nonce: bytes, identified: Identify) -> Outcome:
        """Read what is in this port."""
        port = device.sysname
        self.reads[port] = self.reads.get(port, 0) + 1
        key = self.keys[port]
        if port in self.held:
            identified(key.key_id)
        try:
            await eventually(lambda: port not in self.held, within=60)
        except asyncio.CancelledError:
            identified(key.key_id)  # as a process may that is about to be killed
            raise
        return self.answers.get(port) or _outcome(key, nonce)

    def longest(self, running: int) -> float:
        """Take a second for each."""
        return running + 1.0

    async def close(self) -> None:
        """Hold nothing."""


class UsbRig:
    """The real bus on a sysfs that is a directory, with a reader that answers from memory.

    `plug` and `unplug` ring as the kernel does for a device that it sets up or takes down.
    """

    def __init__(
        self, directory: Path, vendor: Vendor, timings: UsbTimings = QUICK, judge: Judge | None = None
    ) -> None:
        self.tree = SysfsTree(directory / "devices")
        self.challenges = Challenges()
        self.reader = MemoryReader()
        self.trouble: OSError | None = None
        self.ring: Ring = lambda _: None
        self.bus: UsbBus = UsbBus(
            judge or vendor.judge,
            self.challenges.new,
            timings=timings,
            scan=self._scan,
            reader=self.reader,
            wakeups=self._wakeups,
        )

    def plug(self, port: str, key: SimulatedKey) -> None:
        """List the device and ring."""
        self.reader.keys[port] = key
        self.tree.add(port)
        self.ring(KEY_CAME)

    def unplug(self, port: str) -> None:
        """Take it off the list and ring."""
        self.tree.remove(port)
        self.ring(KEY_WENT)

    def _scan(self) -> frozenset[Device]:
        if self.trouble is not None:
            raise self.trouble
        return scan({IDS}, self.tree.root)

    @contextmanager
    def _wakeups(self, ring: Ring) -> Iterator[None]:
        self.ring = ring
        yield


def _outcome(key: SimulatedKey, nonce: bytes) -> Outcome:
    if key.broken:
        return Failed("The USB key did not answer.")
    proof = None
    if key.device_private_key is not None:
        private = Ed25519PrivateKey.from_private_bytes(key.device_private_key)
        proof = private.sign(proof_message(key.key_id, nonce))
    return Contents(key.key_id, key.licence_file, proof)

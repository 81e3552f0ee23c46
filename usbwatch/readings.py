"""The plugged devices, what is known of each, and the readings that run. Knows neither events nor who is told.

A device that appears is read at once, and again after a pause when that came to nothing; one that has gone is
forgotten together with its reading.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable

from licensing.genuine import nonce_of
from usbwatch import slots
from usbwatch.bus import Challenger, Judge, KeySet, key_set
from usbwatch.device import Device
from usbwatch.key_reader import KeyReader
from usbwatch.messages import Failed
from usbwatch.slots import Slot
from usbwatch.timings import UsbTimings

logger = logging.getLogger(__name__)

Devices = frozenset[Device]
Clock = Callable[[], dt.datetime]


class Readings:
    """Reads what is plugged in; `changed` is called when more has become known of a key."""

    def __init__(
        self,
        reader: KeyReader,
        judge: Judge,
        new_challenge: Challenger,
        timings: UsbTimings,
        now: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._judge = judge
        self._new_challenge = new_challenge
        self._timings = timings
        self._now = now
        self._changed = changed
        self._slots: dict[Device, Slot] = {}
        self._running: dict[Device, asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._retry_at: dict[Device, float] = {}
        self._one_again_at_a_time = asyncio.Lock()

    @property
    def keys(self) -> KeySet:
        """What is known of the plugged keys."""
        return key_set(slot.seen for slot in self._slots.values() if slot.seen)

    @property
    def devices(self) -> Devices:
        """The devices that are plugged in."""
        return frozenset(self._slots)

    @property
    def proved(self) -> Devices:
        """Those whose keys gave a proof."""
        return frozenset(device for device, slot in self._slots.items() if slot.proved)

    @property
    def running(self) -> int:
        """How many readings run."""
        return len(self._running)

    def update(self, plugged: Devices) -> None:
        """Take note of what is plugged in now; read what is new, and what is to be tried again."""
        for device in self.devices - plugged:
            del self._slots[device]
            self._retry_at.pop(device, None)
            self._stop(device)
        for device in plugged - self.devices:
            self._slots[device] = slots.unread(device, self._read_by())
            self._start(device)
        for device in self._due():
            self._start(device)

    async def again(self, devices: Devices) -> None:
        """Read those of the devices that are still plugged in once more, and return when that is done.

        Who asks meanwhile waits for this and has them read after it: nobody's readings are stopped before their end.
        """
        async with self._one_again_at_a_time:
            stopping = [self._stop(device) for device in devices]
            await _wait_for([task for task in stopping if task])
            there = devices & self.devices
            for device in there - frozenset(self._running):
                self._start(device)
            await _wait_for([self._running[device] for device in there])

    async def stop(self) -> None:
        """Stop all readings; no process is left."""
        for device in list(self._running):
            self._stop(device)
        await _wait_for(list(self._stopping))

    def _due(self) -> list[Device]:
        now = asyncio.get_running_loop().time()
        return [device for device, at in self._retry_at.items() if at <= now]

    def _read_by(self) -> dt.datetime:
        return self._now() + dt.timedelta(seconds=self._reader.longest(len(self._running)))

    def _start(self, device: Device) -> None:
        self._retry_at.pop(device, None)
        self._slots[device] = slots.reading_again(self._slots[device], self._read_by())
        task = asyncio.create_task(self._read(device))
        self._running[device] = task
        task.add_done_callback(lambda _: self._ended(device, task))

    def _stop(self, device: Device) -> asyncio.Task[None] | None:
        """Cancel the reading of this device; ending its process may take a moment, for which nobody need wait."""
        task = self._running.pop(device, None)
        if task is not None:
            self._stopping.add(task)
            task.cancel()
        return task

    def _ended(self, device: Device, task: asyncio.Task[None]) -> None:
        self._stopping.discard(task)
        if self._running.get(device) is task:
            del self._running[device]
            self._changed()

    async def _read(self, device: Device) -> None:
        challenge = self._new_challenge()
        try:
            outcome = await self._reader.read(device, nonce_of(challenge), lambda key_id: self._named(device, key_id))
            slot = slots.finished(self._slots[device], outcome, challenge, self._judge)
        except Exception as error:
            logger.exception("reading the USB key at %s failed", device.place)
            failed = Failed(f"The USB key could not be judged ({error!r}): report this to the vendor.")
            slot = slots.finished(self._slots[device], failed, challenge, self._judge)
        self._slots[device] = slot
        if not slot.final:
            pause = self._timings.retry_pause(slot.failures)
            self._retry_at[device] = asyncio.get_running_loop().time() + pause

    def _named(self, device: Device, key_id: str) -> None:
        if device in self._slots:  # a reading that is being stopped may still have something to say
            self._slots[device] = slots.identified(self._slots[device], key_id)
            self._changed()


async def _wait_for(tasks: list[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)

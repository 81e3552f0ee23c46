"""The USB bus of this machine: kernel events wake it, sysfs tells what is plugged in, workers read the keys.

Each round compares what sysfs lists with what is known: what is new is read, what is gone is forgotten, what
has not changed is not read again. This file never touches a device itself and knows no protocol of any key.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, suppress

from usbwatch import slots
from usbwatch.bus import Judge, KeySet, NonceSource, fresh_nonce, key_set
from usbwatch.device import Device
from usbwatch.driver import DRIVERS
from usbwatch.latest import Latest
from usbwatch.messages import Failed, Outcome, ReadKey
from usbwatch.slots import Slot
from usbwatch.sysfs import USB_DEVICES, scan
from usbwatch.timings import UsbTimings
from usbwatch.uevents import kernel_uevents
from usbwatch.workers import REAP_SECONDS, Workers, worker_seconds

logger = logging.getLogger(__name__)

Scan = Callable[[], frozenset[Device]]
ReadDevice = Callable[[Device, bytes, Callable[[str], None]], Awaitable[Outcome]]
Wakeups = Callable[[Callable[[], None]], AbstractContextManager[None]]
Clock = Callable[[], dt.datetime]


def scan_machine() -> frozenset[Device]:
    """Return the devices of this machine that a driver claims."""
    return scan(frozenset().union(*(driver.claims for driver in DRIVERS)))


def read_in_worker(workers: Workers, seconds: float) -> ReadDevice:
    """Return a function that reads one device in a process of its own."""

    async def read(device: Device, nonce: bytes, identified: Callable[[str], None]) -> Outcome:
        request = ReadKey(device, nonce, worker_seconds(seconds))
        return await workers.ask(request, seconds, identified)

    return read


def utc_now() -> dt.datetime:
    """Return the wall clock's time; used only to tell people by when a key will have been read."""
    return dt.datetime.now(dt.UTC)


class UsbBus:
    """The keys plugged into this machine.

    `read_deadline` (seconds) is for one key, all in all. The other arguments are for tests.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        read_deadline: float = 5.0,
        now: Clock = utc_now,
        new_nonce: NonceSource = fresh_nonce,
        timings: UsbTimings = UsbTimings(),  # noqa: B008 - a frozen value
        scan: Scan = scan_machine,
        read: ReadDevice | None = None,
        wakeups: Wakeups = kernel_uevents,
    ) -> None:
        self.workers = Workers()
        self._judge = judge
        self._now = now
        self._new_nonce = new_nonce
        self._timings = timings
        self._scan = scan
        self._read_deadline = read_deadline
        self._read = read or read_in_worker(self.workers, read_deadline)
        self._wakeups = wakeups
        self._slots: dict[Device, Slot] = {}
        self._readings: dict[Device, asyncio.Task[None]] = {}
        self._retry_at: dict[Device, float] = {}
        self._latest = Latest()
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set at once, then the whole set after each change."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        async for keys in self._latest.readings():
            yield keys

    async def reread(self) -> None:
        """Read every key again and return when that is done; until then a key keeps its former reading."""
        await self._round()
        async with self._one_at_a_time:
            await self._stop_readings(frozenset(self._readings))
            for device in self._slots:
                self._start_reading(device)
            readings = list(self._readings.values())
        if readings:
            await asyncio.wait(readings)
        await self._round()

    async def close(self) -> None:
        """Stop watching and end every reading; no process is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._stop_readings(frozenset(self._readings))
        self._latest.end()

    async def _follow(self) -> None:
        if not USB_DEVICES.exists():
            logger.warning("this machine has no USB bus (%s is missing): no key can be seen here", USB_DEVICES)
        try:
            with self._wakeups(self._wake.set):
                while True:
                    self._wake.clear()
                    await self._round()
                    await self._next_occasion()
        except Exception as error:
            logger.exception("the USB bus is not watched any more")
            self._latest.end(error)

    async def _next_occasion(self) -> None:
        """Wait for an event and the end of the burst it may belong to, but not for ever."""
        if not await self._rings_within(self._timings.reconcile):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timings.burst):
                while await self._rings_within(self._timings.settle):
                    pass

    async def _rings_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _round(self) -> None:
        async with self._one_at_a_time:
            try:
                plugged = await asyncio.to_thread(self._scan)
            except OSError as error:  # not seeing the keys does not mean that they are gone
                logger.warning("the USB bus cannot be scanned, what was seen last is kept: %s", error)
                return
            await self._forget(frozenset(self._slots) - plugged)
            for device in plugged - frozenset(self._slots):
                self._slots[device] = slots.unread(device, self._read_by())
                self._start_reading(device)
            for device in self._due():
                self._start_reading(device)
            self._latest.offer(key_set(slot.seen for slot in self._slots.values() if slot.seen))

    async def _forget(self, gone: frozenset[Device]) -> None:
        for device in gone:
            del self._slots[device]
            self._retry_at.pop(device, None)
        await self._stop_readings(gone & frozenset(self._readings))

    def _read_by(self) -> dt.datetime:
        return self._now() + dt.timedelta(seconds=self._read_deadline + REAP_SECONDS)

    def _due(self) -> list[Device]:
        now = asyncio.get_running_loop().time()
        return [device for device, at in self._retry_at.items() if at <= now]

    def _start_reading(self, device: Device) -> None:
        self._retry_at.pop(device, None)
        self._slots[device] = slots.reading_again(self._slots[device], self._read_by())
        task = asyncio.create_task(self._read_device(device))
        self._readings[device] = task
        task.add_done_callback(lambda _: self._reading_done(device, task))

    def _reading_done(self, device: Device, task: asyncio.Task[None]) -> None:
        if self._readings.get(device) is task:
            del self._readings[device]
        self._wake.set()

    async def _stop_readings(self, devices: frozenset[Device]) -> None:
        tasks = [self._readings.pop(device) for device in devices]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _read_device(self, device: Device) -> None:
        nonce = self._new_nonce()
        try:
            outcome = await self._read(device, nonce, lambda key_id: self._on_identity(device, key_id))
            slot = slots.finished(self._slots[device], outcome, nonce, self._judge)
        except Exception as error:
            logger.exception("reading the USB key at %s failed", device.place)
            failed = Failed(f"The USB key could not be judged ({error!r}): report this to the vendor.")
            slot = slots.finished(self._slots[device], failed, nonce, self._judge)
        self._slots[device] = slot
        if not slot.final:
            pause = self._timings.retry_pause(slot.failures)
            self._retry_at[device] = asyncio.get_running_loop().time() + pause

    def _on_identity(self, device: Device, key_id: str) -> None:
        self._slots[device] = slots.identified(self._slots[device], key_id)
        self._wake.set()

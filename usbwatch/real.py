"""The USB bus of this machine: kernel events wake it, sysfs tells what is plugged in, workers read the keys.

Each look compares what sysfs lists with what is known: what is new is read, what is gone is forgotten, what has
not changed is not read again. This file decides when to look and when to tell; it never touches a device itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from usbwatch.burst import Burst
from usbwatch.bus import Challenger, Judge, KeySet
from usbwatch.device import Device
from usbwatch.driver import DRIVERS, Driver, claims_of
from usbwatch.heard import Heard
from usbwatch.holding import Holding
from usbwatch.key_reader import KeyReader, WorkerReader
from usbwatch.latest import Latest
from usbwatch.readings import Clock, Readings
from usbwatch.sysfs import USB_DEVICES, scan
from usbwatch.timings import UsbTimings
from usbwatch.uevents import Ring, kernel_uevents

logger = logging.getLogger(__name__)

Scan = Callable[[], frozenset[Device]]
Wakeups = Callable[[Ring], AbstractContextManager[None]]


def scan_machine(drivers: tuple[Driver, ...] = DRIVERS) -> frozenset[Device]:
    """Return the devices of this machine that one of the drivers claims."""
    return scan(claims_of(drivers))


def utc_now() -> dt.datetime:
    """Return the wall clock's time; used only to tell people by when a key will have been read."""
    return dt.datetime.now(dt.UTC)


class UsbBus:
    """The keys plugged into this machine.

    `read_deadline` (seconds) is for one key, all in all. The other named arguments are for tests.
    """

    def __init__(
        self,
        judge: Judge,
        new_challenge: Challenger,
        drivers: tuple[Driver, ...] = DRIVERS,
        *,
        read_deadline: float = 5.0,
        now: Clock = utc_now,
        timings: UsbTimings = UsbTimings(),  # noqa: B008 - a frozen value
        scan: Scan | None = None,
        reader: KeyReader | None = None,
        wakeups: Wakeups | None = None,
    ) -> None:
        self._timings = timings
        self._scan = scan or functools.partial(scan_machine, drivers)
        self._reader = reader or WorkerReader(drivers, read_deadline)
        self._readings = Readings(self._reader, judge, new_challenge, timings, now, self._show)
        self._wakeups = wakeups or functools.partial(kernel_uevents, claims=claims_of(drivers))
        self._holding = Holding(timings.patience)
        self._latest = Latest()
        self._showing: asyncio.TimerHandle | None = None
        self._rung = asyncio.Event()
        self._heard = Heard()
        self._settling = False
        self._has_looked = False
        self._one_look_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def abandoned(self) -> int:
        """How many processes that read a key could not be ended."""
        return self._reader.abandoned

    async def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set at once, then the whole set after each change of it or of `abandoned`."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        async for keys in self._latest.readings():
            yield keys

    async def reread(self) -> None:
        """Read every key again and return when that is done; until then a key keeps its former reading."""
        await self._look()
        await self._readings.again(self._readings.devices)
        await self._look()
        self._show(at_once=True)

    async def prove_again(self) -> None:
        """Do the same with those keys alone that gave a proof."""
        await self._readings.again(self._readings.proved)
        self._show(at_once=True)

    async def close(self) -> None:
        """Stop watching and end every reading; no process is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._readings.stop()
        await self._reader.close()
        if self._showing is not None:
            self._showing.cancel()
        self._latest.end()

    async def _follow(self) -> None:
        if not USB_DEVICES.exists():
            logger.warning("this machine has no USB bus (%s is missing): no key can be seen here", USB_DEVICES)
        try:
            self._reader.prepare(self._latest.repeat)
            with self._wakeups(self._ring):
                while True:
                    await self._look()
                    await self._next_occasion()
        except Exception as error:
            logger.exception("the USB bus is not watched any more")
            self._latest.end(error)

    async def _look(self) -> None:
        async with self._one_look_at_a_time:
            try:
                plugged = await asyncio.to_thread(self._scan)
            except OSError as error:  # not seeing the keys does not mean that they are gone
                logger.warning("the USB bus cannot be scanned, what was seen last is kept: %s", error)
                return
            finally:
                self._settling = False
            before = self._readings.devices
            self._readings.update(plugged)
            self._has_looked = True
        self._show(at_once=plugged < before)  # that a key has gone must be told without delay

    def _show(self, *, at_once: bool = False) -> None:
        """Tell what is known now, or plan to, if it is different and nothing better is about to come."""
        if not self._has_looked:
            return
        if self._showing is not None:
            self._showing.cancel()
        now, keys = asyncio.get_running_loop().time(), self._readings.keys
        to_come = 0 if at_once else max(self._readings.running, int(self._settling))
        due = self._holding.due(keys, now, to_come)
        if due is None:
            return
        if due > now:
            self._showing = asyncio.get_running_loop().call_at(due, self._show)
        else:
            self._holding.shown(keys)
            self._latest.offer(keys)

    async def _next_occasion(self) -> None:
        """Wait for an event and the end of the burst it belongs to, but not for ever."""
        if not await self._rings_within(self._timings.reconcile):
            return
        now = asyncio.get_running_loop().time
        burst = Burst(self._timings, now())
        rings = True
        while rings:
            burst.add(self._heard, now())
            self._heard = Heard()
            self._settling = burst.of_keys  # other devices are no reason to hold back what is known
            rings = now() < burst.ends_at and await self._rings_within(burst.ends_at - now())

    async def _rings_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True

    def _ring(self, heard: Heard) -> None:
        self._heard += heard
        self._rung.set()

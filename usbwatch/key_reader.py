"""Reading one plugged key, for the bus, which need not know how it is done."""

from __future__ import annotations

from typing import Protocol

from usbwatch.device import Device
from usbwatch.driver import Driver, driver_for
from usbwatch.messages import Failed, Outcome, ReadKey
from usbwatch.worker_process import REAP_SECONDS, Identify
from usbwatch.workers import AT_ONCE, OnAbandoned, Workers, worker_seconds


class KeyReader(Protocol):
    """Reads keys."""

    @property
    def abandoned(self) -> int:
        """How many readings could not be ended."""

    def prepare(self, on_abandoned: OnAbandoned) -> None:
        """Get ready for the first key; `on_abandoned` is called each time that `abandoned` has grown."""

    async def read(self, device: Device, nonce: bytes, identified: Identify) -> Outcome:
        """Read a key and let it sign the nonce; when this is cancelled the key is let go."""

    def longest(self, running: int) -> float:
        """Return within how many seconds a reading ends that begins while so many are running."""

    async def close(self) -> None:
        """Leave nothing running."""


class WorkerReader:
    """Reads each key in a process of its own; `seconds` is for one key, all in all."""

    def __init__(self, drivers: tuple[Driver, ...], seconds: float, workers: Workers | None = None) -> None:
        self._drivers = drivers
        self._seconds = seconds
        self._workers = Workers() if workers is None else workers

    @property
    def abandoned(self) -> int:
        """How many processes could not be ended."""
        return self._workers.abandoned

    def prepare(self, on_abandoned: OnAbandoned) -> None:
        """Start a process in advance, and tell when one cannot be ended."""
        self._workers.on_abandoned = on_abandoned
        self._workers.keep_spare()

    async def read(self, device: Device, nonce: bytes, identified: Identify) -> Outcome:
        """Read a key and let it sign the nonce."""
        driver = driver_for(device, self._drivers)
        if driver is None:
            return Failed("No driver claims this USB device: remove it.")
        request = ReadKey(driver.name, device, nonce, worker_seconds(self._seconds))
        return await self._workers.ask(request, self._seconds, identified)

    def longest(self, running: int) -> float:
        """Return the time for its turn to come and for the reading itself."""
        return (running // AT_ONCE + 1) * (self._seconds + REAP_SECONDS)

    async def close(self) -> None:
        """End all processes."""
        await self._workers.close()

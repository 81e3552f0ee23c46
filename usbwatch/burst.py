"""When a burst of hot-plug events is over. Pure: the time is passed in.

A single plug is looked at almost at once. When a device leaves, others may leave with it in a moment; when more than
one device is concerned, a hub may be resetting: its keys leave together and come back one after the other, a third of
a second apart, and that is to be seen as one change.
"""

from __future__ import annotations

from usbwatch.timings import UsbTimings

ONE_DEVICE = 2
"""So many events the kernel makes of one device that comes or goes: itself, and its driver."""


class Burst:
    """One burst that began at `now` (monotonic seconds)."""

    def __init__(self, timings: UsbTimings, now: float) -> None:
        self._timings = timings
        self._began = now
        self._last = now
        self._events = 0
        self._leaving = 0

    def add(self, events: int, leaving: int, now: float) -> None:
        """Take note of events that have just come, and of how many of them something leaves."""
        self._events += events
        self._leaving += leaving
        self._last = now

    @property
    def ends_at(self) -> float:
        """The moment at which it is over if nothing more comes."""
        return min(self._last + self._quiet, self._began + self._timings.burst)

    @property
    def _quiet(self) -> float:
        if self._events > ONE_DEVICE:
            return self._timings.quiet
        return self._timings.leave if self._leaving else self._timings.settle

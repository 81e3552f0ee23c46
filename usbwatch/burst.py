"""When a burst of hot-plug events is over. Pure: the time is passed in.

A single plug is looked at almost at once. When a device leaves, others may leave with it in a moment; when more than
one device is concerned, a hub may be resetting: its keys leave together and come back one after the other, a third of
a second apart, and that is to be seen as one change. But no other device, such as a mouse with a loose contact, may
hold up the news of a key for long.
"""

from __future__ import annotations

from usbwatch.heard import Heard
from usbwatch.timings import UsbTimings

ONE_DEVICE = 2
"""So many events the kernel makes of one device that comes or goes: itself, and its driver."""


class Burst:
    """One burst that began at `now` (monotonic seconds)."""

    def __init__(self, timings: UsbTimings, now: float) -> None:
        self._timings = timings
        self._last = now
        self._last_of_keys = now
        self._heard = Heard()
        self._limit = now + timings.burst

    def add(self, heard: Heard, now: float) -> None:
        """Take note of what has just been heard."""
        self._heard += heard
        self._last = now
        if heard.of_keys:
            self._last_of_keys = now
        if self._heard.arrived and not self._awaits_keys:
            self._limit = min(self._limit, now + self._timings.arrival)

    @property
    def of_keys(self) -> bool:
        """Whether keys came or went in it."""
        return self._heard.of_keys

    @property
    def ends_at(self) -> float:
        """The moment at which it is over if nothing more comes."""
        ends = min(self._last + self._quiet, self._limit)
        return min(ends, self._last_of_keys + self._timings.absence) if self._awaits_keys else ends

    @property
    def _awaits_keys(self) -> bool:
        """Whether more keys have left than have come: they may be about to come back."""
        return self._heard.left > self._heard.arrived

    @property
    def _quiet(self) -> float:
        if self._heard.events > ONE_DEVICE:
            return self._timings.quiet
        return self._timings.leave if self._heard.leaving else self._timings.settle

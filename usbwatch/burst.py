"""When a burst of hot-plug events is over. Pure: the time is passed in.

A single plug is looked at almost at once. The more events there are, the more are likely to follow: a hub that
resets makes its keys leave and come back one after the other, and that is to be seen as one change.
"""

from __future__ import annotations

from usbwatch.timings import UsbTimings


class Burst:
    """One burst that began at `now` (monotonic seconds)."""

    def __init__(self, timings: UsbTimings, now: float) -> None:
        self._timings = timings
        self._began = now
        self._last = now
        self._events = 0

    def add(self, events: int, now: float) -> None:
        """Take note of events that have just come."""
        self._events += events
        self._last = now

    @property
    def ends_at(self) -> float:
        """The moment at which it is over if nothing more comes."""
        quiet = min(self._timings.settle * max(self._events, 1), self._timings.quiet)
        return min(self._last + quiet, self._began + self._timings.burst)

"""Effective time: the wall clock, which may be set back, held up by what was seen before.

Effective time is the larger of the wall clock and the stored high-water mark plus the time since, measured on a clock
that nobody sets and that runs during suspend.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from licensing.model import Time


def wall_clock() -> Time:
    """The machine's wall clock in UTC, to the millisecond."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def boot_clock() -> float:
    """Seconds since boot, suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class EffectiveClock:
    """A clock that never goes back: `now()` is at least all that it told or was told before, plus the time since."""

    wall: Callable[[], Time] = wall_clock
    boot: Callable[[], float] = boot_clock
    _floor: Time | None = field(default=None, init=False)
    _floor_at: float = field(default=0.0, init=False)

    def now(self) -> Time:
        """Return effective time, to the millisecond."""
        self.saw(self.wall())
        return self._held_up(self.boot())

    def saw(self, high_water: Time) -> None:
        """Take note of a high-water mark: effective time is never before it again."""
        boot = self.boot()
        if self._floor is None or self._held_up(boot) < high_water:
            self._floor, self._floor_at = high_water, boot

    @property
    def set_back(self) -> bool:
        """Whether the wall clock is behind effective time by more than a second, so it was set back."""
        return self.now() - self.wall() > dt.timedelta(seconds=1)

    def _held_up(self, boot: float) -> Time:
        assert self._floor is not None
        return self._floor + dt.timedelta(milliseconds=int((boot - self._floor_at) * 1000))

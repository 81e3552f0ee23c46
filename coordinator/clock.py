"""Effective time: the wall clock, held up by what was seen before and held back where it leaps ahead.

Effective time goes on from the stored high-water mark on a clock that nobody sets and that runs during suspend. A wall
clock that is behind changes nothing; one that is ahead by no more than a threshold is followed; one that is further
ahead is quarantined, and somebody who has looked at other clocks says with `saw` how late it really is. Knows no other
clocks, no store and no disk.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from licensing.value import LATEST, Time

THRESHOLD = dt.timedelta(minutes=5)
"""More than clocks differ that anybody looks after (NTP keeps milliseconds, and sets what is minutes off), more than a
report or an answer of etcd is under way, and too little to end any licence or buffer noticeably early."""

_ZERO = dt.timedelta()
_SKEW = dt.timedelta(seconds=1)
_MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def wall_clock() -> Time:
    """The machine's wall clock in UTC, to the millisecond."""
    return _EPOCH + time.time_ns() // 1_000_000 * _MILLISECOND


def boot_clock() -> float:
    """Seconds since boot, suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class EffectiveClock:
    """A clock that does not go back: `now()` is at least all that it told or was told before, plus the time since.

    The one exception: what it told by the wall clock alone, before it was told of any mark, counts no more when the
    first mark shows that the wall clock is far ahead. Nothing may be decided before that mark is read.

    `mark_age`: how old the first mark may be when it is read. `fresh`: no wall clock was believed yet since this
    machine was switched on.
    """

    wall: Callable[[], Time] = wall_clock
    boot: Callable[[], float] = boot_clock
    threshold: dt.timedelta = THRESHOLD
    mark_age: dt.timedelta = _ZERO
    fresh: bool = False
    first_mark: Time | None = field(default=None, init=False)
    _floor: Time | None = field(default=None, init=False)
    _floor_at: float = field(default=0.0, init=False)

    def now(self) -> Time:
        """Return effective time, to the millisecond."""
        wall, boot = self.wall(), self.boot()
        if self._floor is None:
            self._hold(wall, boot)
        now = self._held_up(boot)
        ahead = wall - now
        believed = ahead <= self.threshold + self.mark_age
        if believed and ahead > _ZERO:
            self._hold(wall, boot)
            now = min(wall, LATEST)
        if believed and ahead >= -_SKEW and self.first_mark is not None:
            self.fresh, self.mark_age = False, _ZERO
        return now

    def saw(self, high_water: Time) -> None:
        """Take note of a mark that is believed: effective time is never before it again."""
        boot = self.boot()
        if self.first_mark is None:
            self.first_mark = high_water
            if self._floor is not None and self._held_up(boot) - high_water > self.threshold + self.mark_age:
                self._floor = None
        if self._floor is None or self._held_up(boot) < high_water:
            self._hold(high_water, boot)

    @property
    def ahead(self) -> dt.timedelta:
        """By how much the wall clock is ahead of effective time and not believed; negative where it is behind."""
        return self.wall() - self.now()

    @property
    def quarantined(self) -> bool:
        """Whether the wall clock is so far ahead that it is not believed."""
        return self.ahead > self.threshold

    @property
    def set_back(self) -> bool:
        """Whether the wall clock is behind effective time by more than a second, so it was set back."""
        return self.ahead < -_SKEW

    @property
    def booted_since(self) -> bool:
        """Whether by its wall clock this machine was off when the first mark had been written.

        That clock was not believed yet since then, so nothing says that it leapt while the machine ran.
        """
        if not self.fresh or self.first_mark is None:
            return False
        return self.wall() - dt.timedelta(seconds=self.boot()) > self.first_mark

    def _hold(self, at: Time, boot: float) -> None:
        self._floor, self._floor_at = at, boot

    def _held_up(self, boot: float) -> Time:
        assert self._floor is not None
        passed = int((boot - self._floor_at) * 1000) * _MILLISECOND
        return min(self._floor + passed, LATEST)  # where it stands still, rather than go where no mark is believed

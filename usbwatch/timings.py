"""The times of the USB bus, in seconds, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class UsbTimings:
    """How long the bus waits for what.

    A burst of events is over when none has come for a while, and in any case after `burst`: for `settle` when one
    device came, for `leave` when one left, for `quiet` when there were more. However many other devices come and go, it
    lasts no longer than `arrival` once a key has come and as many have come as have left, and no longer than `absence`
    after the last event of a key while more have left than have come. `patience`: how long a set of keys is held
    back for a few readings that are about to end. `reconcile`: look again even without an event. `retries`: pauses
    before a key that could not be read is tried again, at the next look after that; the last one repeats.
    """

    settle: float = 0.02
    leave: float = 0.2
    quiet: float = 0.8
    arrival: float = 0.5
    absence: float = 1.6
    burst: float = 4.0
    patience: float = 1.0
    reconcile: float = 3.0
    retries: tuple[float, ...] = (1.0, 2.0, 5.0, 15.0, 60.0)

    def __post_init__(self) -> None:
        if not 0 < self.settle <= self.leave <= self.quiet <= self.burst:
            raise ValueError("USB timings need 0 < settle <= leave <= quiet <= burst")
        if not self.settle <= self.arrival <= self.absence:
            raise ValueError("USB timings need settle <= arrival <= absence")
        ordered = all(earlier <= later for earlier, later in pairwise(self.retries))
        if not (self.patience >= 0 and self.reconcile > 0 and self.retries and ordered):
            raise ValueError("USB timings need patience >= 0, reconcile > 0 and retries that do not shrink")

    def retry_pause(self, failures: int) -> float:
        """Return the pause after that many failures in a row."""
        return self.retries[min(failures, len(self.retries)) - 1]

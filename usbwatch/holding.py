"""When a new set of keys is shown. Pure: the time is passed in.

While readings are about to end, showing every step would make a report of each. So a set is held back as long as
something is to come, though never for longer than one's patience: a key that is slow to read must be seen.
"""

from __future__ import annotations

from usbwatch.bus import KeySet

_TOGETHER = 2
"""So many healthy keys are read within one patience, also on two processors that have other things to do."""


class Holding:
    """Remembers the set that was shown last, and until when another one waits; `patience` in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._shown: KeySet | None = None
        self._since: float | None = None
        self._until = 0.0

    def due(self, keys: KeySet, now: float, to_come: int) -> float | None:
        """Return when this set is to be shown, if so many readings may still change it.

        `now` means at once, None means never: it is shown already.
        """
        if keys == self._shown:
            self._since = None
            return None
        if self._since is None:
            self._since = self._until = now
        if to_come == 0:
            return now
        self._until = max(self._until, self._since + self._patience * max(1.0, to_come / _TOGETHER))
        return max(now, self._until)

    def shown(self, keys: KeySet) -> None:
        """Take note that this set has been shown."""
        self._shown, self._since = keys, None

"""This machine's own memory of the time at which it was switched on, for a coordinator that starts again.

The stored mark may be minutes old, and says nothing of whether the wall clock leapt while no coordinator ran. A file
says when, in effective time, the present boot began; with the boot clock that gives effective time exactly. It is
written when the wall clock is believed for the first time after a boot, and hardly ever again.
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

from cluster.kept_file import KeptFile
from cluster.values import BadValue, encode_value, read_message
from coordinator.clock import EffectiveClock
from licensing.value import Time, Value, is_possible

log = logging.getLogger(__name__)

FILE = "time-base"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NOTABLE = dt.timedelta(seconds=1)


class TimeBase(Value, frozen=True):
    """When the boot with this id began, in effective time."""

    boot_id: str
    began: Time


class KeptTime:
    """The file in `state_dir`, as it concerns the boot with the id `boot_id`."""

    def __init__(self, state_dir: Path, boot_id: str) -> None:
        self._file = KeptFile(state_dir / FILE, "time base not kept on disk")
        self._boot_id = boot_id
        self._began = self._load()

    def wind(self, clock: EffectiveClock, mark_age: dt.timedelta) -> None:
        """Set a clock that was just made: by the file, or as one of a machine that was switched on since."""
        if self._began is None:
            clock.fresh, clock.mark_age = True, mark_age
        else:
            clock.saw(self._began + dt.timedelta(seconds=clock.boot()))

    def keep(self, clock: EffectiveClock) -> None:
        """Write the file if effective time has moved against the boot clock, or if the disk has not got it.

        A disk that is full is told once, and tried again with the next call.
        """
        began = clock.now() - dt.timedelta(seconds=clock.boot())
        if clock.fresh or clock.first_mark is None:
            return
        if self._began is None or began - self._began > _NOTABLE:
            self._began = began
        self._file.keep(encode_value(TimeBase(self._boot_id, self._began)))

    def _load(self) -> Time | None:
        """Return when the present boot began, None when that is not known; a damaged file is as good as none."""
        try:
            kept = read_message(str(self._file.path), self._file.read(), TimeBase)
        except FileNotFoundError:
            return None
        except (OSError, BadValue) as error:
            log.warning("time base cannot be read", extra={"file": self._file.path, "why": error})
            return None
        return kept.began if kept.boot_id == self._boot_id and is_possible(kept.began) else None


def this_boot() -> str:
    """Return the id of this machine's present boot; one that no file has where the kernel does not say."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""

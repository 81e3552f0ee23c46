"""What the bus remembers of one plugged device, and how that changes as its key is read. No I/O, no tasks.

unread -> PENDING -> OK, FAULTY, NOT_GENUINE      a first reading, with the id as soon as the key has told it
OK, ... -> (still shown) -> OK, ...               a further reading: what was known stays until it is replaced
any -> hidden                                     it says it is gone: the kernel will say so too in a moment
"""

from __future__ import annotations

import datetime as dt

from msgspec import Struct
from msgspec.structs import replace

from licensing.seen import Challenge, Reading
from usbwatch.bus import Judge, Seen, judged
from usbwatch.device import Device
from usbwatch.messages import Contents, Failed, Outcome


class Slot(Struct, frozen=True):
    """What is known of one plugged device.

    `seen` is None while the key is hidden. `failures` counts readings in a row that came to nothing. `final`:
    trying again by ourselves is of no use.
    """

    device: Device
    seen: Seen | None
    failures: int = 0
    final: bool = False

    @property
    def proved(self) -> bool:
        """Whether the key gave a proof when it was read last."""
        return self.seen is not None and self.seen.proof is not None


def unread(device: Device, read_by: dt.datetime) -> Slot:
    """Return the slot of a device that has just been found."""
    return Slot(device, Seen(key_id=device.place, reading=Reading.PENDING, read_by=read_by))


def reading_again(slot: Slot, read_by: dt.datetime) -> Slot:
    """Return the slot when its key is read once more; what is known stays, and what is not gets a new deadline."""
    if slot.seen is None or slot.seen.reading is not Reading.PENDING:
        return slot
    return replace(slot, seen=replace(slot.seen, read_by=read_by))


def identified(slot: Slot, key_id: str) -> Slot:
    """Return the slot once the key has told its id, before the rest is read."""
    if slot.seen is None or slot.seen.reading is not Reading.PENDING:
        return slot
    return replace(slot, seen=replace(slot.seen, key_id=key_id))


def finished(slot: Slot, outcome: Outcome, challenge: Challenge, judge: Judge) -> Slot:
    """Return the slot after a reading."""
    match outcome:
        case Contents(key_id, blob, proof):
            return Slot(slot.device, judged(judge, key_id, blob, challenge, proof), final=True)
        case Failed(reason, stuck):
            key_id = slot.seen.key_id if slot.seen else slot.device.place
            faulty = Seen(key_id=key_id, reading=Reading.FAULTY, reason=reason)
            return Slot(slot.device, faulty, slot.failures + 1, final=stuck)
        case _:
            return Slot(slot.device, None, slot.failures + 1)

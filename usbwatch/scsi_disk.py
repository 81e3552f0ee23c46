"""The few SCSI commands by which a USB stick is read, and its complaints in words. Knows nothing of licences."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from usbwatch.bulk_only import BulkOnly
from usbwatch.driver import Deadline, KeyFault

_TEST_UNIT_READY = bytes(6)
_SENSE_SIZE, _INQUIRY_SIZE = 18, 36
_REQUEST_SENSE = bytes((0x03, 0, 0, 0, _SENSE_SIZE, 0))
_INQUIRY = bytes((0x12, 0, 0, 0, _INQUIRY_SIZE, 0))
_READ_CAPACITY = bytes((0x25, *bytes(9)))
_CAPACITY = struct.Struct(">II")
_READ = struct.Struct(">BBIBHB")
_READ_CODE = 0x28
_CHUNK = 16 * 1024  # bytes of one READ: what the kernel takes as one piece
_TRIES = 20
_PAUSE_MS = 100
_DISK = 0
_TOO_LARGE = 0xFFFF_FFFF  # the answer of a disk whose size does not fit into the answer

_NOT_READY, _UNIT_ATTENTION = 0x2, 0x6
_NO_MEDIUM = 0x3A

_TROUBLES = {
    0x2: "does not become ready. Re-insert it",
    0x3: "cannot read its own memory (medium error): it is worn out, replace it",
    0x4: "reports a hardware error: replace it",
    0x5: "does not know a command that every stick must know: ask the vendor for another model",
    0x6: "keeps reporting that it was just plugged in. Re-insert it",
    0x7: "does not let its memory be read: unlock it, or replace it",
    0xB: "gave up a command. Re-insert it",
}


@dataclass(frozen=True)
class Sense:
    """Why a command failed: the sense key, and the additional sense code of the specification."""

    key: int
    code: int

    def __str__(self) -> str:
        """Say it to the operator."""
        if (self.key, self.code) == (_NOT_READY, _NO_MEDIUM):
            return "The USB key holds no medium: put its memory card in, or re-insert a key that was ejected."
        trouble = _TROUBLES.get(self.key, f"reports error {self.key:x}/{self.code:02x}. Re-insert it")
        return f"The USB key {trouble}."

    @property
    def passes(self) -> bool:
        """Whether waiting may help."""
        return self.key in {_NOT_READY, _UNIT_ATTENTION} and self.code != _NO_MEDIUM


class ScsiDisk:
    """A disk on the other end of a transport. Errors are KeyFault, with what the disk complains of."""

    def __init__(self, transport: BulkOnly) -> None:
        self._transport = transport

    def start(self, deadline: Deadline) -> None:
        """Wait until the disk is ready; one that was just plugged in refuses its first command, to say so."""
        self._wait_until_ready(deadline)
        inquiry = self._ask(_INQUIRY, _INQUIRY_SIZE, deadline)
        if not inquiry or inquiry[0] != _DISK:
            raise KeyFault("This USB device is not a licence key: there is no disk in it. Remove it.")

    def capacity(self, deadline: Deadline) -> tuple[int, int]:
        """Return the number of blocks and the bytes in each."""
        answer = self._ask(_READ_CAPACITY, _CAPACITY.size, deadline)
        if len(answer) != _CAPACITY.size:
            raise _short(_CAPACITY.size, len(answer))
        last, block_size = _CAPACITY.unpack(answer)
        if last == _TOO_LARGE:
            raise KeyFault("This USB device is not a licence key: it is far too large. Remove it.")
        return last + 1, block_size

    def read(self, first: int, count: int, block_size: int, deadline: Deadline) -> bytes:
        """Read `count` blocks from the block `first` on."""
        at_once = _CHUNK // block_size
        data = b""
        for start in range(first, first + count, at_once):
            data += self._read_chunk(start, min(at_once, first + count - start), block_size, deadline)
        return data

    def _read_chunk(self, first: int, count: int, block_size: int, deadline: Deadline) -> bytes:
        data = self._ask(_READ.pack(_READ_CODE, 0, first, 0, count, 0), count * block_size, deadline)
        if len(data) != count * block_size:
            raise _short(count * block_size, len(data))
        return data

    def _wait_until_ready(self, deadline: Deadline) -> None:
        sense = Sense(_NOT_READY, 0)
        for _ in range(_TRIES):
            if self._transport.command(_TEST_UNIT_READY, 0, deadline).passed:
                return
            sense = self._sense(deadline)
            if not sense.passes:
                break
            if sense.key == _NOT_READY:
                time.sleep(deadline.milliseconds(_PAUSE_MS) / 1000)
        raise KeyFault(str(sense))

    def _ask(self, block: bytes, size: int, deadline: Deadline) -> bytes:
        answer = self._transport.command(block, size, deadline)
        if not answer.passed:
            raise KeyFault(str(self._sense(deadline)))
        return answer.data

    def _sense(self, deadline: Deadline) -> Sense:
        answer = self._transport.command(_REQUEST_SENSE, _SENSE_SIZE, deadline)
        return parse_sense(answer.data if answer.passed else b"")


def parse_sense(data: bytes) -> Sense:
    """Return what sense data of the fixed form says; sense that cannot be read is one of an unknown key."""
    try:
        form, key, code = data[0] & 0x7E, data[2] & 0x0F, data[12]
    except IndexError:
        return Sense(0, 0)
    return Sense(key, code) if form == 0x70 else Sense(0, 0)  # noqa: PLR2004 - 0x70 or 0x71


def _short(wanted: int, came: int) -> KeyFault:
    return KeyFault(f"The USB key sent {came} bytes instead of {wanted}. Re-insert it, or replace it.")

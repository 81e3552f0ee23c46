"""The bulk-only transport of USB mass storage: one command out, its data in, its status in.

Carries commands and knows none of them. The words are those of the class's specification: a command block
wrapper (CBW) goes out, a command status wrapper (CSW) comes back.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from usbwatch.driver import Deadline
from usbwatch.pyusb_device import Stalled, TransferFault, UsbDevice

INTERFACE = (0x08, 0x06, 0x50)
"""Mass storage, SCSI commands, bulk-only."""

_CBW = struct.Struct("<4sIIBBB16s")
_CSW = struct.Struct("<4sIIB")
_TO_HOST, _TO_DEVICE = 0x80, 0x00
_FIRST_UNIT = 0
_PASSED, _FAILED = 0, 1
_RESET = 0xFF


@dataclass(frozen=True)
class Answer:
    """What became of a command: whether the device carried it out, and the data that came."""

    passed: bool
    data: bytes


class BulkOnly:
    """Carries commands to the first unit of one open device."""

    def __init__(self, device: UsbDevice) -> None:
        self._device = device
        self._tag = (os.getpid() << 12) & 0xFFFF_FFFF  # apart from those of the worker before us
        self._in_step = False

    def command(self, block: bytes, size: int, deadline: Deadline) -> Answer:
        """Carry out a command (up to 16 bytes) that has up to `size` bytes of data for us; less may come.

        A reader that was killed may have left the device in the middle of a command, so the first command is given
        a second chance, after the class's own reset. The port is never reset.

        Raises:
            TransferFault: device and host do not understand each other.
        """
        try:
            answer = self._exchange(block, size, deadline)
        except TransferFault:
            if self._in_step:
                raise
            self._recover(deadline)
            answer = self._exchange(block, size, deadline)
        self._in_step = True
        return answer

    def _exchange(self, block: bytes, size: int, deadline: Deadline) -> Answer:
        self._tag = (self._tag + 1) & 0xFFFF_FFFF
        direction = _TO_HOST if size else _TO_DEVICE
        wrapper = _CBW.pack(b"USBC", self._tag, size, direction, _FIRST_UNIT, len(block), block)
        self._device.send(wrapper, deadline)
        data = self._data(size, deadline) if size else b""
        return Answer(parse_status(self._status(deadline), self._tag), data)

    def _data(self, size: int, deadline: Deadline) -> bytes:
        try:
            return self._device.receive(size, deadline)
        except Stalled:  # how a device ends a data phase for which it has too little; its status follows
            return b""

    def _status(self, deadline: Deadline) -> bytes:
        try:
            return self._device.receive(_CSW.size, deadline)
        except Stalled:  # allowed once
            return self._device.receive(_CSW.size, deadline)

    def _recover(self, deadline: Deadline) -> None:
        """Do the reset recovery of the class: the device waits for a new command afterwards."""
        self._device.class_request(_RESET, deadline)
        self._device.clear_halts()


def parse_status(wrapper: bytes, tag: int) -> bool:
    """Return whether the command of this tag passed, as its CSW says.

    The residue in it is not looked at: sticks are sold that fill it with nonsense, and what came can be counted.

    Raises:
        TransferFault: it is no CSW, belongs to another command, or reports that host and device are out of step.
    """
    if len(wrapper) != _CSW.size:
        raise _lost(f"a status has {len(wrapper)} bytes")
    signature, answered, _residue, status = _CSW.unpack(wrapper)
    if signature != b"USBS":
        raise _lost("a status does not begin as it should")
    if answered != tag:
        raise _lost("it answers another command than ours")
    if status not in {_PASSED, _FAILED}:
        raise _lost(f"it lost track of the command, status {status}")
    return bool(status == _PASSED)


def _lost(what: str) -> TransferFault:
    return TransferFault(f"The USB key does not keep to the protocol ({what}). Re-insert it, or replace it.")

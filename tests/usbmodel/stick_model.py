"""An ordinary USB stick as software: USB mass storage, bulk-only, one SCSI disk. Knows nothing of licences.

Written from the specifications of the transport and of the commands, not from the driver's code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.usbmodel.model import BULK_IN, BULK_OUT, DeviceModel, NoAnswer, Stall

STICK_FAULTS = frozenset(
    {
        "hang",  # takes a READ and never sends anything
        "mute",  # never answers any command
        "stall",  # refuses every answer
        "stall-data",  # refuses the data of a READ because its memory is broken
        "stall-status",  # refuses each status once
        "attention",  # says for ever that it was just plugged in
        "starting",  # needs a moment to become ready
        "no-medium",
        "hardware",
        "wrong-tag",
        "wrong-signature",
        "short-status",
        "short",  # sends half of what a READ asks for
        "phase",  # says that host and device are out of step
        "interrupted",  # was left in the middle of a command by a host that died
        "cd-rom",  # is no disk
        "huge",  # says that it is larger than can be said
        "two-faced",  # changes its serial number once it is read
        "stuck",  # the kernel does not return from a call
    }
)

_RESET, _CLASS_TO_INTERFACE = 0xFF, 0x21
_READY, _SENSE, _INQUIRY, _CAPACITY, _READ = 0x00, 0x03, 0x12, 0x25, 0x28
_MEDIUM_ERROR, _ATTENTION, _ILLEGAL = (0x3, 0x11), (0x6, 0x28), (0x5, 0x20)
_NO_MEDIUM, _STARTING, _HARDWARE = (0x2, 0x3A), (0x2, 0x04), (0x4, 0x44)


@dataclass
class _Command:
    """A command whose data or status the host has not taken yet."""

    tag: int
    wanted: int
    data: bytes
    failed: bool
    stalls: bool = False
    told: bool = False


class StickModel(DeviceModel):
    """A stick with these bytes on it. `fault` is one of STICK_FAULTS, or empty; `reads` counts READ commands."""

    def __init__(self, serial: str, disk: bytes, ids: tuple[int, int], block_size: int = 512) -> None:
        super().__init__(*ids, serial, interface=(0x08, 0x06, 0x50))
        self.disk = disk
        self.block_size = block_size
        self.reads = 0
        self.resets = 0
        self._sense: tuple[int, int] = (0, 0)
        self._attention = True
        self._starts = 3
        self._command: _Command | None = None
        self._halted: set[int] = set()
        self._refused_status = False

    def control(self, request_type: int, request: int, value: int, length: int) -> bytes:
        """Answer a control transfer, among them the reset of the class, which leaves halts as they are."""
        if (request_type, request) == (_CLASS_TO_INTERFACE, _RESET):
            self.resets += 1
            self._command = None
            if self.fault == "interrupted":
                self.fault = ""
            return b""
        return super().control(request_type, request, value, length)

    def clear_halt(self, endpoint: int) -> None:
        """Let an endpoint be used again; before the reset that it waits for, a stick out of step does not."""
        if self.fault != "interrupted":
            self._halted.discard(endpoint)

    def bulk_out(self, data: bytes) -> None:
        """Take a command, but only when the one before it is over."""
        self._refuse_if_halted(BULK_OUT)
        if self._command is not None:
            raise NoAnswer
        if len(data) != struct.calcsize("<4sIIBBB16s") or not data.startswith(b"USBC"):
            self._halt(BULK_OUT)
        _, tag, wanted, _flags, _unit, size, block = struct.unpack("<4sIIBBB16s", data)
        self._command = self._carried_out(tag, wanted, block[:size])
        self._refused_status = False

    def bulk_in(self, length: int) -> bytes:
        """Send data while there is some, then the status."""
        self._refuse_if_halted(BULK_IN)
        if self.fault == "stall":
            self._halt(BULK_IN)
        command = self._command
        if command is None or self.fault == "mute":
            raise NoAnswer
        if command.wanted and not command.told:
            return self._send_data(command, length)
        return self._send_status(command)

    def _send_data(self, command: _Command, length: int) -> bytes:
        if command.stalls:
            command.told = True
            self._halt(BULK_IN)
        if self.fault == "hang" and command.data and command.wanted >= self.block_size:
            raise NoAnswer
        part, command.data = command.data[:length], command.data[length:]
        command.told = not command.data
        return part

    def _send_status(self, command: _Command) -> bytes:
        if self.fault == "stall-status" and not self._refused_status:
            self._refused_status = True
            self._halt(BULK_IN)
        self._command = None
        signature = b"USBX" if self.fault == "wrong-signature" else b"USBS"
        tag = command.tag + 1 if self.fault == "wrong-tag" else command.tag
        status = 2 if self.fault == "phase" else int(command.failed)
        wrapper = struct.pack("<4sIIB", signature, tag & 0xFFFFFFFF, 0, status)
        return wrapper[:9] if self.fault == "short-status" else wrapper

    def _carried_out(self, tag: int, wanted: int, block: bytes) -> _Command:
        code = block[0]
        if code == _SENSE:
            key, additional = self._sense
            self._sense = (0, 0)
            return _Command(tag, wanted, struct.pack(">BxB4xB4xB5x", 0x70, key, 10, additional)[:wanted], failed=False)
        if (trouble := self._trouble(code)) is not None:
            self._sense = trouble
            return _Command(tag, wanted, b"", failed=True, stalls=wanted > 0)
        return _Command(tag, wanted, self._data(code, block)[:wanted], failed=False)

    def _trouble(self, code: int) -> tuple[int, int] | None:
        if code == _INQUIRY:  # answered even by a stick that has something else to say
            return None
        if self._attention or self.fault == "attention":
            self._attention = False
            return _ATTENTION
        lasting = {"no-medium": _NO_MEDIUM, "hardware": _HARDWARE}
        if self.fault == "starting" and self._starts:
            self._starts -= 1
            return _STARTING
        if self.fault == "stall-data" and code == _READ:
            return _MEDIUM_ERROR
        if code not in {_READY, _CAPACITY, _READ}:
            return _ILLEGAL
        return lasting.get(self.fault)

    def _data(self, code: int, block: bytes) -> bytes:
        if code == _INQUIRY:
            return struct.pack(">BBBBBxxx8s16s4s", 5 if self.fault == "cd-rom" else 0, 0x80, 4, 2, 31, b"", b"", b"")
        if code == _CAPACITY:
            last = 0xFFFFFFFF if self.fault == "huge" else len(self.disk) // self.block_size - 1
            return struct.pack(">II", last, self.block_size)
        if code == _READ:
            return self._read(block)
        return b""

    def _read(self, block: bytes) -> bytes:
        first, count = struct.unpack(">2xIxH", block[:9])
        self.reads += 1
        if self.fault == "two-faced":
            self.serial = "ANOTHER"
        if self.fault == "short":
            count = count // 2 or 1
            return self.disk[first * self.block_size :][: count * self.block_size - 100]
        return self.disk[first * self.block_size :][: count * self.block_size]

    def _halt(self, endpoint: int) -> None:
        self._halted.add(endpoint)
        raise Stall

    def _refuse_if_halted(self, endpoint: int) -> None:
        if self.fault == "interrupted":
            self._halted |= {BULK_IN, BULK_OUT}
        if endpoint in self._halted:
            raise Stall

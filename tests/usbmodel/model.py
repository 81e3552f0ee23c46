"""USB devices as software: what a device answers to each transfer. Knows neither umockdev nor a kernel.

`KeyModel` is written from the protocol in `usbwatch.vendor_key`'s documentation, not from its code: it stands
for the firmware.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BULK_IN, BULK_OUT = 0x81, 0x02
_PACKET = 512
_CAPACITY = 64 * 1024
_DEVICE, _CONFIGURATION, _STRING = 1, 2, 3
_GET_DESCRIPTOR = 6
_PROVE = 3
_TO_HOST, _VENDOR_STANDARD = 0x80, 0x60


class Stall(Exception):  # noqa: N818 - the bus's own word
    """The device answers this transfer with a STALL."""


class NoAnswer(Exception):  # noqa: N818 - idem
    """The device answers this transfer with NAK for ever."""


class DeviceModel:
    """A device that has descriptors and nothing else, as a keyboard or a foreign stick has."""

    def __init__(self, vendor: int, product: int, serial: str, interface: tuple[int, int, int] = (3, 1, 1)) -> None:
        self.vendor, self.product, self.serial = vendor, product, serial
        self.fault = ""
        endpoints = b"".join(struct.pack("<BBBBHB", 7, 5, ep, 2, _PACKET, 0) for ep in (BULK_IN, BULK_OUT))
        body = struct.pack("<9B", 9, 4, 0, 0, 2, *interface, 0) + endpoints
        self.configuration = struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 1, 1, 0, 0x80, 50) + body
        self.device = struct.pack("<BBH4B3H4B", 18, 1, 0x200, 0, 0, 0, 64, vendor, product, 0x100, 1, 2, 3, 1)

    def control(self, request_type: int, request: int, value: int, length: int) -> bytes:
        """Answer a control transfer on endpoint 0."""
        if request_type & _VENDOR_STANDARD:
            raise Stall
        if request == _GET_DESCRIPTOR and request_type & _TO_HOST:
            return self._descriptor(value >> 8, value & 0xFF)[:length]
        return b""  # set configuration, set interface, clear feature: done

    def clear_halt(self, endpoint: int) -> None:
        """Let an endpoint be used again that this device has halted; it halts none."""

    def bulk_out(self, data: bytes) -> None:  # noqa: ARG002 - this device takes nothing
        """Take what the host sends."""
        raise Stall

    def bulk_in(self, length: int) -> bytes:  # noqa: ARG002 - and has nothing
        """Send what the host asks for."""
        raise Stall

    def _descriptor(self, kind: int, index: int) -> bytes:
        if kind == _DEVICE:
            return self.device
        if kind == _CONFIGURATION:
            return self.configuration
        if kind != _STRING:
            raise Stall
        if index == 0:
            return struct.pack("<BBH", 4, _STRING, 0x0409)
        text = {1: "Twinkey", 2: "Licence key", 3: self.serial}[index].encode("utf-16-le")
        return struct.pack("<BB", 2 + len(text), _STRING) + text


class KeyModel(DeviceModel):
    """A vendor-class licence key. `fault` names one of FAULTS, or is empty."""

    def __init__(self, serial: str, licence: bytes, private_key: bytes | None, ids: tuple[int, int]) -> None:
        super().__init__(*ids, serial, interface=(0xFF, 0x4C, 0x01))
        self.licence = licence
        self._private = Ed25519PrivateKey.from_private_bytes(private_key) if private_key else None
        self._answer = b""
        self._written = bytearray()

    def control(self, request_type: int, request: int, value: int, length: int) -> bytes:
        """Answer a control transfer; a dead key does not."""
        if self.fault == "dead" and request_type & _TO_HOST:
            raise NoAnswer
        return super().control(request_type, request, value, length)

    def bulk_out(self, data: bytes) -> None:
        """Carry out one command."""
        magic, version, command, tag, length = struct.unpack_from("<2sBBII", data)
        body = data[12:]
        if (magic, version, length) != (b"TK", 1, len(body)):
            raise Stall
        status, content = self._carry_out(command, body)
        self._answer = struct.pack("<2sBBII", b"TK", 1, status, tag, len(content)) + content
        if self.fault == "two-faced" and command == _PROVE:
            self.serial += "-OTHER"

    def bulk_in(self, length: int) -> bytes:
        """Send the answer to the last command."""
        answer, self._answer = self._answer[:length], b""
        return FAULTS[self.fault](answer)

    def _carry_out(self, command: int, body: bytes) -> tuple[int, bytes]:
        actions = {1: self._describe, 2: self._read, 3: self._prove, 4: self._write, 5: self._commit}
        return actions[command](body) if command in actions else (1, b"")

    def _describe(self, _body: bytes) -> tuple[int, bytes]:
        public = self._private.public_key().public_bytes_raw() if self._private else bytes(32)
        size = 10 * _CAPACITY if self.fault == "oversize" else len(self.licence)
        return 0, struct.pack("<IIB", size, _CAPACITY, bool(self._private)) + public

    def _read(self, body: bytes) -> tuple[int, bytes]:
        offset, count = struct.unpack("<II", body)
        return 0, self.licence[offset : offset + count]

    def _prove(self, nonce: bytes) -> tuple[int, bytes]:
        if self._private is None:
            return 5, b""
        parts = (b"twinkey usb key proof 1", self.serial.encode(), nonce)
        return 0, self._private.sign(b"".join(struct.pack(">Q", len(part)) + part for part in parts))

    def _write(self, body: bytes) -> tuple[int, bytes]:
        (offset,) = struct.unpack_from("<I", body)
        self._written[offset:] = body[4:]
        return 0, b""

    def _commit(self, body: bytes) -> tuple[int, bytes]:
        size, digest = struct.unpack("<I32s", body)
        written, self._written = bytes(self._written[:size]), bytearray()
        if hashlib.sha256(written).digest() != digest:
            return 4, b""
        self.licence = written
        return 0, b""


def _stall(_answer: bytes) -> bytes:
    raise Stall


def _mute(_answer: bytes) -> bytes:
    raise NoAnswer


def _as_it_is(answer: bytes) -> bytes:
    return answer


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "": _as_it_is,
    "stall": _stall,
    "mute": _mute,
    "short": lambda answer: answer[: len(answer) // 2],
    "babble": lambda answer: answer + bytes(_PACKET),
    "garbage": lambda answer: bytes(255 - byte for byte in answer),
    "oversize": _as_it_is,
    "two-faced": _as_it_is,
    "dead": _as_it_is,
    "stuck": _as_it_is,
}
"""What each fault makes of an answer; some of them act elsewhere."""

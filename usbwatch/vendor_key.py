"""The driver of vendor-class keys, and the reference of their protocol for whoever writes the firmware.

The device. One interface of class 0xFF, subclass 0x4C, protocol 0x01, with one bulk IN and one bulk OUT
endpoint. The serial number string (language 0x0409) is the key's identity: 1 to 64 visible ASCII characters,
burnt in. The key holds an Ed25519 key pair made inside it, whose private half never leaves it, and one
licence file.

The dialogue. The host sends a command as one bulk OUT transfer; the key answers it with one bulk IN transfer,
ended by a short or zero-length packet. All numbers are little-endian. Both begin with the same header of 12
bytes:

    2 bytes   the letters TK
    1 byte    protocol version, 1
    1 byte    the command; in an answer, the status
    4 bytes   tag, chosen by the host for each command; the answer repeats it
    4 bytes   length of the body that follows, at most 4096

A host that was killed may leave an answer behind, so the next one skips answers whose tag it did not choose.
A new command cancels the one before it.

    command      body                    body of the answer
    1 describe   none                    size u32, capacity u32, flags u8, device public key (32 bytes)
    2 read       offset u32, count u32   exactly those bytes of the licence file
    3 prove      nonce (32 bytes)        Ed25519 signature (64 bytes)
    4 write      offset u32, data        none; the data is kept aside
    5 commit     size u32, SHA-256       none

`size` is 0 for a key that holds no licence, `capacity` at most 65536. Flag 1: the key can prove itself;
without it the public key is all zero. What `prove` signs is the concatenation of three parts, each preceded
by its length as a big-endian u64: the text "twinkey usb key proof 1", the serial number, the nonce. `commit`
replaces the licence file by the first `size` bytes written since the last commit, all or nothing even when
the power fails, and only if the digest (32 bytes) fits. Nothing else is writable. A key may take up to 1 second
for an answer, up to 5 for `write` and `commit`.

    status
    0        done
    1        unknown command
    2        bad body
    3        storage failed
    4        the digest does not fit
    5        cannot prove itself
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from usbwatch.device import Device
from usbwatch.driver import Deadline, Description, KeyFault
from usbwatch.pyusb_device import UsbDevice, opened

INTERFACE = (0xFF, 0x4C, 0x01)

_HEADER = struct.Struct("<2sBBII")
_MAGIC, _VERSION = b"TK", 1
_CHUNK = 4096
_TRANSFER = 4608  # a header and a chunk, rounded up to whole packets of 512 bytes
_STALE_ANSWERS = 4
_QUICK_MS, _STORING_MS = 1000, 5000
_DESCRIPTION = struct.Struct("<IIB32s")
_CAN_PROVE = 1
_SIGNATURE_SIZE = 64


class _Command(IntEnum):
    DESCRIBE = 1
    READ = 2
    PROVE = 3
    WRITE = 4
    COMMIT = 5


_STATUS = {
    1: "does not know this command: its firmware is too old",
    2: "found the command malformed: its firmware does not fit",
    3: "could not store it: the key is worn out, replace it",
    4: "received something else than was sent: try again",
    5: "cannot prove itself",
}


@contextmanager
def open_key(device: Device, deadline: Deadline) -> Iterator[VendorKey]:
    """Open the key for reading; leaving the context releases it."""
    with opened(device, INTERFACE, deadline) as usb_device:
        yield VendorKey(usb_device)


class VendorKey:
    """One open vendor-class key."""

    def __init__(self, device: UsbDevice) -> None:
        self._device = device
        self._tag = (os.getpid() << 12) & 0xFFFF_FFFF  # apart from those of the worker before us

    def key_id(self, deadline: Deadline) -> str:
        """Ask the key for its serial number."""
        return self._device.serial_number(deadline)

    def describe(self, deadline: Deadline) -> Description:
        """Ask the key what it is."""
        answer = self._command(_Command.DESCRIBE, b"", deadline)
        if len(answer) != _DESCRIPTION.size:
            raise _garbled("its description has a wrong length")
        size, capacity, flags, public_key = _DESCRIPTION.unpack(answer)
        return Description(size, capacity, public_key if flags & _CAN_PROVE else None)

    def read(self, limit: int, deadline: Deadline) -> bytes:
        """Read the licence file."""
        size = self.describe(deadline).size
        if size > limit:
            raise KeyFault(f"The USB key holds {size} bytes, more than a licence can have ({limit}).")
        blob = b""
        while len(blob) < size:
            blob += self._read_chunk(len(blob), min(_CHUNK, size - len(blob)), deadline)
        return blob

    def prove(self, nonce: bytes, deadline: Deadline) -> bytes | None:
        """Let the key sign the nonce; None when it cannot prove itself."""
        if self.describe(deadline).device_public_key is None:
            return None
        proof = self._command(_Command.PROVE, nonce, deadline)
        if len(proof) != _SIGNATURE_SIZE:
            raise _garbled("its proof has a wrong length")
        return proof

    def write(self, blob: bytes, deadline: Deadline) -> None:
        """Replace the licence file, all or nothing."""
        capacity = self.describe(deadline).capacity
        if len(blob) > capacity:
            raise KeyFault(f"The licence has {len(blob)} bytes and the USB key has room for {capacity}.")
        room = _CHUNK - 4
        for offset in range(0, len(blob), room):
            body = struct.pack("<I", offset) + blob[offset : offset + room]
            self._command(_Command.WRITE, body, deadline, _STORING_MS)
        digest = hashlib.sha256(blob).digest()
        self._command(_Command.COMMIT, struct.pack("<I", len(blob)) + digest, deadline, _STORING_MS)

    def _read_chunk(self, offset: int, count: int, deadline: Deadline) -> bytes:
        chunk = self._command(_Command.READ, struct.pack("<II", offset, count), deadline)
        if len(chunk) != count:
            raise _garbled(f"{count} bytes were asked for and {len(chunk)} came")
        return chunk

    def _command(self, command: _Command, body: bytes, deadline: Deadline, at_most_ms: int = _QUICK_MS) -> bytes:
        self._tag += 1
        header = _HEADER.pack(_MAGIC, _VERSION, command, self._tag, len(body))
        self._device.send(header + body, deadline, at_most_ms)
        for _ in range(1 + _STALE_ANSWERS):
            answer = self._device.receive(_TRANSFER, deadline, at_most_ms)
            tag, status, content = parse_answer(answer)
            if tag == self._tag:
                return _accepted(status, content)
        raise _garbled("it answers other questions than ours")


def parse_answer(answer: bytes) -> tuple[int, int, bytes]:
    """Return tag, status and body of an answer; KeyFault when it is not one."""
    if len(answer) < _HEADER.size:
        raise _garbled(f"an answer has only {len(answer)} bytes")
    magic, version, status, tag, length = _HEADER.unpack_from(answer)
    if magic != _MAGIC:
        raise _garbled("an answer does not begin as it should")
    if version != _VERSION:
        raise KeyFault(f"The USB key speaks version {version} of the protocol: upgrade this node.")
    if length != len(answer) - _HEADER.size:
        raise _garbled(f"an answer should have {length} bytes and has {len(answer) - _HEADER.size}")
    return tag, status, answer[_HEADER.size :]


def _accepted(status: int, content: bytes) -> bytes:
    if status != 0:
        raise KeyFault(f"The USB key {_STATUS.get(status, f'reports error {status}')}.")
    return content


def _garbled(what: str) -> KeyFault:
    return KeyFault(f"The USB key's answers are damaged ({what}). Re-insert it, or replace it.")

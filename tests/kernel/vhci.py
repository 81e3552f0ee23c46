"""Device models on the real kernel's USB core: `vhci_hcd` asks for every transfer over a socket, as USB/IP has it.

Runs in the guest, as root. Knows no protocol of any device.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.usbmodel.model import DeviceModel, NoAnswer, Stall

CONTROLLER = Path("/sys/devices/platform/vhci_hcd.0")
_HIGH_SPEED = 3
_SUBMIT, _UNLINK = 1, 2
_HEAD, _REST = struct.Struct(">5I"), struct.Struct(">Iiiii8s")
_SUBMITTED, _UNLINKED = struct.Struct(">5Iiiiii8x"), struct.Struct(">5Ii24x")
_TO_HOST = 0x80
_PULLED = -errno.EPROTO
_SET_CONFIGURATION = (0x00, 9)
_CLEAR_HALT = (0x02, 1)


class Transfer(NamedTuple):
    """What the host asks of a device: `endpoint` 0 has `setup`; `data` goes to the device, `length` is the room."""

    endpoint: int
    inward: bool
    setup: bytes
    data: bytes
    length: int


class Plugged:
    """A model in a port of the virtual host controller.

    `when_configured` is called when the kernel has taken the device into service. `transfers` counts what was asked of
    the device since then.
    """

    def __init__(self, port: int, model: DeviceModel, when_configured: Callable[[], None] = lambda: None) -> None:
        self.model = model
        self.transfers = 0
        self._configured = False
        self._when_configured = when_configured
        self._port = port
        self._gone = False
        self._unanswered: set[int] = set()
        self._answering = threading.Lock()
        self._socket, kernels_end = socket.socketpair()
        with kernels_end:
            address = port + 1  # what USB/IP calls a device id; anything but 0
            (CONTROLLER / "attach").write_text(f"{port} {kernels_end.fileno()} {address} {_HIGH_SPEED}")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull the device out; as with a real controller, what it has not answered fails at once."""
        with self._answering:
            self._gone = True
            for number in self._unanswered:
                self._answer(number, _PULLED)
        (CONTROLLER / "detach").write_text(str(self._port))
        self._thread.join(timeout=5)
        self._socket.close()

    def _serve(self) -> None:
        try:
            while True:
                self._serve_one()
        except (EOFError, OSError):  # unplugged
            return

    def _serve_one(self) -> None:
        command, number, _device, inward, endpoint = _HEAD.unpack(self._receive(_HEAD.size))
        flags_or_number, length, _frame, _packets, _interval, setup = _REST.unpack(self._receive(_REST.size))
        if command == _UNLINK:
            self._unlink(number, flags_or_number)
            return
        assert command == _SUBMIT, command
        data = self._receive(length) if not inward else b""
        with self._answering:
            self._submit(number, Transfer(endpoint, bool(inward), setup, data, length))

    def _submit(self, number: int, transfer: Transfer) -> None:
        try:
            status, answer = (_PULLED, b"") if self._gone else (0, self._carry_out(transfer))
        except Stall:
            status, answer = -errno.EPIPE, b""
        except NoAnswer:
            self._unanswered.add(number)
            return
        if len(answer) > transfer.length:
            status, answer = -errno.EOVERFLOW, b""
        self._answer(number, status, len(answer) if transfer.inward else transfer.length, answer)

    def _answer(self, number: int, status: int, count: int = 0, answer: bytes = b"") -> None:
        head = _SUBMITTED.pack(_SUBMIT + 2, number, 0, 0, 0, status, 0 if status else count, 0, 0, 0)
        self._socket.sendall(head + answer)

    def _carry_out(self, transfer: Transfer) -> bytes:
        self.transfers += 1
        if transfer.endpoint == 0:
            return self._control(*struct.unpack("<BBHHH", transfer.setup))
        if transfer.inward:
            return self.model.bulk_in(transfer.length)
        self.model.bulk_out(transfer.data)
        return b""

    def _control(self, request_type: int, request: int, value: int, index: int, length: int) -> bytes:
        answer = self.model.control(request_type, request, value, length)
        if (request_type, request) == _SET_CONFIGURATION and not self._configured:
            self._configured = True
            self.transfers = 0
            self._when_configured()
        elif (request_type, request) == _CLEAR_HALT:
            self.model.clear_halt(index)
        return answer if request_type & _TO_HOST else b""

    def _unlink(self, number: int, unlinked: int) -> None:
        with self._answering:
            status = -errno.ECONNRESET if unlinked in self._unanswered else 0
            self._unanswered.discard(unlinked)
            self._socket.sendall(_UNLINKED.pack(_UNLINK + 2, number, 0, 0, 0, status))

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

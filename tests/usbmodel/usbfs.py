"""One plugged device model on a umockdev test bed: answers the ioctls of the kernel's usbfs.

Runs under the system's Python, the only one that has GObject introspection. Knows no protocol of any device.
"""

from __future__ import annotations

import errno
import struct
import threading
from pathlib import Path
from typing import Any

from tests.usbmodel.model import DeviceModel, NoAnswer, Stall

import gi  # isort: skip

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402 - the version comes first

CLAIM_INTERFACE = 0x8004550F
GET_CAPABILITIES, GET_SPEED, GET_DRIVER, DISCONNECT = 0x8004551A, 0x551F, 0x41045508, 0xC0105512
SUBMIT_URB, DISCARD_URB, REAP_URB, REAP_URB_NOW = 0x8038550A, 0x550B, 0x4008550C, 0x4008550D
DISCONNECT_CLAIM, CLEAR_HALT, CONNECT_INFO = 0x8108551B, 0x80045515, 0x40085511
SIMPLY_DONE = {0x80045510, 0x5514, 0x80045503, 0x80085504, 0x80045505}  # release, reset, old clear halt, set …

_URB = struct.Struct("<BBxxiI4xQiiiiiIQ")  # struct usbdevfs_urb on 64 bits
_STATUS_AT, _LENGTH_AT, _BUFFER_AT = 4, 28, 16
_CONTROL_TYPE, _SETUP_SIZE = 2, 8
_HIGH_SPEED = 3
_CAPABILITIES = 0x17

_USED: set[str] = set()
"""The device nodes that are or were used on this process's test bed."""


def new_testbed() -> Any:
    """Return an empty test bed; it lives as long as this process."""
    return UMockdev.Testbed.new()


class PluggedModel:
    """A model in a port. `touched` counts ioctls, `waiting` transfers that the device has not answered."""

    def __init__(
        self,
        testbed: Any,
        model: DeviceModel,
        sysname: str,
        bus: int,
        address: int,
        driver: str,
        block_device: str = "",
    ) -> None:
        self.model = model
        self.touched = 0
        self._testbed = testbed
        self._driver = driver
        self._address = address
        self._gone = False
        self._lock = threading.Lock()
        self._flying: dict[int, Any] = {}
        self._finished: list[tuple[Any, int, int]] = []
        self._stuck: list[Any] = []
        self._syspath = f"/sys/devices/pci0000:00/usb{bus}/{sysname}"
        self._handler = UMockdev.IoctlBase()
        self._handler.connect("handle-ioctl", self._on_ioctl)
        node = f"/dev/bus/usb/{bus:03d}/{address:03d}"
        if node in _USED:  # by a device that has gone, whose last calls were still to be answered
            testbed.detach_ioctl(node)
        _USED.add(node)
        testbed.attach_ioctl(node, self._handler)
        path = self._syspath.removeprefix("/sys")
        testbed.add_from_string(_description(model, path, bus, address))  # tells "add"
        self._disk = f"{self._syspath}/{sysname}:1.0/host0/target0:0:0/0:0:0:0/block/disk" if block_device else ""
        self._number = Path(testbed.get_root_dir(), "sys/dev/block", block_device)
        if self._disk:
            testbed.add_from_string(_disk_description(self._disk.removeprefix("/sys"), block_device))
            self._number.parent.mkdir(parents=True, exist_ok=True)
            self._number.symlink_to(f"../..{self._disk.removeprefix('/sys')}")  # the test bed does not make this one

    @property
    def waiting(self) -> int:
        """How many calls of the host wait for this device just now."""
        return len(self._flying) + len(self._stuck)

    def unplug(self) -> None:
        """Pull the device out; what waits for it fails as on a real bus."""
        with self._lock:
            self._gone = True
            self._finished += [(urb, -errno.ESHUTDOWN, 0) for urb in self._flying.values()]
            self._flying.clear()
            for client in self._stuck:
                client.complete(-1, errno.ENODEV)
        if self._disk:
            self._number.unlink()
            self._testbed.remove_device(self._disk)
        self._testbed.uevent(self._syspath, "remove")
        self._testbed.remove_device(self._syspath)

    def _on_ioctl(self, _handler: Any, client: Any) -> bool:
        self.touched += 1
        with self._lock:
            answer = self._ioctl(client, client.get_request() & 0xFFFFFFFF)
        if answer is not None:
            client.complete(*answer)
        return True

    def _ioctl(self, client: Any, request: int) -> tuple[int, int] | None:
        """Return (result, errno), or None when the call is never to return."""
        if self.model.fault == "stuck" and request == CLAIM_INTERFACE:
            self._stuck.append(client)
            return None
        if request in {REAP_URB, REAP_URB_NOW}:
            return self._reap(client)
        if request == DISCARD_URB:
            return self._discard(client)
        if self._gone:
            return -1, errno.ENODEV
        return self._living_ioctl(client, request)

    def _living_ioctl(self, client: Any, request: int) -> tuple[int, int]:
        if request == SUBMIT_URB:
            self._submit(client.get_arg().resolve(0, _URB.size))
        elif request == GET_CAPABILITIES:
            client.get_arg().resolve(0, 4).update(0, struct.pack("<I", _CAPABILITIES))
        elif request == CONNECT_INFO:
            client.get_arg().resolve(0, 8).update(0, struct.pack("<I4x", self._address))
        elif request == GET_SPEED:
            return _HIGH_SPEED, 0
        elif request == GET_DRIVER:
            return self._tell_driver(client)
        elif request == CLAIM_INTERFACE and self._driver:
            return -1, errno.EBUSY
        elif request in {DISCONNECT, DISCONNECT_CLAIM}:
            self._driver = ""
        elif request == CLEAR_HALT:
            self.model.clear_halt(*struct.unpack("<I", bytes(client.get_arg().resolve(0, 4).retrieve())))
        elif request not in SIMPLY_DONE and request != CLAIM_INTERFACE:
            return -1, errno.ENOTTY
        return 0, 0

    def _tell_driver(self, client: Any) -> tuple[int, int]:
        if not self._driver:
            return -1, errno.ENODATA
        client.get_arg().resolve(0, 260).update(4, self._driver.encode() + b"\0")
        return 0, 0

    def _submit(self, urb: Any) -> None:
        kind, endpoint, _status, _flags, _buffer, length, *_ = _URB.unpack(bytes(urb.retrieve()))
        buffer = urb.resolve(_BUFFER_AT, length) if length else None
        data = bytes(buffer.retrieve()) if buffer else b""
        try:
            offset, answer, count = self._transfer(kind, endpoint, data, length)
        except Stall:
            self._finished.append((urb, -errno.EPIPE, 0))
        except NoAnswer:
            self._flying[urb.client_addr] = urb
        else:
            if answer and buffer:
                buffer.update(offset, answer[: length - offset])
            overflow = offset + len(answer) > length
            self._finished.append((urb, -errno.EOVERFLOW if overflow else 0, count))

    def _transfer(self, kind: int, endpoint: int, data: bytes, length: int) -> tuple[int, bytes, int]:
        """Return where in the buffer the answer goes, the answer, and the count of bytes moved."""
        if kind == _CONTROL_TYPE:
            request_type, request, value, _index, size = struct.unpack_from("<BBHHH", data)
            answer = self.model.control(request_type, request, value, size)
            return _SETUP_SIZE, answer, len(answer) if request_type & 0x80 else size
        if endpoint & 0x80:
            answer = self.model.bulk_in(length)
            return 0, answer, len(answer)
        self.model.bulk_out(data)
        return 0, b"", length

    def _discard(self, client: Any) -> tuple[int, int]:
        (address,) = struct.unpack("<Q", bytes(client.get_arg().retrieve())[:8])
        urb = self._flying.pop(address, None)
        if urb is None:
            return -1, errno.EINVAL
        self._finished.append((urb, -errno.ENOENT, 0))
        return 0, 0

    def _reap(self, client: Any) -> tuple[int, int]:
        if not self._finished:
            return -1, errno.ENODEV if self._gone else errno.EAGAIN
        urb, status, count = self._finished.pop(0)
        urb.update(_STATUS_AT, struct.pack("<i", status))
        urb.update(_LENGTH_AT, struct.pack("<i", count))
        client.get_arg().resolve(0, 8).set_ptr(0, urb)
        return 0, 0


def _description(model: DeviceModel, path: str, bus: int, address: int) -> str:
    """Return the device in umockdev's language."""
    node = f"bus/usb/{bus:03d}/{address:03d}"
    properties = {
        "SUBSYSTEM": "usb",
        "DEVTYPE": "usb_device",
        "BUSNUM": f"{bus:03d}",
        "DEVNUM": f"{address:03d}",
        "DEVNAME": f"/dev/{node}",
        "MAJOR": 189,
        "MINOR": (bus - 1) * 128 + address - 1,
        "PRODUCT": f"{model.vendor:x}/{model.product:x}/100",
    }
    attributes = {
        "idVendor": f"{model.vendor:04x}",
        "idProduct": f"{model.product:04x}",
        "busnum": bus,
        "devnum": address,
        "bConfigurationValue": 1,
        "speed": 480,
        "serial": model.serial.encode("unicode_escape").decode(),
        "product": "Licence key",
    }
    lines = [f"P: {path}", f"N: {node}={(model.device + model.configuration).hex().upper()}"]
    lines += [f"E: {name}={value}" for name, value in properties.items()]
    lines += [f"A: {name}={value}\\n" for name, value in attributes.items()]
    lines += [f"H: descriptors={(model.device + model.configuration).hex().upper()}", "", ""]
    return "\n".join(lines)


def _disk_description(path: str, number: str) -> str:
    """Return the disk that the kernel makes of a stick, in umockdev's language."""
    major, minor = number.split(":")
    lines = [f"P: {path}", "E: SUBSYSTEM=block", "E: DEVTYPE=disk", f"E: MAJOR={major}", f"E: MINOR={minor}"]
    attributes = {"dev": number, "ro": 0, "size": 16384, "queue/logical_block_size": 512, "diskseq": 7}
    lines += [f"A: {name}={value}\\n" for name, value in attributes.items()]
    return "\n".join([*lines, "", ""])

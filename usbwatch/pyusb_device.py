"""A USB device through pyusb, with the care that a device in an unknown state needs.

Every transfer has a time limit; the device is never reset, and is configured only when it is not; its handle
is closed whatever happens; every libusb error becomes a sentence. Only for use inside a worker. Knows no
protocol of any key.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import usb.core
import usb.util

from usbwatch.device import Device
from usbwatch.driver import Deadline, KeyFault, KeyGone
from usbwatch.one_device import OneDevice, libusb, load

_TRANSFER_MS = 1000
_PATIENCE_MS = 1000  # udev may need a moment to hand a new device node over to our group
_PAUSE = 0.05  # seconds
_GET_DESCRIPTOR, _STRING, _ENGLISH = 6, 3, 0x0409
_BULK = 2
_CLASS_REQUEST_TO_INTERFACE = 0x21

_ERRORS = {
    errno.EACCES: "There is no permission to open the USB key: install the udev rule.",
    errno.EBUSY: "The USB key is in use by another program: stop that program.",
    errno.EIO: "The USB key does not answer as it should (input/output error). Re-insert it.",
    errno.EOVERFLOW: "The USB key sent more than it was asked for: ask the vendor to replace it.",
    errno.EPIPE: "The USB key refused to answer (stall). Re-insert it.",
    errno.ETIMEDOUT: "The USB key did not answer in time. Re-insert it.",
}


# A worker that is started in advance imports this module in advance, and loads the library with it. It must not start
# libusb before it has its request: a libusb that has been started never learns of devices plugged in later.
with suppress(OSError):  # is said when a key is to be opened
    load()


class TransferFault(KeyFault):
    """A transfer failed or brought nonsense: the conversation with the device has lost its thread."""


class Stalled(TransferFault):
    """The device refused this transfer; the endpoint has been made usable again."""


class UsbDevice:
    """An open device whose interface for bulk transfers has been claimed."""

    def __init__(self, device: Any, interface: int, bulk_in: int, bulk_out: int) -> None:
        self._device = device
        self._interface = interface
        self._bulk_in = bulk_in
        self._bulk_out = bulk_out

    def serial_number(self, deadline: Deadline) -> str:
        """Ask the device for its serial number; empty when it has none."""
        index = self._device.iSerialNumber
        if not index:
            return ""
        limit = deadline.milliseconds(_TRANSFER_MS)
        with _errors_in_words():
            value = (_STRING << 8) | index
            answer = bytes(self._device.ctrl_transfer(0x80, _GET_DESCRIPTOR, value, _ENGLISH, 255, limit))
        try:
            return answer[2 : answer[0] & 0xFE].decode("utf-16-le")
        except (IndexError, UnicodeDecodeError) as error:
            raise KeyFault("The serial number of the USB key is not text: replace the key.") from error

    def send(self, data: bytes, deadline: Deadline, at_most_ms: int = _TRANSFER_MS) -> None:
        """Send one bulk transfer."""
        limit = deadline.milliseconds(at_most_ms)
        with _errors_in_words(), self._halt_cleared(self._bulk_out):
            sent = self._device.write(self._bulk_out, data, limit)
        if sent != len(data):
            raise TransferFault("The USB key took only a part of what was sent to it. Re-insert it.")

    def receive(self, size: int, deadline: Deadline, at_most_ms: int = _TRANSFER_MS) -> bytes:
        """Receive one bulk transfer of up to `size` bytes; it ends early with the first packet that is not full.

        A device that sends more than `size` makes it fail, so a protocol that does not settle the size beforehand
        asks for a multiple of the packet size.
        """
        limit = deadline.milliseconds(at_most_ms)
        with _errors_in_words(), self._halt_cleared(self._bulk_in):
            return bytes(self._device.read(self._bulk_in, size, limit))

    def class_request(self, request: int, deadline: Deadline) -> None:
        """Send the interface a control request of its class, without data."""
        limit = deadline.milliseconds(_TRANSFER_MS)
        with _errors_in_words():
            self._device.ctrl_transfer(_CLASS_REQUEST_TO_INTERFACE, request, 0, self._interface, None, limit)

    def clear_halts(self) -> None:
        """Make both endpoints usable again, whatever happened to them."""
        with _errors_in_words():
            for endpoint in (self._bulk_in, self._bulk_out):
                self._device.clear_halt(endpoint)

    @contextmanager
    def _halt_cleared(self, endpoint: int) -> Iterator[None]:
        """After a stall, make the endpoint usable again for whoever reads the key next."""
        try:
            yield
        except usb.core.USBError as error:
            if error.errno == errno.EPIPE:
                self._device.clear_halt(endpoint)
            raise


@contextmanager
def opened(device: Device, interface_class: tuple[int, int, int], deadline: Deadline) -> Iterator[UsbDevice]:
    """Open the device and claim its interface of that (class, subclass, protocol), which must have bulk endpoints.

    Raises:
        KeyFault: it cannot be opened or has no such interface.
        KeyGone: it is not plugged in any more.
    """
    wait_for_access(device.node, deadline)
    _patiently(_libusb_trouble, deadline)  # seen to fail when many workers start at once
    with _node(device) as node:
        found = _find(device, node)
        try:
            with _errors_in_words():
                interface = _configured_interface(found, interface_class)
                _claim(found, interface.bInterfaceNumber)
            ways = (usb.util.ENDPOINT_IN, usb.util.ENDPOINT_OUT)
            bulk_in, bulk_out = (_bulk_endpoint(interface, way) for way in ways)
            yield UsbDevice(found, interface.bInterfaceNumber, bulk_in, bulk_out)
        finally:
            usb.util.dispose_resources(found)


def wait_for_access(node: str, deadline: Deadline) -> None:
    """Wait a moment for the permission to open this device node.

    Raises:
        KeyFault: it cannot be opened, with what to do about it.
    """
    _patiently(lambda: _access_trouble(node), deadline)


def _patiently(trouble: Callable[[], str | None], deadline: Deadline) -> None:
    """Wait a moment for a trouble to pass; KeyFault with its text when it does not."""
    give_up = time.monotonic() + deadline.milliseconds(_PATIENCE_MS) / 1000
    while (text := trouble()) is not None:
        if time.monotonic() > give_up:
            raise KeyFault(text)
        time.sleep(_PAUSE)


def _access_trouble(node: str) -> str | None:
    try:
        os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        return f"There is no permission to open {node}: install the udev rule for USB keys."
    except FileNotFoundError:
        return f"There is no {node}: give the agent access to /dev/bus/usb."
    except OSError as error:
        if error.errno != errno.ENODEV:  # that one means: pulled out, as libusb is about to find
            return f"{node} cannot be opened: {error.strerror}. Re-insert the USB key."
    return None


def _libusb_trouble() -> str | None:
    try:
        libusb()
    except OSError as error:
        return f"USB keys cannot be read without libusb ({error}): install the package libusb-1.0-0."
    return None


@contextmanager
def _node(device: Device) -> Iterator[int]:
    try:
        descriptor = os.open(device.node, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:  # it could be opened a moment ago
        raise KeyGone from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _find(device: Device, node: int) -> Any:
    with _errors_in_words():
        backend = OneDevice(node, device.sysname)
        found = usb.core.find(backend=backend, idVendor=device.vendor, idProduct=device.product)
    if found is None:
        raise KeyGone
    return found


def _configured_interface(device: Any, interface_class: tuple[int, int, int]) -> Any:
    try:
        configuration = device.get_active_configuration()
    except usb.core.USBError as error:
        if error.errno == errno.ENODEV:
            raise
        device.set_configuration()
        configuration = device.get_active_configuration()
    names = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
    interface = usb.util.find_descriptor(configuration, **dict(zip(names, interface_class, strict=True)))
    if interface is None:
        raise KeyFault("This USB device is not a licence key, although it has the ids of one: remove it.")
    return interface


def _claim(device: Any, number: int) -> None:
    if device.is_kernel_driver_active(number):
        device.detach_kernel_driver(number)
    usb.util.claim_interface(device, number)


def _bulk_endpoint(interface: Any, direction: int) -> int:
    for endpoint in interface:
        address = int(endpoint.bEndpointAddress)
        if usb.util.endpoint_direction(address) == direction and endpoint.bmAttributes & 3 == _BULK:
            return address
    raise KeyFault("This USB device is not a licence key: it has no bulk endpoints. Remove it.")


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except usb.core.USBError as error:
        if error.errno == errno.ENODEV:
            raise KeyGone from error
        fault = Stalled if error.errno == errno.EPIPE else TransferFault
        raise fault(_ERRORS.get(error.errno or 0, f"The USB key cannot be read ({error}). Re-insert it.")) from error

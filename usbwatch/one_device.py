"""libusb on one device alone, through pyusb: it is kept from looking at any other.

When libusb starts it looks at all devices, and for some attributes in sysfs (`uevent`, `bConfigurationValue`) the
kernel waits for a device that it is busy with. A stick that does not answer keeps the kernel busy for half a minute and
more, and every reader of any other key would hang with it, deaf to SIGKILL. So the device's node is opened here and
handed to libusb, which is told to discover nothing.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from usb.backend import libusb1

from usbwatch.driver import KeyGone

_LIBUSB = "libusb-1.0.so.0"
_VANISHED = {errno.ENOENT, errno.ENODEV}
_NO_DEVICE_DISCOVERY = 2  # an option of libusb since 1.0.24; set for no context, it holds for all that follow


class _Open(NamedTuple):
    """What pyusb wants to know of an open device."""

    handle: Any
    devid: Any


class OneDevice(libusb1._LibUSB):  # type: ignore[misc]  # noqa: SLF001 - pyusb has no public way
    """A backend of pyusb that knows the device of this open node and nothing else; the node stays its owner's."""

    def __init__(self, node: int, sysname: str) -> None:
        super().__init__(libusb())
        self._configuration = Path("/sys/bus/usb/devices", sysname, "bConfigurationValue")
        self._handle = ctypes.c_void_p()
        wrapped = self.lib.libusb_wrap_sys_device(self.ctx, ctypes.c_ssize_t(node), ctypes.byref(self._handle))
        libusb1._check(wrapped)  # noqa: SLF001

    def _finalize_object(self) -> None:
        """Leave libusb running: the process is about to end, and pyusb may let go of the device after this."""

    def enumerate_devices(self) -> Iterator[Any]:
        """Yield the device."""
        yield libusb1._Device(self.lib.libusb_get_device(self._handle))  # noqa: SLF001

    def open_device(self, device: Any) -> _Open:
        """Give the handle that there is already."""
        return _Open(self._handle, device.devid)

    def get_configuration(self, _handle: Any) -> int:
        """Return the configuration as the kernel has noted it: a device that is handed over is asked itself else."""
        return noted_configuration(self._configuration)


def noted_configuration(attribute: Path) -> int:
    """Return what this attribute of a device in sysfs says, 0 for none; KeyGone when the device has just left."""
    try:
        return int(attribute.read_text(encoding="ascii") or 0)
    except OSError as error:
        if error.errno in _VANISHED:
            raise KeyGone from error
        raise


def version() -> str:
    """Return the version of libusb here; OSError when it cannot be loaded."""
    library = ctypes.CDLL(_LIBUSB)
    library.libusb_get_version.restype = ctypes.POINTER(ctypes.c_uint16)
    return ".".join(str(library.libusb_get_version()[part]) for part in range(3))


def load() -> None:
    """Load libusb into this process without starting it; OSError when it is missing."""
    ctypes.CDLL(_LIBUSB).libusb_set_option(None, _NO_DEVICE_DISCOVERY)


def libusb() -> Any:
    """Return libusb with pyusb's prototypes, kept from looking around; OSError when it is missing or does not start."""
    load()
    # findlibusb() of the standard library starts a compiler to look for it, and finds nothing in slim images.
    backend = libusb1.get_backend(find_library=lambda _: _LIBUSB)
    if backend is None:
        raise OSError("libusb does not start")
    backend.lib.libusb_get_device.restype = ctypes.c_void_p  # pyusb has no use for it
    backend.lib.libusb_get_device.argtypes = [ctypes.c_void_p]
    return backend.lib

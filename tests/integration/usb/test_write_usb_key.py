"""Loading a licence onto a USB key over the bus, and seeing it read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from licensing.seen import Reading
from tests.usbmodel.testbed import Key, UmockBus
from tests.usbmodel.vendor import Vendor
from tests.usbmodel.watched import Watched


def write(umock_bus: UmockBus, licence: bytes, *arguments: str) -> tuple[int, str]:
    """Run `twinkey issuer write-key` on the bus; return its exit code and what it said."""
    file = umock_bus.directory / "licence"
    file.write_bytes(licence)
    code = "from console.write_key import write_key; write_key()"
    argv = [sys.executable, "-c", code, str(file), *arguments]
    process = umock_bus.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate(timeout=30)
    return process.returncode, said.decode()


def test_a_licence_is_written_and_found_after_a_reread(
    umock_bus: UmockBus, vendor: Vendor, watched: Callable[..., Watched], tmp_path: Path
) -> None:
    """A blank key gets its licence, and whoever watches the bus sees it after a reread."""
    assert tmp_path == umock_bus.directory
    umock_bus.plug("1-1", Key("LK-9", b""))
    umock_bus.plug("1-3", Key("LK-1", b"", vendor.device_key))
    watch = watched()
    watch.until(lambda keys: [key.reading for key in keys] == [Reading.FAULTY] * 2)
    licence = vendor.licence_file("LK-1")
    assert write(umock_bus, licence, "--usb", "LK-1") == (0, "The licence is on the key LK-1.\n")
    assert umock_bus.licence("1-3") == licence
    watch.reread()
    watch.until(lambda keys: [key.reading for key in keys] == [Reading.OK, Reading.FAULTY])


def test_a_licence_on_a_key_is_overwritten_only_with_consent(umock_bus: UmockBus, vendor: Vendor) -> None:
    """Without an answer the old licence stays; `--yes` replaces it."""
    old, new = (vendor.licence_file("LK-1", name=name) for name in ("old", "new"))
    umock_bus.plug("1-3", Key("LK-1", old, vendor.device_key))
    assert write(umock_bus, new, "--usb", "LK-1")[0] == 1
    assert umock_bus.licence("1-3") == old
    assert write(umock_bus, new, "--usb", "LK-1", "--yes")[0] == 0
    assert umock_bus.licence("1-3") == new


def test_a_key_that_is_not_there_is_told_from_those_that_are(umock_bus: UmockBus, vendor: Vendor) -> None:
    """The message lists what was found, among it a key that does not answer."""
    umock_bus.plug("1-1", Key("LK-9", b""))
    umock_bus.plug("1-3", Key("LK-1", b"", fault="stall"))
    code, said = write(umock_bus, vendor.licence_file("LK-2", proving=False), "--usb", "LK-2")
    assert code == 1
    assert "LK-2 is not plugged in. Found: LK-9; port 1-3 (" in said

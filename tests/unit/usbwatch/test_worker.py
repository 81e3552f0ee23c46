"""What the worker makes of a key, without any process: the drivers' common rules."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from usb.core import USBError

from usbwatch import worker
from usbwatch.device import Device
from usbwatch.driver import DRIVERS, Deadline, Description, Driver, KeyFault, KeyGone, sane_id
from usbwatch.messages import (
    Answer,
    Contents,
    Described,
    DescribeKey,
    Failed,
    Gone,
    Identified,
    ReadKey,
    Request,
    WriteKey,
    Written,
)
from usbwatch.pyusb_device import UsbDevice, wait_for_access

DEVICE = Device("1-2", 1, 2, 0x1209, 0xA1A1)
READ = ReadKey("any", DEVICE, bytes(32), 5.0)


class ReadOnlyKey:
    """A key in memory that can only be read; an exception in `trouble` is raised when it is."""

    def __init__(self, key_id: str = "K1", blob: bytes = b"licence", trouble: Exception | None = None) -> None:
        self.ids = [key_id, key_id]
        self.blob = blob
        self.trouble = trouble

    def key_id(self, deadline: Deadline) -> str:  # noqa: ARG002 - the driver's interface
        """Tell its id, which may change."""
        return self.ids.pop(0)

    def read(self, limit: int, deadline: Deadline) -> bytes:  # noqa: ARG002
        """Tell its licence."""
        if self.trouble is not None:
            raise self.trouble
        return self.blob

    def prove(self, nonce: bytes, deadline: Deadline) -> bytes | None:  # noqa: ARG002
        """Sign nothing."""
        return None


class ForgetfulKey(ReadOnlyKey):
    """A key that can be written; it keeps what `keeps` makes of it."""

    keeps = staticmethod(lambda blob: blob)

    def describe(self, deadline: Deadline) -> Description:  # noqa: ARG002
        """Tell its size."""
        return Description(len(self.blob), 100, None)

    def write(self, blob: bytes, deadline: Deadline) -> None:  # noqa: ARG002
        """Keep the licence, more or less."""
        self.blob = self.keeps(blob)


def answers(request: Request, key: ReadOnlyKey) -> list[Answer]:
    """Return what the worker says of this key."""

    @contextmanager
    def opened(device: Device, deadline: Deadline) -> Iterator[ReadOnlyKey]:  # noqa: ARG001 - the interface
        yield key

    return list(worker.answers(request, opened))


def test_a_key_is_identified_and_then_read() -> None:
    """The identity comes first, then everything."""
    assert answers(READ, ReadOnlyKey()) == [Identified("K1"), Contents("K1", b"licence", None)]


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (KeyGone(), Gone()),
        (KeyFault("The USB key is ill."), Failed("The USB key is ill.")),
        (
            RuntimeError("bug"),
            Failed("The driver of this USB key failed (RuntimeError('bug')): report this to the vendor."),
        ),
    ],
)
def test_trouble_of_any_kind_is_an_answer(trouble: Exception, expected: Answer) -> None:
    """A driver may raise what it likes: the operator gets a sentence."""
    assert answers(READ, ReadOnlyKey(trouble=trouble)) == [Identified("K1"), expected]


def test_a_key_that_changes_its_id_is_refused() -> None:
    """A key that is another one after it was read has not been read."""
    key = ReadOnlyKey()
    key.ids = ["K1", "K2"]
    assert "changed its identity" in str(answers(READ, key)[-1])


def test_a_licence_is_written_and_read_back() -> None:
    """Writing is reported only when the licence was found on the key afterwards."""
    request = WriteKey("any", DEVICE, "K1", b"new", 5.0)
    assert answers(request, ForgetfulKey())[-1] == Written()


def test_a_key_that_keeps_something_else_is_found_out() -> None:
    """A key that loses a byte fails the check."""
    key = ForgetfulKey()
    key.keeps = staticmethod(lambda blob: blob[:-1])
    assert "something else" in str(answers(WriteKey("any", DEVICE, "K1", b"new", 5.0), key)[-1])


def test_another_key_is_not_written() -> None:
    """A key that took the port meanwhile keeps its licence."""
    key = ForgetfulKey()
    assert "nothing was written" in str(answers(WriteKey("any", DEVICE, "K9", b"new", 5.0), key)[-1])
    assert key.blob == b"licence"


def test_a_key_of_a_kind_that_cannot_be_written_says_so() -> None:
    """Not every kind of key has a way to be written."""
    outcome = answers(WriteKey("any", DEVICE, "K1", b"new", 5.0), ReadOnlyKey())[-1]
    assert "cannot be written" in str(outcome)


def test_a_writable_key_describes_itself() -> None:
    """The vendor's desk learns how full a key is before it asks whether to overwrite."""
    assert answers(DescribeKey("any", DEVICE, 5.0), ForgetfulKey())[-1] == Described("K1", 7, 100, None)


def test_a_driver_that_does_not_exist_opens_nothing() -> None:
    """The worker knows the drivers of the registry and no other, whatever it is asked for."""
    (outcome,) = worker.answers(READ, worker.open_with("magic-wand"))
    assert "no driver 'magic-wand'" in str(outcome)


def test_a_driver_that_cannot_be_loaded_is_a_sentence() -> None:
    """A driver whose module is missing fails its own keys only, and says what is missing."""
    broken = Driver("broken", frozenset(), "usbwatch.nowhere")
    (outcome,) = worker.answers(READ, worker.open_with("broken", (*DRIVERS, broken)))
    assert "usbwatch.nowhere" in str(outcome)


def test_the_outcome_comes_when_the_key_was_let_go() -> None:
    """Whoever hears the outcome may open the key again at once."""
    events: list[str] = []

    @contextmanager
    def opened(device: Device, deadline: Deadline) -> Iterator[ReadOnlyKey]:  # noqa: ARG001 - the interface
        yield ReadOnlyKey()
        events.append("let go")

    events.extend(type(answer).__name__ for answer in worker.answers(READ, opened))
    assert events == ["Identified", "let go", "Contents"]


@pytest.mark.parametrize("key_id", ["LK-0001", "x", "~" * 64])
def test_a_sane_id_is_taken(key_id: str) -> None:
    """Visible ASCII of up to 64 characters is an identity."""
    assert sane_id(key_id) == key_id


@pytest.mark.parametrize("key_id", ["", " ", "a b", "a\n", "\x00", "é", "~" * 65, "port 1-2"])
def test_an_id_that_cannot_be_shown_is_refused(key_id: str) -> None:
    """Anything else is a fault of the key, among it the names given to keys that have no id."""
    with pytest.raises(KeyFault):
        sane_id(key_id)


def test_a_deadline_is_never_zero_milliseconds() -> None:
    """Zero would mean for ever, so a deadline that has passed is a fault."""
    assert Deadline.after(100).milliseconds(1000) == 1000
    assert 0 < Deadline.after(0.5).milliseconds(1000) <= 500
    with pytest.raises(KeyFault, match="too slow"):
        Deadline.after(0).milliseconds(1000)


def test_a_missing_permission_is_said_plainly(tmp_path: Path) -> None:
    """A node that may not be opened names the udev rule, after a moment's patience."""
    node = tmp_path / "001"
    node.touch(mode=0o000)
    tmp_path.chmod(0o711)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(KeyFault, match="permission"):
            wait_for_access(str(node), Deadline.after(0.2))
    finally:
        os.seteuid(user)


def test_a_missing_node_is_said_plainly(tmp_path: Path) -> None:
    """A container without /dev/bus/usb is told what it lacks, and not kept waiting for long."""
    began = time.monotonic()
    with pytest.raises(KeyFault, match="give the agent access"):
        wait_for_access(str(tmp_path / "001"), Deadline.after(0.2))
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EACCES, "install the udev rule"),
        (errno.EBUSY, "stop that program"),
        (errno.EIO, "Re-insert it"),
        (errno.EOVERFLOW, "replace it"),
        (errno.EPIPE, "Re-insert it"),
        (errno.ETIMEDOUT, "Re-insert it"),
        (None, "cannot be read"),
    ],
    ids=["EACCES", "EBUSY", "EIO", "EOVERFLOW", "EPIPE", "ETIMEDOUT", "unknown"],
)
def test_every_usual_usb_error_has_a_sentence(number: int | None, expected: str) -> None:
    """The errors that operators meet say what to do."""
    with pytest.raises(KeyFault, match=expected):
        UsbDevice(BrokenDevice(number), 0, 0x81, 0x02).serial_number(Deadline.after(5))


def test_a_device_that_has_gone_is_not_faulty() -> None:
    """The error that libusb gives for a device that was pulled out is told from all others."""
    with pytest.raises(KeyGone):
        UsbDevice(BrokenDevice(errno.ENODEV), 0, 0x81, 0x02).serial_number(Deadline.after(5))


class BrokenDevice:
    """What libusb gives for a device of which every transfer fails with this error."""

    iSerialNumber = 3  # noqa: N815 - libusb's name

    def __init__(self, number: int | None) -> None:
        self._number = number

    def ctrl_transfer(self, *_: object) -> bytes:
        """Fail."""
        raise USBError("broken", None, self._number)

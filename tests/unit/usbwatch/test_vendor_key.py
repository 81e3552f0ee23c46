"""The protocol of vendor-class keys, spoken with the model of the firmware, without any USB."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.usbwatch.driver_contract import DriverContract, Specimen, soon
from tests.usbmodel.model import KeyModel
from tests.usbmodel.testbed import KEY_IDS
from tests.usbmodel.vendor import Vendor
from usbwatch.driver import Deadline, KeyFault
from usbwatch.vendor_key import VendorKey, parse_answer

LIMIT = 64 * 1024


class Wire:
    """Connects the driver with the model, as a cable would; `stale` answers come first."""

    def __init__(self, model: KeyModel, stale: int = 0) -> None:
        self.model = model
        self.spoil: Callable[[bytes], bytes] = lambda answer: answer
        self._stale = [struct.pack("<2sBBII", b"TK", 1, 0, 7, 0)] * stale

    def serial_number(self, deadline: Deadline) -> str:
        """Tell the serial number."""
        deadline.milliseconds(1000)
        return self.model.serial

    def send(self, data: bytes, deadline: Deadline, at_most_ms: int = 0) -> None:
        """Carry a command to the key."""
        deadline.milliseconds(at_most_ms)
        self.model.bulk_out(data)

    def receive(self, size: int, deadline: Deadline, at_most_ms: int = 0) -> bytes:
        """Carry an answer back."""
        deadline.milliseconds(at_most_ms)
        return self._stale.pop() if self._stale else self.spoil(self.model.bulk_in(size))


def model(licence: bytes = b"licence", private_key: bytes | None = bytes(32)) -> KeyModel:
    """Return a key."""
    return KeyModel("LK-1", licence, private_key, KEY_IDS)


def key(wire: Wire) -> VendorKey:
    """Return the driver at the other end of the wire."""
    return VendorKey(wire)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, LIMIT])
def test_a_licence_of_any_size_is_read_whole(size: int) -> None:
    """Chunks are put together to what was on the key."""
    licence = bytes(number % 251 for number in range(size))
    assert key(Wire(model(licence))).read(LIMIT, soon()) == licence


def test_a_licence_beyond_the_limit_is_not_read() -> None:
    """A key that claims too much is refused before anything is read."""
    with pytest.raises(KeyFault, match="more than a licence"):
        key(Wire(model(bytes(101)))).read(100, soon())


class TestContract(DriverContract):
    """The driver and a key that can prove itself."""

    @pytest.fixture
    def specimen(self, vendor: Vendor) -> Specimen:
        """Give a key at the other end of a wire."""
        licence = bytes(range(200)) * 50
        wire = Wire(model(licence, vendor.device_key))
        return Specimen(lambda _: nullcontext(key(wire)), licence, vendor.device.public_key().public_bytes_raw())


class TestContractWithoutProof(DriverContract):
    """The driver and a key that cannot."""

    @pytest.fixture
    def specimen(self) -> Specimen:
        """Give a key at the other end of a wire."""
        wire = Wire(model(b"licence", None))
        return Specimen(lambda _: nullcontext(key(wire)), b"licence", None)


@pytest.mark.parametrize("size", [0, 1, 4092, 4093, 20_000])
def test_a_licence_is_written_whole(size: int) -> None:
    """What is written in parts is the licence on the key after the commit."""
    wire = Wire(model(b"an older and longer licence"))
    licence = bytes(number % 251 for number in range(size))
    key(wire).write(licence, soon())
    assert wire.model.licence == licence


def test_a_licence_that_does_not_fit_is_not_written() -> None:
    """A licence larger than the key's room changes nothing."""
    wire = Wire(model())
    with pytest.raises(KeyFault, match="has room for"):
        key(wire).write(bytes(LIMIT + 1), soon())
    assert wire.model.licence == b"licence"


def test_a_write_that_is_spoilt_on_the_way_leaves_the_old_licence() -> None:
    """The key checks the digest before it replaces anything."""
    wire = Wire(model())
    take = wire.model.bulk_out
    wire.model.bulk_out = lambda data: take(data[:-1] + b"?" if data[3] == 4 else data)  # type: ignore[method-assign]
    with pytest.raises(KeyFault, match="something else than was sent"):
        key(wire).write(b"new", soon())
    assert wire.model.licence == b"licence"


def test_answers_left_behind_by_a_killed_reader_are_skipped() -> None:
    """An answer to somebody else's command is not taken for ours."""
    assert key(Wire(model(), stale=3)).read(LIMIT, soon()) == b"licence"


def test_a_key_that_only_answers_other_commands_is_faulty() -> None:
    """Skipping comes to an end."""
    with pytest.raises(KeyFault, match="other questions"):
        key(Wire(model(), stale=9)).read(LIMIT, soon())


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda answer: answer[:3] + b"\x01" + answer[4:], "firmware is too old"),
        (lambda answer: answer[:3] + b"\x63" + answer[4:], "error 99"),
        (lambda answer: answer[:2] + b"\x02" + answer[3:], "version 2"),
        (lambda answer: answer[:-1], "damaged"),
        (lambda answer: answer + b"x", "damaged"),
        (lambda _: b"", "damaged"),
    ],
)
def test_what_a_key_gets_wrong_is_said(spoil: Callable[[bytes], bytes], expected: str) -> None:
    """Every wrong answer is a fault with a reason."""
    wire = Wire(model())
    wire.spoil = spoil
    with pytest.raises(KeyFault, match=expected):
        key(wire).describe(soon())


def test_a_description_of_the_wrong_length_is_damaged() -> None:
    """An answer that is well formed and too short is not guessed at."""
    wire = Wire(model())
    wire.spoil = lambda answer: answer[:8] + struct.pack("<I", 4) + answer[12:16]
    with pytest.raises(KeyFault, match="description"):
        key(wire).describe(soon())


@given(st.binary(max_size=64))
def test_no_answer_crashes_the_driver(answer: bytes) -> None:
    """Random bytes are an answer or a fault."""
    try:
        _tag, _status, body = parse_answer(answer)
    except KeyFault:
        return
    assert answer.endswith(body)

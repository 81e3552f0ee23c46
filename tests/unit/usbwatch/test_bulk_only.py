"""Mass storage, spoken with the model of a stick, without any USB."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.usbmodel.gpt import licence_disk
from tests.usbmodel.model import BULK_IN, BULK_OUT, NoAnswer, Stall
from tests.usbmodel.stick_model import StickModel
from tests.usbmodel.testbed import STICK
from usbwatch.bulk_only import BulkOnly, parse_status
from usbwatch.driver import Deadline, KeyFault
from usbwatch.mass_storage import StickKey
from usbwatch.pyusb_device import Stalled, TransferFault
from usbwatch.scsi_disk import parse_sense

LICENCE = bytes(number % 251 for number in range(40_000))
DISK = licence_disk(LICENCE)
LIMIT = 64 * 1024


class Wire:
    """Connects the driver with the model, as libusb and a cable would."""

    def __init__(self, model: StickModel) -> None:
        self.model = model
        self.sizes: list[int] = []

    def serial_number(self, deadline: Deadline) -> str:  # noqa: ARG002 - the device's interface
        """Tell the serial number."""
        return self.model.serial

    def send(self, data: bytes, deadline: Deadline, at_most_ms: int = 0) -> None:  # noqa: ARG002
        """Carry a command to the stick."""
        try:
            self.model.bulk_out(data)
        except (Stall, NoAnswer) as error:
            raise self._fault(error, BULK_OUT) from error

    def receive(self, size: int, deadline: Deadline, at_most_ms: int = 0) -> bytes:  # noqa: ARG002
        """Carry data or a status back."""
        self.sizes.append(size)
        try:
            answer = self.model.bulk_in(size)
        except (Stall, NoAnswer) as error:
            raise self._fault(error, BULK_IN) from error
        assert len(answer) <= size
        return answer

    def class_request(self, request: int, deadline: Deadline) -> None:  # noqa: ARG002
        """Carry a control request of the class."""
        self.model.control(0x21, request, 0, 0)

    def clear_halts(self) -> None:
        """Make both endpoints usable."""
        self.model.clear_halt(BULK_IN)
        self.model.clear_halt(BULK_OUT)

    def _fault(self, error: Exception, endpoint: int) -> TransferFault:
        if isinstance(error, Stall):
            self.model.clear_halt(endpoint)
            return Stalled("stall")
        return TransferFault("no answer")


def model(fault: str = "", disk: bytes = DISK, block_size: int = 512) -> StickModel:
    """Return a stick."""
    made = StickModel("4C53", disk, STICK, block_size)
    made.fault = fault
    return made


def read(stick: StickModel) -> bytes:
    """Read the licence on this stick with the driver."""
    return StickKey(Wire(stick)).read(LIMIT, Deadline.after(10))  # type: ignore[arg-type]


def transport(stick: StickModel) -> BulkOnly:
    """Return the driver's transport at the other end of a wire to this stick."""
    return BulkOnly(Wire(stick))  # type: ignore[arg-type]


@pytest.mark.parametrize("block_size", [512, 4096])
def test_a_stick_is_read_whole(block_size: int) -> None:
    """The licence comes in several pieces, from a stick that first says that it was just plugged in."""
    stick = model(disk=licence_disk(LICENCE, block_size), block_size=block_size)
    assert read(stick) == LICENCE
    assert (stick.reads, stick.resets) == (1 + 1 + 1 + 3, 0)


def test_no_more_is_asked_for_than_the_kernel_takes_as_one_piece() -> None:
    """A larger piece would be cut up below us, and each part have a time limit of its own."""
    wire = Wire(model())
    StickKey(wire).read(LIMIT, Deadline.after(10))  # type: ignore[arg-type]
    assert max(wire.sizes) == 16 * 1024


@pytest.mark.parametrize("fault", ["stall-status", "starting"])
def test_what_a_stick_may_do_is_put_up_with(fault: str) -> None:
    """A status refused once, and a moment until it is ready, are no faults."""
    assert read(model(fault)) == LICENCE


def test_a_stick_left_in_the_middle_of_a_command_is_reset() -> None:
    """What a killed reader left behind is ended by the reset of the class, once."""
    stick = model("interrupted")
    assert read(stick) == LICENCE
    assert stick.resets == 1


def test_a_stick_whose_answer_nobody_took_is_reset() -> None:
    """A command that was sent and whose data was never fetched does not spoil the next reading."""
    stick = model()
    stick.bulk_out(struct.pack("<4sIIBBB16s", b"USBC", 1, 36, 0x80, 0, 6, bytes((0x12, 0, 0, 0, 36, 0))))
    assert read(stick) == LICENCE
    assert stick.resets == 1


@pytest.mark.parametrize(
    ("fault", "reason", "resets"),
    [
        ("hang", "no answer", 0),
        ("mute", "no answer", 1),
        ("stall", "stall", 1),
        ("stall-data", "medium error", 0),
        ("attention", "just plugged in", 0),
        ("no-medium", "no medium", 0),
        ("hardware", "hardware error", 0),
        ("wrong-tag", "another command", 1),
        ("wrong-signature", "does not begin", 1),
        ("short-status", "9 bytes", 1),
        ("short", "instead of", 0),
        ("phase", "lost track", 1),
        ("cd-rom", "no disk", 0),
        ("huge", "too large", 0),
    ],
)
def test_what_a_stick_does_wrong_is_said(fault: str, reason: str, resets: int) -> None:
    """Every fault ends the reading with its reason; only the first command is ever tried again."""
    stick = model(fault)
    with pytest.raises(KeyFault, match=reason):
        read(stick)
    assert stick.resets == resets


def test_a_stick_that_never_becomes_ready_is_given_up() -> None:
    """Waiting comes to an end with the deadline."""
    stick = model("starting")
    stick._starts = 10**6
    with pytest.raises(KeyFault, match="too slow"):
        StickKey(Wire(stick)).read(LIMIT, Deadline.after(0.3))  # type: ignore[arg-type]


def test_a_blank_stick_is_blank() -> None:
    """A stick as it is sold has no licence."""
    with pytest.raises(KeyFault, match="blank"):
        read(model(disk=bytes(1024 * 1024)))


def test_a_stick_proves_nothing() -> None:
    """Everything on a stick can be copied."""
    key = StickKey(Wire(model()))  # type: ignore[arg-type]
    assert key.prove(bytes(32), Deadline.after(1)) is None  # type: ignore[func-returns-value]


def test_an_unknown_command_is_refused_by_the_stick() -> None:
    """A refusal is an answer and needs no reset; the stick says why when it is asked."""
    stick = model()
    carrier = transport(stick)
    carrier.command(bytes(6), 0, Deadline.after(1))
    assert not carrier.command(bytes((0x5A, *bytes(9))), 8, Deadline.after(1)).passed
    sense = parse_sense(carrier.command(bytes((0x03, 0, 0, 0, 18, 0)), 18, Deadline.after(1)).data)
    assert "does not know a command" in str(sense)
    assert stick.resets == 0


def test_a_later_command_is_not_tried_again() -> None:
    """A stick that loses the thread in the middle of a reading is at fault, and not reset by us."""
    stick = model()
    carrier = transport(stick)
    carrier.command(bytes(6), 0, Deadline.after(1))
    stick.fault = "mute"
    with pytest.raises(TransferFault):
        carrier.command(bytes(6), 0, Deadline.after(1))
    assert stick.resets == 0


@given(st.binary(max_size=20))
def test_no_status_crashes_the_driver(wrapper: bytes) -> None:
    """Random bytes are a status or a fault."""
    try:
        passed = parse_status(wrapper, 7)
    except TransferFault:
        return
    assert wrapper.startswith(b"USBS\x07\0\0\0")
    assert passed == (wrapper[12] == 0)


@given(st.binary(max_size=20))
def test_no_sense_crashes_the_driver(data: bytes) -> None:
    """Random bytes are a sentence."""
    assert str(parse_sense(data)).endswith(".")

"""Ordinary USB sticks that hold a licence: the real bus, libusb, real workers, and sticks made of software."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from licensing.seen import Reading
from tests.integration.usb.loops import SIZE, loop_device, number_of
from tests.usbmodel.gpt import licence_disk
from tests.usbmodel.testbed import Key, UmockBus
from tests.usbmodel.vendor import Vendor
from tests.usbmodel.watched import Watched
from tests.waiting import eventually_sync
from usbwatch.bus import KeySet
from usbwatch.stick_layout import Geometry
from usbwatch.stick_writer import find_sfdisk, held, write_disk

SERIAL = "4C530001230815"
STICKS = ("0781:5567",)

Watch = Callable[..., Watched]


def stick(vendor: Vendor, serial: str = SERIAL, block_size: int = 512) -> bytes:
    """Return the bytes of a stick with a licence bound to this serial number."""
    return licence_disk(vendor.licence_file(serial, proving=False), block_size)


def read(count: int = 1) -> Callable[[KeySet], bool]:
    """Return the condition that so many keys are there and none is still being read."""
    return lambda keys: len(keys) == count and all(key.reading is not Reading.PENDING for key in keys)


def test_a_stick_made_by_the_desk_is_read(umock_bus: UmockBus, vendor: Vendor, watched: Watch, tmp_path: Path) -> None:
    """What the desk writes with the real sfdisk is a key on a node: genuine, and said to be copyable."""
    licence = vendor.licence_file(SERIAL, proving=False)
    image = tmp_path / "image"
    image.write_bytes(bytes(SIZE))
    with held(image) as descriptor:
        write_disk(image, descriptor, Geometry(SIZE // 512, 512), licence, find_sfdisk())
    umock_bus.plug_stick("1-2", SERIAL, image.read_bytes())
    (key,) = watched(stick_ids=STICKS).until(read())
    assert (key.key_id, key.reading, key.assurance) == (SERIAL, Reading.OK, "copyable")
    assert (key.licence_file, key.proof) == (licence, None)


def test_a_stick_with_large_blocks_is_read(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Blocks of 4096 bytes are as good as those of 512."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor, block_size=4096), block_size=4096)
    assert watched(stick_ids=STICKS).until(read())[0].reading is Reading.OK


def test_sticks_that_nobody_named_are_never_opened(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Without the setting a stick is a stranger's, whatever is on it."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor))
    umock_bus.plug("1-3", Key("LK-1", vendor.licence_file("LK-1"), vendor.device_key))
    (key,) = watched().until(read())
    assert (key.key_id, umock_bus.touched("1-2")) == ("LK-1", 0)


def test_sticks_and_other_keys_are_read_side_by_side(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Each kind of key has its driver."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor))
    umock_bus.plug("1-3", Key("LK-1", vendor.licence_file("LK-1"), vendor.device_key))
    keys = watched(stick_ids=STICKS).until(read(2))
    assert [(key.key_id, key.reading) for key in keys] == [(SERIAL, Reading.OK), ("LK-1", Reading.OK)]


def test_a_copied_stick_is_not_genuine(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A stick with another serial number has no use of the licence that was copied to it."""
    umock_bus.plug_stick("1-2", "OTHER", stick(vendor))
    assert watched(stick_ids=STICKS).until(read())[0].reading is Reading.NOT_GENUINE


def test_a_strangers_stick_of_the_same_kind_is_blank(umock_bus: UmockBus, watched: Watch) -> None:
    """A stick that happens to be of the named kind and holds something else is inserted and of no use."""
    umock_bus.plug_stick("1-2", SERIAL, b"holiday!" * 100_000)
    (key,) = watched(stick_ids=STICKS).until(read())
    assert (key.key_id, key.reading) == (SERIAL, Reading.FAULTY)
    assert "blank" in key.reason


@pytest.mark.parametrize("fault", ["stall-status", "starting", "interrupted"])
def test_a_stick_may_have_its_moods(fault: str, umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A refused status, a slow start, and what a killed reader left behind are got over."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor), fault)
    assert watched(stick_ids=STICKS).until(read())[0].reading is Reading.OK
    assert umock_bus.stick_resets("1-2") == (fault == "interrupted")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hang", "did not answer in time"),
        ("mute", "did not answer in time"),
        ("stall", "refused to answer"),
        ("stall-data", "medium error"),
        ("attention", "keeps reporting"),
        ("no-medium", "holds no medium"),
        ("wrong-tag", "answers another command"),
        ("wrong-signature", "does not begin"),
        ("short", "instead of"),
        ("phase", "lost track"),
        ("two-faced", "changed its identity"),
        ("stuck", "did not answer within"),
    ],
)
def test_a_faulty_stick_is_faulty_with_a_reason(
    fault: str, reason: str, umock_bus: UmockBus, vendor: Vendor, watched: Watch
) -> None:
    """Whatever a stick does wrong, it is shown as faulty in good time, with words that say why."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor), fault)
    (key,) = watched(read_deadline=4.0, stick_ids=STICKS).until(read())
    assert key.reading is Reading.FAULTY
    assert reason in key.reason


def test_a_stick_that_recovers_is_read_again(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A reader that gave up in the middle of a command leaves a stick that the next reader can use."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor), "hang")
    watch = watched(stick_ids=STICKS)
    watch.until(lambda keys: keys[0].reading is Reading.FAULTY)
    umock_bus.fault("1-2", "")
    watch.until(lambda keys: keys[0].reading is Reading.OK)
    assert umock_bus.stick_resets("1-2") > 0


def test_a_stick_pulled_while_it_is_read_just_disappears(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A stick that is pulled in the middle of a reading is never shown as faulty."""
    watch = watched(stick_ids=STICKS)
    watch.until(lambda keys: keys == ())
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor), "hang")
    eventually_sync(lambda: umock_bus.waiting("1-2") and umock_bus.stick_reads("1-2"))
    umock_bus.unplug("1-2")
    watch.until(lambda keys: keys == ())
    assert {key.reading for keys in watch.sets() for key in keys} <= {Reading.PENDING}


def test_a_mounted_stick_is_left_alone(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A stick with a mounted file system is not opened, and the operator learns what to unmount."""
    _, _, number, _, point, *_ = Path("/proc/self/mountinfo").read_text().split(" ")  # the first mount of this machine
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor), block_device=number)
    (key,) = watched(stick_ids=STICKS).until(read())
    assert (key.key_id, key.reading) == ("port 1-2", Reading.FAULTY)
    assert f"is mounted at {point}, unmount it" in key.reason
    assert umock_bus.touched("1-2") == 0


def test_an_unmounted_stick_is_taken_from_the_kernel(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A disk that the kernel has made and nobody uses is no obstacle."""
    umock_bus.plug_stick("1-2", SERIAL, stick(vendor), block_device="8:240")
    watch = watched(stick_ids=STICKS)
    assert watch.until(read())[0].reading is Reading.OK
    umock_bus.unplug("1-2")
    watch.until(lambda keys: keys == ())


def write(umock_bus: UmockBus, licence: bytes, *arguments: str) -> tuple[int, str]:
    """Run `twinkey issuer write-key` on the bus; return its exit code and what it said."""
    file = umock_bus.directory / "licence"
    file.write_bytes(licence)
    code = "from console.write_key import write_key; write_key()"
    argv = [sys.executable, "-c", code, str(file), *arguments]
    process = umock_bus.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate(timeout=30)
    return process.returncode, said.decode()


def test_listing_a_stick_leaves_its_disk_there_to_be_written(
    umock_bus: UmockBus, vendor: Vendor, tmp_path: Path
) -> None:
    """`twinkey issuer usb-keys` opens no stick: it names the disk, and `write-key` can write it afterwards."""
    with loop_device(tmp_path) as device:
        umock_bus.plug_stick("1-2", SERIAL, bytes(SIZE), block_device=number_of(device))
        code = "from console.usb_keys import usb_keys; usb_keys()"
        argv = [sys.executable, "-c", code, "--stick", *STICKS, "--json"]
        said, _ = umock_bus.spawn(argv, stdout=subprocess.PIPE).communicate(timeout=30)
        (stick,) = json.loads(said)
        assert (stick["place"], stick["keyId"], stick["disks"]) == ("port 1-2", SERIAL, ["/dev/disk"])
        assert (stick["trouble"], umock_bus.touched("1-2")) == (None, 0)
        licence = vendor.licence_file(SERIAL, proving=False)
        assert write(umock_bus, licence, "--stick", str(device), "--yes")[0] == 0


def test_the_command_writes_a_stick_that_a_node_accepts(
    umock_bus: UmockBus, vendor: Vendor, watched: Watch, tmp_path: Path
) -> None:
    """From `twinkey issuer write-key --stick` on a block device to a key that is genuine; not without consent."""
    licence = vendor.licence_file(SERIAL, proving=False)
    with loop_device(tmp_path) as device:
        before = (tmp_path / "disk").read_bytes()
        umock_bus.plug_stick("1-2", SERIAL, before, block_device=number_of(device))
        code, said = write(umock_bus, licence, "--stick", str(device))
        assert f"serial number {SERIAL}, 8 MiB" in said
        assert (code, "will be lost. Overwrite it?" in said) == (1, True)
        assert (tmp_path / "disk").read_bytes() == before
        assert write(umock_bus, licence, "--stick", str(device), "--yes") == (
            0,
            f"The licence is on the key {SERIAL}.\n",
        )
    umock_bus.unplug("1-2")
    umock_bus.plug_stick("1-2", SERIAL, (tmp_path / "disk").read_bytes())
    (key,) = watched(stick_ids=STICKS).until(read())
    assert (key.reading, key.licence_file) == (Reading.OK, licence)


@pytest.mark.parametrize(
    ("serial", "kind", "reason"),
    [("OTHER", "plain", "bound to the key OTHER"), (SERIAL, "proving", "without --device-public-key")],
)
def test_a_licence_that_the_stick_could_not_use_is_not_written(
    serial: str, kind: str, reason: str, umock_bus: UmockBus, vendor: Vendor, tmp_path: Path
) -> None:
    """A licence of another stick, and one that asks for a proof, are refused and nothing is written."""
    with loop_device(tmp_path) as device:
        before = (tmp_path / "disk").read_bytes()
        umock_bus.plug_stick("1-2", SERIAL, before, block_device=number_of(device))
        licence = vendor.licence_file(serial, proving=kind == "proving")
        code, said = write(umock_bus, licence, "--stick", str(device), "--yes")
        assert (code, reason in said) == (1, True)
        assert (tmp_path / "disk").read_bytes() == before

"""When the real bus reads what, over a made-up sysfs and a reader that answers from memory."""

from __future__ import annotations

import datetime as dt
import errno
from pathlib import Path

import pytest

from licensing.model import Reading
from tests.unit.usbwatch.rigs import QUICK, UsbRig, Viewer
from tests.usbmodel.vendor import Vendor
from tests.waiting import eventually
from usbwatch.bus import KeySet
from usbwatch.messages import Failed, Gone
from usbwatch.real import UsbBus
from usbwatch.simulated import SimulatedKey
from usbwatch.timings import UsbTimings


def key(vendor: Vendor, key_id: str = "K1", *, broken: bool = False) -> SimulatedKey:
    """Return a key that can be copied."""
    return SimulatedKey(key_id, vendor.licence_file(key_id, proving=False), broken=broken)


def only(reading: Reading, keys: KeySet) -> bool:
    """Tell whether there is one key, with that reading."""
    return [seen.reading for seen in keys] == [reading]


async def test_a_key_is_pending_until_it_is_read(usb: UsbRig, vendor: Vendor) -> None:
    """A key shows at once, with its deadline, then under its own id, then with its reading."""
    usb.held.add("1-1")
    viewer = Viewer(usb.bus)
    usb.plug("1-1", key(vendor))
    (pending,) = await viewer.until(lambda keys: [seen.key_id for seen in keys] == ["K1"])
    assert pending.reading is Reading.PENDING
    assert pending.read_by is not None
    assert pending.read_by > dt.datetime.now(dt.UTC)
    usb.held.clear()
    await viewer.until(lambda keys: only(Reading.OK, keys))
    assert viewer.sets[-1][0].read_by is None


async def test_a_key_pulled_while_it_is_read_is_forgotten(usb: UsbRig, vendor: Vendor) -> None:
    """The reading of a key that is gone is stopped and its answer never shown."""
    usb.held.add("1-1")
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    usb.unplug("1-1")
    await viewer.until(lambda keys: keys == ())
    assert not usb.bus._readings


async def test_a_key_that_says_it_is_gone_is_hidden(usb: UsbRig, vendor: Vendor) -> None:
    """A key that vanished for its reader is not shown as faulty; if it is there after all, it comes back."""
    usb.answers["1-1"] = Gone()
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await eventually(lambda: usb.reads.get("1-1"))
    await viewer.until(lambda keys: keys == ())
    usb.answers.clear()
    usb.ring()
    await viewer.until(lambda keys: only(Reading.OK, keys))


async def test_a_faulty_key_is_tried_again_and_keeps_its_id(usb: UsbRig, vendor: Vendor) -> None:
    """A key that could not be read recovers by itself."""
    usb.held.add("1-1")
    usb.plug("1-1", key(vendor, broken=True))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    usb.held.clear()
    (faulty,) = await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    assert faulty.key_id == "K1"
    usb.keys["1-1"] = key(vendor)
    usb.ring()
    await viewer.until(lambda keys: only(Reading.OK, keys))


async def test_a_key_stuck_in_the_kernel_is_not_tried_again(usb: UsbRig, vendor: Vendor) -> None:
    """Each further reading would leave one more process that cannot be killed; only a reread asks for that."""
    usb.answers["1-1"] = Failed("stuck", stuck=True)
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: len(keys) == 2 and keys[0].reading is Reading.OK)
    assert usb.reads["1-1"] == 1
    await usb.bus.reread()
    assert usb.reads["1-1"] == 2


async def test_a_judged_key_is_never_read_again_by_itself(usb: UsbRig, vendor: Vendor) -> None:
    """A blank key stays faulty without being tried again: only somebody who writes it can change that."""
    usb.plug("1-1", SimulatedKey("K1"))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: len(keys) == 2 and keys[1].reading is Reading.OK)
    assert usb.reads == {"1-1": 1, "1-2": 1}


async def test_a_bus_that_cannot_be_scanned_keeps_its_keys(usb: UsbRig, vendor: Vendor) -> None:
    """Not seeing a key does not mean that it is gone."""
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.OK, keys))
    usb.trouble = OSError(errno.EMFILE, "too many open files")
    await usb.bus.reread()
    usb.trouble = None
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: len(keys) == 2)
    assert () not in viewer.sets


async def test_a_hub_that_is_reset_never_looks_empty(usb: UsbRig, vendor: Vendor) -> None:
    """Keys that leave and come back in one burst are read again, and the set never shrinks meanwhile."""
    ports = [f"1-{number}" for number in range(1, 5)]
    for port in ports:
        usb.plug(port, key(vendor, f"K{port}"))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: [seen.reading for seen in keys] == [Reading.OK] * 4)
    before = len(viewer.sets)
    for port in ports:
        usb.unplug(port)
    for port in ports:
        usb.plug(port, key(vendor, f"K{port}"))
    await eventually(lambda: sum(usb.reads.values()) == 8)
    await viewer.until(lambda keys: [seen.reading for seen in keys] == [Reading.OK] * 4)
    assert {len(keys) for keys in viewer.sets[before:]} <= {4}


async def test_a_key_is_found_without_any_event(tmp_path: Path, vendor: Vendor) -> None:
    """Events get lost, so the bus looks again by itself."""
    rig = UsbRig(tmp_path, vendor, UsbTimings(settle=0.01, burst=0.01, reconcile=0.05))
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    rig.ring = lambda: None
    rig.plug("1-1", key(vendor))
    await viewer.until(lambda keys: only(Reading.OK, keys))
    await rig.bus.close()


async def test_a_judge_that_fails_makes_a_faulty_key(tmp_path: Path, vendor: Vendor) -> None:
    """A mistake in the judge shows on the key instead of ending the bus."""
    rig = UsbRig(tmp_path, vendor, judge=lambda *_: 1 / 0)  # type: ignore[arg-type]
    rig.plug("1-1", key(vendor))
    viewer = Viewer(rig.bus)
    (seen,) = await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    assert "ZeroDivisionError" in seen.reason
    await rig.bus.close()


async def test_a_reread_in_the_middle_of_a_first_reading_leaves_one_reading(usb: UsbRig, vendor: Vendor) -> None:
    """A reading that runs when a reread is asked for is replaced, not doubled."""
    usb.held.add("1-1")
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    usb.held.clear()
    await usb.bus.reread()
    await viewer.until(lambda keys: only(Reading.OK, keys))
    assert usb.reads["1-1"] == 2


async def test_a_machine_without_usb_is_an_empty_bus(vendor: Vendor) -> None:
    """Where the kernel has no USB at all the bus runs and shows no key."""
    bus = UsbBus(vendor.judge, scan=frozenset, timings=QUICK)
    viewer = Viewer(bus)
    assert await viewer.until(lambda _: True) == ()
    await bus.close()


@pytest.mark.parametrize(
    "wrong", [{"settle": 0.0}, {"settle": 1.0}, {"reconcile": 0.0}, {"retries": ()}, {"retries": (2.0, 1.0)}]
)
def test_timings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Contradictory timings are refused when they are made."""
    with pytest.raises(ValueError, match="settle <= burst"):
        UsbTimings(**wrong)  # type: ignore[arg-type]

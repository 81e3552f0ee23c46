"""When the real bus reads what, over a made-up sysfs and a reader that answers from memory."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from licensing.seen import Reading
from tests.unit.usbwatch.rigs import CAME, QUICK, WENT, UsbRig, Viewer
from tests.usbmodel.vendor import Vendor
from tests.waiting import eventually
from usbwatch.bus import KeySet, challenger
from usbwatch.messages import Failed, Gone
from usbwatch.real import UsbBus
from usbwatch.simulated import SimulatedKey
from usbwatch.timings import UsbTimings


def key(vendor: Vendor, key_id: str = "K1", *, broken: bool = False) -> SimulatedKey:
    """Return a key that can be copied."""
    return SimulatedKey(key_id, vendor.licence_file(key_id, proving=False), broken=broken)


def proving(vendor: Vendor, key_id: str) -> SimulatedKey:
    """Return a key that proves itself."""
    return SimulatedKey(key_id, vendor.licence_file(key_id), device_private_key=vendor.device_key)


def all_ok(count: int, keys: KeySet) -> bool:
    """Tell whether there are so many keys and all have been read."""
    return [seen.reading for seen in keys] == [Reading.OK] * count


def only(reading: Reading, keys: KeySet) -> bool:
    """Tell whether there is one key, with that reading."""
    return [seen.reading for seen in keys] == [reading]


async def test_a_key_is_pending_until_it_is_read(usb: UsbRig, vendor: Vendor) -> None:
    """A key shows at once, with its deadline, then under its own id, then with its reading."""
    usb.reader.held.add("1-1")
    viewer = Viewer(usb.bus)
    usb.plug("1-1", key(vendor))
    (pending,) = await viewer.until(lambda keys: [seen.key_id for seen in keys] == ["K1"])
    assert pending.reading is Reading.PENDING
    assert pending.read_by is not None
    assert pending.read_by > dt.datetime.now(dt.UTC)
    usb.reader.held.clear()
    await viewer.until(lambda keys: only(Reading.OK, keys))
    assert viewer.sets[-1][0].read_by is None


async def test_a_key_pulled_while_it_is_read_is_forgotten(
    usb: UsbRig, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    """The reading of a key that is gone is stopped, and what it still has to say is not heard."""
    usb.reader.held.add("1-1")
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    usb.unplug("1-1")
    await viewer.until(lambda keys: keys == ())
    await eventually(lambda: not usb.bus._readings._stopping)
    assert usb.bus._readings.running == 0
    assert "failed" not in caplog.text


async def test_a_key_that_says_it_is_gone_is_hidden(usb: UsbRig, vendor: Vendor) -> None:
    """A key that vanished for its reader is not shown as faulty; if it is there after all, it comes back."""
    usb.reader.answers["1-1"] = Gone()
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await eventually(lambda: usb.reader.reads.get("1-1"))
    await viewer.until(lambda keys: keys == ())
    usb.reader.answers.clear()
    usb.ring(CAME)
    await viewer.until(lambda keys: only(Reading.OK, keys))


async def test_a_faulty_key_is_tried_again_and_keeps_its_id(usb: UsbRig, vendor: Vendor) -> None:
    """A key that could not be read recovers by itself."""
    usb.reader.held.add("1-1")
    usb.plug("1-1", key(vendor, broken=True))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    usb.reader.held.clear()
    (faulty,) = await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    assert faulty.key_id == "K1"
    usb.reader.keys["1-1"] = key(vendor)
    usb.ring(CAME)
    await viewer.until(lambda keys: only(Reading.OK, keys))


async def test_a_key_stuck_in_the_kernel_is_not_tried_again(usb: UsbRig, vendor: Vendor) -> None:
    """Each further reading would leave one more process that cannot be killed; only a reread asks for that."""
    usb.reader.answers["1-1"] = Failed("stuck", stuck=True)
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: len(keys) == 2 and keys[0].reading is Reading.OK)
    assert usb.reader.reads["1-1"] == 1
    await usb.bus.reread()
    assert usb.reader.reads["1-1"] == 2


async def test_a_judged_key_is_never_read_again_by_itself(usb: UsbRig, vendor: Vendor) -> None:
    """A blank key stays faulty without being tried again: only somebody who writes it can change that."""
    usb.plug("1-1", SimulatedKey("K1"))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.FAULTY, keys))
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: len(keys) == 2 and keys[1].reading is Reading.OK)
    assert usb.reader.reads == {"1-1": 1, "1-2": 1}


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


async def test_a_bus_that_was_never_scanned_does_not_look_empty(usb: UsbRig, vendor: Vendor) -> None:
    """Before the first scan has succeeded nothing is told, whoever asks for readings; then the keys are there."""
    usb.trouble = OSError(errno.EMFILE, "too many open files")
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await usb.bus.prove_again()
    await usb.bus.reread()
    usb.trouble = None
    await usb.bus.reread()
    await viewer.until(lambda keys: all_ok(1, keys))
    assert len(viewer.sets) == 1


async def test_a_hub_that_is_reset_is_one_new_set(usb: UsbRig, vendor: Vendor) -> None:
    """Keys that leave and come back in one burst prove themselves again, and that is told once."""
    ports = [f"1-{number}" for number in range(1, 9)]
    for port in ports:
        usb.plug(port, proving(vendor, f"K{port}"))
    viewer = Viewer(usb.bus)
    before = await viewer.until(lambda keys: all_ok(8, keys))
    assert len(viewer.sets) == 1
    for port in ports:
        usb.unplug(port)
    for port in ports:
        usb.plug(port, proving(vendor, f"K{port}"))
    after = await viewer.until(lambda keys: keys != before)
    assert all_ok(8, after)
    assert len(viewer.sets) == 2


async def test_a_healthy_key_is_one_new_set(usb: UsbRig, vendor: Vendor) -> None:
    """A key that is read quickly is never shown as pending."""
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: keys == ())
    usb.plug("1-1", key(vendor))
    await viewer.until(lambda keys: all_ok(1, keys))
    assert len(viewer.sets) == 2


async def test_a_key_with_a_loose_contact_is_no_news(usb: UsbRig, vendor: Vendor) -> None:
    """A key that leaves and comes back in one burst is read again, and nothing is told if nothing has changed."""
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: all_ok(1, keys))
    usb.unplug("1-1")
    usb.plug("1-1", key(vendor))
    await eventually(lambda: usb.reader.reads["1-1"] == 2)
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: all_ok(2, keys))
    assert len(viewer.sets) == 2


async def test_a_key_that_goes_is_told_although_another_is_being_read(tmp_path: Path, vendor: Vendor) -> None:
    """A removal does not wait until it is known what else there is."""
    usb = UsbRig(tmp_path, vendor, replace(QUICK, patience=60.0))
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: all_ok(1, keys))
    usb.reader.held.add("1-2")
    usb.plug("1-2", key(vendor, "K2"))
    await eventually(lambda: usb.reader.reads.get("1-2"))
    usb.unplug("1-1")
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    assert len(viewer.sets) == 2
    await usb.bus.close()


async def test_a_slow_key_is_shown_as_pending_with_the_reading_of_the_others(usb: UsbRig, vendor: Vendor) -> None:
    """When patience is at an end everything is told as it is."""
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: keys == ())
    usb.reader.held.add("1-1")
    usb.plug("1-1", key(vendor, "K1"))
    usb.plug("1-2", key(vendor, "K2"))
    await viewer.until(lambda keys: [seen.reading for seen in keys] == [Reading.PENDING, Reading.OK])
    assert len(viewer.sets) == 2


async def test_a_key_is_found_without_any_event(tmp_path: Path, vendor: Vendor) -> None:
    """Events get lost, so the bus looks again by itself."""
    rig = UsbRig(tmp_path, vendor, UsbTimings(settle=0.01, leave=0.01, quiet=0.01, burst=0.01, reconcile=0.05))
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    rig.ring = lambda _: None
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
    usb.reader.held.add("1-1")
    usb.plug("1-1", key(vendor))
    viewer = Viewer(usb.bus)
    await viewer.until(lambda keys: only(Reading.PENDING, keys))
    usb.reader.held.clear()
    await usb.bus.reread()
    await viewer.until(lambda keys: only(Reading.OK, keys))
    assert usb.reader.reads["1-1"] == 2


async def test_nobody_stops_a_reading_that_another_waits_for(usb: UsbRig, vendor: Vendor) -> None:
    """Who asks for readings while others run has them done afterwards; the first has what it asked for, too."""
    usb.plug("1-1", proving(vendor, "K1"))
    viewer = Viewer(usb.bus)
    (before,) = await viewer.until(lambda keys: only(Reading.OK, keys))
    usb.reader.held.add("1-1")
    reread = asyncio.create_task(usb.bus.reread())
    await eventually(lambda: usb.reader.reads["1-1"] == 2)
    prove_again = asyncio.create_task(usb.bus.prove_again())
    _, waiting = await asyncio.wait({reread}, timeout=0.2)
    assert waiting
    usb.reader.held.clear()
    await reread
    (after,) = await anext(aiter(usb.bus.watch()))
    assert after.challenge != before.challenge
    await prove_again
    assert usb.reader.reads["1-1"] == 3


async def test_a_device_with_a_loose_contact_delays_no_key(tmp_path: Path, vendor: Vendor) -> None:
    """A mouse that comes and goes for ever does not keep a plug or a pull from being told in time."""
    rig = UsbRig(tmp_path, vendor, UsbTimings())
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    with flapping(rig):
        rig.plug("1-1", key(vendor))
        await viewer.until(lambda keys: all_ok(1, keys), within=1.5)
        rig.unplug("1-1")
        await viewer.until(lambda keys: keys == (), within=2.0)
    await rig.bus.close()


async def test_what_is_known_of_a_key_is_not_held_back_for_other_devices(tmp_path: Path, vendor: Vendor) -> None:
    """While devices come and go that are no keys, a key that has been read is told at once."""
    long = replace(QUICK, quiet=60.0, absence=60.0, burst=60.0, patience=60.0)
    rig = UsbRig(tmp_path, vendor, long)
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    rig.reader.held.add("1-1")
    rig.plug("1-1", key(vendor))
    await eventually(lambda: rig.reader.reads.get("1-1"))
    rig.ring(WENT + CAME)
    rig.reader.held.clear()
    await viewer.until(lambda keys: all_ok(1, keys))
    await rig.bus.close()


@contextmanager
def flapping(rig: UsbRig) -> Iterator[None]:
    """Let a device that is no key leave and come back all the time, beginning now."""
    loop = asyncio.get_running_loop()
    turns = itertools.cycle((WENT, CAME))

    timers: list[asyncio.Handle] = []

    def turn() -> None:
        rig.ring(next(turns))
        timers.append(loop.call_later(0.15, turn))

    timers.append(loop.call_soon(turn))
    try:
        yield
    finally:
        timers[-1].cancel()


async def test_a_hub_whose_keys_come_back_one_by_one_is_one_new_set(tmp_path: Path, vendor: Vendor) -> None:
    """Eight keys that leave together and come back a third of a second apart are told once, whatever else moves."""
    rig = UsbRig(tmp_path, vendor, UsbTimings())
    ports = [f"1-1.{number}" for number in range(1, 9)]
    for port in ports:
        rig.plug(port, proving(vendor, f"K{port}"))
    viewer = Viewer(rig.bus)
    before = await viewer.until(lambda keys: all_ok(8, keys))
    for port in ports:
        rig.unplug(port)
    rig.ring(WENT)
    rig.ring(CAME)
    loop = asyncio.get_running_loop()
    for number, port in enumerate(ports, start=1):
        loop.call_later(number / 3, rig.plug, port, proving(vendor, f"K{port}"))
    after = await viewer.until(lambda keys: keys != before, within=8.0)
    assert all_ok(8, after)
    assert len(viewer.sets) == 2
    await rig.bus.close()


async def test_a_machine_without_usb_is_an_empty_bus(vendor: Vendor) -> None:
    """Where the kernel has no USB at all the bus runs and shows no key."""
    bus = UsbBus(vendor.judge, challenger("site"), scan=frozenset, timings=QUICK)
    viewer = Viewer(bus)
    assert await viewer.until(lambda _: True) == ()
    await bus.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"settle": 0.0},
        {"settle": 1.0},
        {"quiet": 9.0},
        {"arrival": 0.01},
        {"absence": 0.1},
        {"patience": -1.0},
        {"reconcile": 0.0},
        {"retries": ()},
        {"retries": (2.0, 1.0)},
    ],
    ids=[
        "no-settle",
        "long-settle",
        "long-quiet",
        "arrival",
        "absence",
        "patience",
        "reconcile",
        "no-retries",
        "shrinking",
    ],
)
def test_timings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    """Contradictory timings are refused when they are made."""
    with pytest.raises(ValueError, match="USB timings need"):
        UsbTimings(**wrong)  # type: ignore[arg-type]

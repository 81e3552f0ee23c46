"""The real bus, libusb and the real workers on a USB bus made of software."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from licensing.seen import Challenge, Reading
from tests.integration.usb.hub import all_ok, genuine, plug_eight
from tests.usbmodel.testbed import KEYBOARD, STICK, Key, UmockBus
from tests.usbmodel.vendor import Vendor
from tests.usbmodel.watched import Watched
from tests.waiting import eventually_sync
from usbwatch.bus import KeySet

Watch = Callable[..., Watched]


def read(count: int = 1) -> Callable[[KeySet], bool]:
    """Return the condition that so many keys are there and none is still being read."""
    return lambda keys: len(keys) == count and all(key.reading is not Reading.PENDING for key in keys)


def test_a_key_is_read_and_other_devices_are_never_opened(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A licence key proves itself, while a keyboard and a foreign stick beside it are left alone."""
    umock_bus.plug_other("1-1", KEYBOARD, "kbd", driver="usbhid")
    umock_bus.plug_other("1-2", STICK, "4C53", driver="usb-storage")
    umock_bus.plug("1-3", genuine(vendor, "LK-1"))
    (key,) = watched().until(read())
    assert (key.key_id, key.reading, key.assurance) == ("LK-1", Reading.OK, "proven")
    assert key.licence_file == vendor.licence_file("LK-1")
    assert (umock_bus.touched("1-1"), umock_bus.touched("1-2")) == (0, 0)


def test_a_healthy_key_is_one_new_set(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A key that is read quickly is told once, with its reading."""
    watch = watched()
    watch.until(lambda keys: keys == ())
    watch.until_ready()
    umock_bus.plug("1-3", genuine(vendor, "LK-1"))
    watch.until(read())
    assert [[key.reading for key in keys] for keys in watch.sets()] == [[], [Reading.OK]]


def test_a_slow_key_shows_as_pending_first(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A key that takes its time is told as pending, with a deadline, and then with its reading."""
    watch = watched()
    watch.until(lambda keys: keys == ())
    umock_bus.plug("1-3", genuine(vendor, "LK-1", "mute"))
    (pending,) = watch.until(lambda keys: len(keys) == 1)
    assert (pending.reading, pending.read_by is not None) == (Reading.PENDING, True)
    watch.until(lambda keys: keys[0].reading is Reading.FAULTY)


def test_plugging_and_pulling_are_seen_from_the_events(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """What happens on the bus is seen before the bus would have looked again by itself."""
    watch = watched()
    watch.until(lambda keys: keys == ())
    for _ in range(3):  # chance cannot bring a look of its own three times in a row
        umock_bus.plug("1-3", genuine(vendor, "LK-1"))
        watch.until(read(), within=1.5)
        umock_bus.unplug("1-3")
        watch.until(lambda keys: keys == (), within=1.5)


def test_a_device_with_a_loose_contact_delays_no_key(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A key is told soon after its plug although a keyboard beside it leaves and comes back all the time."""
    watch = watched()
    watch.until(lambda keys: keys == ())
    watch.until_ready()
    turns = itertools.cycle((True, False))

    def told() -> bool:
        if next(turns):
            umock_bus.plug_other("1-1", KEYBOARD, "kbd")
        else:
            umock_bus.unplug("1-1")
        return len(watch.sets()[-1]) == 1

    told()
    told()
    umock_bus.plug("1-3", genuine(vendor, "LK-1"))
    eventually_sync(told, within=2.5)


def test_a_driver_of_the_kernel_is_detached(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A key that a driver of the kernel has taken is read all the same."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1"), driver="usbtest")
    assert watched().until(read())[0].reading is Reading.OK


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("stall", "refused to answer"),
        ("mute", "did not answer in time"),
        ("dead", "did not answer in time"),
        ("short", "answers are damaged"),
        ("babble", "answers are damaged"),
        ("garbage", "answers are damaged"),
        ("oversize", "more than a licence can have"),
        ("two-faced", "changed its identity"),
        ("stuck", "did not answer within"),
    ],
)
def test_a_faulty_key_is_faulty_with_a_reason(
    fault: str, reason: str, umock_bus: UmockBus, vendor: Vendor, watched: Watch
) -> None:
    """Whatever a key does wrong, it is shown as faulty in good time, with words that say why."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1", fault))
    (key,) = watched(read_deadline=2.5).until(read())
    assert key.reading is Reading.FAULTY
    assert reason in key.reason


def test_a_faulty_key_that_recovers_is_read_again(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A key that could not be read is tried again without anybody asking."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1", "stall"))
    watch = watched()
    watch.until(lambda keys: keys[0].reading is Reading.FAULTY)
    umock_bus.fault("1-3", "")
    watch.until(lambda keys: keys[0].reading is Reading.OK)


def test_a_clone_with_another_device_key_is_not_genuine(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A copy has the serial number and the licence, but not the device key."""
    umock_bus.plug("1-3", Key("LK-1", vendor.licence_file("LK-1"), bytes(32)))
    assert watched().until(read())[0].reading is Reading.NOT_GENUINE


def test_a_licence_that_somebody_altered_is_faulty(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A licence whose signature does not fit what it says is none, be the key genuine."""
    altered = vendor.licence_file("LK-1").replace(b'"hosts":10', b'"hosts":99')
    umock_bus.plug("1-3", Key("LK-1", altered, vendor.device_key))
    (key,) = watched().until(read())
    assert (key.key_id, key.reading) == ("LK-1", Reading.FAULTY)
    assert "no valid licence" in key.reason


def test_a_key_that_cannot_prove_itself_is_copyable(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A licence that asks for no proof is accepted, and said to be copyable."""
    umock_bus.plug("1-3", Key("LK-1", vendor.licence_file("LK-1", proving=False)))
    (key,) = watched().until(read())
    assert (key.reading, key.assurance) == (Reading.OK, "copyable")


def test_a_blank_key_is_faulty(umock_bus: UmockBus, watched: Watch) -> None:
    """A key without a licence is inserted and of no use."""
    umock_bus.plug("1-3", Key("LK-1", b""))
    assert "blank" in watched().until(read())[0].reason


def test_a_key_without_a_usable_serial_number_is_faulty_under_its_port(
    umock_bus: UmockBus, vendor: Vendor, watched: Watch
) -> None:
    """A key whose serial number cannot be shown counts as inserted, named after its port."""
    umock_bus.plug("1-3", genuine(vendor, "LK 1\n"))
    (key,) = watched().until(read())
    assert (key.key_id, key.reading) == ("port 1-3", Reading.FAULTY)


def test_a_key_pulled_while_it_is_read_just_disappears(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A key that is pulled in the middle of a reading is never shown as faulty."""
    watch = watched()
    watch.until(lambda keys: keys == ())
    umock_bus.plug("1-3", genuine(vendor, "LK-1", "mute"))
    eventually_sync(lambda: umock_bus.waiting("1-3"))
    umock_bus.unplug("1-3")
    watch.until(lambda keys: keys == ())
    assert {key.reading for keys in watch.sets() for key in keys} <= {Reading.PENDING}


def test_a_key_swapped_while_it_is_read_is_not_taken_for_the_other(
    umock_bus: UmockBus, vendor: Vendor, watched: Watch
) -> None:
    """When another key takes the port in the middle of a reading, only the other key's reading counts."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1", "mute"))
    watch = watched()
    eventually_sync(lambda: umock_bus.waiting("1-3"))
    umock_bus.unplug("1-3")
    umock_bus.plug("1-3", genuine(vendor, "LK-2"))
    (key,) = watch.until(lambda keys: [key.reading for key in keys] == [Reading.OK])
    assert key.key_id == "LK-2"
    assert {key.reading for keys in watch.sets() for key in keys} <= {Reading.PENDING, Reading.OK}


def test_two_keys_of_one_identity_are_duplicates(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Two keys that claim one identity are both refused, until one of them is pulled out."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1"))
    umock_bus.plug("1-4", genuine(vendor, "LK-1"))
    watch = watched()
    watch.until(lambda keys: [key.reading for key in keys] == [Reading.DUPLICATE] * 2)
    umock_bus.unplug("1-4")
    watch.until(lambda keys: [key.reading for key in keys] == [Reading.OK])


def test_eight_keys_at_once_are_all_read(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """A hub full of keys is read within the deadline of a single one."""
    plug_eight(umock_bus, vendor)
    keys = watched().until(read(8))
    assert [(key.key_id, key.reading) for key in keys] == [(f"LK-{n}", Reading.OK) for n in range(8)]


def test_a_hub_that_resets_with_all_its_keys_is_one_change(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Eight keys that leave and come back in one burst prove themselves again, and that is told once."""
    plug_eight(umock_bus, vendor)
    watch = watched()
    before = watch.until(all_ok)
    seen = len(watch.sets())
    umock_bus.reset(*(f"1-{number + 1}" for number in range(8)))
    watch.until(lambda keys: all_ok(keys) and all(key.challenge not in challenges(before) for key in keys))
    assert len(watch.sets()) - seen == 1


def challenges(keys: KeySet) -> list[Challenge | None]:
    """Return what the keys signed."""
    return [key.challenge for key in keys]


def test_a_reread_takes_a_new_proof(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Asked to reread, the bus challenges each key again and never shows it as gone meanwhile."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1"))
    watch = watched()
    (before,) = watch.until(read())
    seen = len(watch.sets())
    watch.reread()
    (after,) = watch.until(lambda keys: keys[0].challenge != before.challenge)
    assert after.proof != before.proof
    assert {key.reading for keys in watch.sets()[seen:] for key in keys} == {Reading.OK}


def test_proving_again_leaves_keys_that_cannot_prove_themselves_alone(
    umock_bus: UmockBus, vendor: Vendor, watched: Watch
) -> None:
    """Only the key that has a device key is asked again; the other is not even opened."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1"))
    umock_bus.plug("1-4", Key("LK-2", vendor.licence_file("LK-2", proving=False)))
    watch = watched()
    before = watch.until(lambda keys: [key.reading for key in keys] == [Reading.OK] * 2)
    touched = umock_bus.touched("1-4")
    watch.prove_again()
    after = watch.until(lambda keys: keys != before)
    assert (after[1], umock_bus.touched("1-4")) == (before[1], touched)
    assert after[0].challenge != before[0].challenge


def test_the_watching_process_ends_at_once(umock_bus: UmockBus, vendor: Vendor, watched: Watch) -> None:
    """Closing the bus in the middle of a reading takes no time and leaves no worker."""
    umock_bus.plug("1-3", genuine(vendor, "LK-1", "mute"))
    watch = watched()
    eventually_sync(lambda: umock_bus.waiting("1-3"))
    assert watch.process.stdin is not None
    watch.process.stdin.close()
    assert watch.process.wait(timeout=2) == 0

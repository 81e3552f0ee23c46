"""What every bus does, the simulated one as the real one."""

from __future__ import annotations

from licensing.seen import Reading
from tests.unit.usbwatch.rigs import Rig, Viewer
from tests.usbmodel.vendor import Vendor
from usbwatch.bus import KeySet
from usbwatch.simulated import SimulatedKey


def genuine(vendor: Vendor, key_id: str) -> SimulatedKey:
    """Return a key as the vendor ships it."""
    return SimulatedKey(key_id, vendor.licence_file(key_id), device_private_key=vendor.device_key)


def all_ok(keys: KeySet) -> bool:
    """Tell whether there are keys and all have been read."""
    return bool(keys) and all(key.reading is Reading.OK for key in keys)


async def test_an_empty_bus_says_so_at_once(rig: Rig) -> None:
    """The first set comes without any event."""
    viewer = Viewer(rig.bus)
    assert await viewer.until(lambda _: True) == ()


async def test_a_genuine_key_comes_with_its_evidence(rig: Rig, vendor: Vendor) -> None:
    """A key that proved itself is OK, and others can judge it again from what is told."""
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    rig.plug("p1", genuine(vendor, "K1"))
    (key,) = await viewer.until(all_ok)
    assert (key.key_id, key.assurance, key.read_by) == ("K1", "proven", None)
    assert key.licence_file is not None
    assert vendor.judge(key.key_id, key.licence_file, key.challenge, key.proof).reading is Reading.OK


async def test_keys_that_are_in_already_are_found(rig: Rig, vendor: Vendor) -> None:
    """A bus that starts sees what was plugged in before."""
    rig.plug("p1", genuine(vendor, "K1"))
    viewer = Viewer(rig.bus)
    assert (await viewer.until(all_ok))[0].key_id == "K1"


async def test_an_unplugged_key_disappears(rig: Rig, vendor: Vendor) -> None:
    """A key that is pulled out is not in the next set."""
    rig.plug("p1", genuine(vendor, "K1"))
    rig.plug("p2", genuine(vendor, "K2"))
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: len(keys) == 2 and all_ok(keys))
    rig.unplug("p1")
    assert [key.key_id for key in await viewer.until(lambda keys: len(keys) == 1)] == ["K2"]


async def test_a_broken_key_counts_as_inserted(rig: Rig, vendor: Vendor) -> None:
    """A key that does not answer is there, faulty, with a reason."""
    rig.plug("p1", SimulatedKey("K1", vendor.licence_file("K1"), broken=True))
    viewer = Viewer(rig.bus)
    (key,) = await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.FAULTY])
    assert "answer" in key.reason


async def test_a_copied_licence_without_the_device_key_is_not_genuine(rig: Rig, vendor: Vendor) -> None:
    """A key that has the licence and not the device key is a copy."""
    rig.plug("p1", SimulatedKey("K1", vendor.licence_file("K1"), device_private_key=bytes(32)))
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.NOT_GENUINE])


async def test_a_proof_that_nobody_asked_for_proves_nothing(rig: Rig, vendor: Vendor) -> None:
    """A key whose licence names no device key is copyable, whatever it signs."""
    rig.plug("p1", SimulatedKey("K1", vendor.licence_file("K1", proving=False), device_private_key=bytes(32)))
    viewer = Viewer(rig.bus)
    assert (await viewer.until(all_ok))[0].assurance == "copyable"


async def test_two_keys_of_one_identity_are_both_duplicates(rig: Rig, vendor: Vendor) -> None:
    """Which of two keys with the same id is meant cannot be known; one alone is fine again."""
    rig.plug("p1", genuine(vendor, "K1"))
    rig.plug("p2", genuine(vendor, "K1"))
    viewer = Viewer(rig.bus)
    keys = await viewer.until(lambda keys: [key.reading for key in keys] == [Reading.DUPLICATE] * 2)
    assert "K1" in keys[0].reason
    rig.unplug("p2")
    await viewer.until(all_ok)


async def test_the_keys_come_in_order_of_id(rig: Rig, vendor: Vendor) -> None:
    """The order of a set does not depend on the order of plugging."""
    rig.plug("p1", genuine(vendor, "K2"))
    rig.plug("p2", genuine(vendor, "K1"))
    viewer = Viewer(rig.bus)
    keys = await viewer.until(lambda keys: len(keys) == 2 and all_ok(keys))
    assert [key.key_id for key in keys] == ["K1", "K2"]


async def test_a_key_that_stays_is_not_read_again(rig: Rig, vendor: Vendor) -> None:
    """Plugging in one key does not make the other prove itself again."""
    rig.plug("p1", genuine(vendor, "K1"))
    viewer = Viewer(rig.bus)
    (before,) = await viewer.until(all_ok)
    rig.plug("p2", genuine(vendor, "K2"))
    assert (await viewer.until(lambda keys: len(keys) == 2 and all_ok(keys)))[0] == before


async def test_a_reread_challenges_every_key_anew(rig: Rig, vendor: Vendor) -> None:
    """After a reread each key has signed another challenge, and was never shown as gone or pending."""
    rig.plug("p1", genuine(vendor, "K1"))
    viewer = Viewer(rig.bus)
    (before,) = await viewer.until(all_ok)
    await rig.bus.reread()
    (after,) = await viewer.until(lambda keys: keys != (before,))
    assert (after.reading, after.challenge != before.challenge) == (Reading.OK, True)


async def test_proving_again_challenges_the_keys_that_proved_themselves(rig: Rig, vendor: Vendor) -> None:
    """A key that gave a proof has signed another challenge afterwards, and was never shown as gone or pending."""
    rig.plug("p1", genuine(vendor, "K1"))
    viewer = Viewer(rig.bus)
    (before,) = await viewer.until(all_ok)
    seen = len(viewer.sets)
    await rig.bus.prove_again()
    (after,) = await viewer.until(lambda keys: keys != (before,))
    assert after.challenge != before.challenge
    assert all(all_ok(keys) for keys in viewer.sets[seen:])


async def test_proving_again_leaves_a_key_without_a_proof_alone(rig: Rig, vendor: Vendor) -> None:
    """A key that cannot prove itself is not read again when the other is."""
    plain = SimulatedKey("K1", vendor.licence_file("K1", proving=False))
    rig.plug("p1", plain)
    rig.plug("p2", genuine(vendor, "K2"))
    viewer = Viewer(rig.bus)
    before = await viewer.until(lambda keys: len(keys) == 2 and all_ok(keys))
    await rig.bus.prove_again()
    after = await viewer.until(lambda keys: keys != before)
    assert (after[0], after[1].challenge != before[1].challenge) == (before[0], True)
    assert rig.challenges.made == 3


async def test_a_reread_finds_what_nobody_announced(rig: Rig, vendor: Vendor) -> None:
    """A reread works although nobody watches."""
    rig.plug("p1", genuine(vendor, "K1"))
    await rig.bus.reread()
    viewer = Viewer(rig.bus)
    await viewer.until(all_ok)
    assert len(viewer.sets) == 1


async def test_closing_the_bus_ends_the_sets(rig: Rig) -> None:
    """Whoever watches a bus that is closed comes to an end without an error."""
    viewer = Viewer(rig.bus)
    await viewer.until(lambda _: True)
    await rig.bus.close()
    await viewer.task

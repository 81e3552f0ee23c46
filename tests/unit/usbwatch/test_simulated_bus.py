"""What is particular to the bus that is a directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.seen import Reading
from tests.unit.usbwatch.rigs import SimulatedRig, Viewer
from tests.usbmodel.vendor import Vendor
from usbwatch.simulated import SimulatedKey, plug, plugged, unplug
from usbwatch.simulated_key import SUFFIX, id_from_name, key_path, parse_key_file


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_a_key_id_never_leaves_the_directory(key_id: str) -> None:
    """Whatever a key is called, its file is one visible file in the directory, with a name the system accepts."""
    path = key_path(Path("/bus"), key_id)
    assert path.parent == Path("/bus")
    assert len(path.name.encode()) <= 255
    assert path.name.endswith(SUFFIX)


@given(st.lists(st.text("ab/.%~", min_size=1, max_size=4), min_size=2, max_size=2, unique=True))
def test_two_keys_never_share_a_file(ids: list[str]) -> None:
    """Different ids have different files, and a short id can be told from its file's name."""
    first, second = (key_path(Path("/bus"), key_id) for key_id in ids)
    assert first != second
    assert id_from_name(first.name) == ids[0]


def test_long_ids_have_files_of_their_own() -> None:
    """Ids that differ only at their ends do not share a file."""
    assert key_path(Path(), "é" * 255 + "a") != key_path(Path(), "é" * 255 + "b")


def test_what_is_plugged_can_be_listed_and_unplugged(tmp_path: Path) -> None:
    """The demo's verbs see what they did."""
    key = SimulatedKey("../K1", b"licence")
    plug(tmp_path, key)
    assert plugged(tmp_path) == (key,)
    unplug(tmp_path, "../K1")
    assert plugged(tmp_path) == ()
    with pytest.raises(FileNotFoundError):
        unplug(tmp_path, "../K1")


def test_plugging_leaves_no_temporary_file(tmp_path: Path) -> None:
    """A key's file appears by one rename."""
    plug(tmp_path, SimulatedKey("K1"))
    plug(tmp_path, SimulatedKey("K1", broken=True))
    assert [path.name for path in tmp_path.iterdir()] == [f"K1{SUFFIX}"]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"keyId":"K1","licenceFile":"","more":1}', b'{"keyId":""}', b"\xff", b"[" * 9999]
)
def test_a_damaged_file_is_said_to_be_one(data: bytes) -> None:
    """Anything but a key's file gives a reason and no exception."""
    assert "cannot be read" in str(parse_key_file(data))


async def test_a_damaged_file_is_a_faulty_key(simulated: SimulatedRig) -> None:
    """A file that is not a key's still counts as something inserted, under its file's name."""
    viewer = Viewer(simulated.bus)
    await viewer.until(lambda keys: keys == ())
    (simulated.directory / f"K%2F1{SUFFIX}").write_bytes(b"{")
    (key,) = await viewer.until(lambda keys: len(keys) == 1)
    assert (key.key_id, key.reading) == ("K/1", Reading.FAULTY)


async def test_other_files_are_ignored(simulated: SimulatedRig, vendor: Vendor) -> None:
    """A file that is being written, or has nothing to do with keys, is not a key."""
    viewer = Viewer(simulated.bus)
    await viewer.until(lambda keys: keys == ())
    (simulated.directory / ".x.tmp").write_bytes(b"{")
    (simulated.directory / "README").write_bytes(b"{")
    plug(simulated.directory, SimulatedKey("K1", vendor.licence_file("K1", proving=False)))
    assert len(await viewer.until(lambda keys: keys != ())) == 1


async def test_a_directory_that_is_removed_is_an_empty_bus_and_is_made_again(
    simulated: SimulatedRig, vendor: Vendor
) -> None:
    """Removing the whole directory unplugs all keys; plugging in goes on working."""
    key = SimulatedKey("K1", vendor.licence_file("K1", proving=False))
    plug(simulated.directory, key)
    viewer = Viewer(simulated.bus)
    await viewer.until(lambda keys: len(keys) == 1)
    shutil.rmtree(simulated.directory)
    await viewer.until(lambda keys: keys == ())
    plug(simulated.directory, key)
    await viewer.until(lambda keys: len(keys) == 1)


async def test_breaking_and_repairing_a_key_is_seen(simulated: SimulatedRig, vendor: Vendor) -> None:
    """A key whose file changes is read again."""
    key = SimulatedKey("K1", vendor.licence_file("K1", proving=False))
    plug(simulated.directory, key)
    viewer = Viewer(simulated.bus)
    await viewer.until(lambda keys: [k.reading for k in keys] == [Reading.OK])
    plug(simulated.directory, SimulatedKey("K1", key.licence_file, broken=True))
    await viewer.until(lambda keys: [k.reading for k in keys] == [Reading.FAULTY])
    plug(simulated.directory, key)
    await viewer.until(lambda keys: [k.reading for k in keys] == [Reading.OK])


async def test_eight_keys_at_once_are_few_sets(simulated: SimulatedRig) -> None:
    """A burst of changes does not become a set for each of them."""
    viewer = Viewer(simulated.bus)
    await viewer.until(lambda keys: keys == ())
    for number in range(8):
        plug(simulated.directory, SimulatedKey(f"K{number}"))
    await viewer.until(lambda keys: len(keys) == 8)
    assert len(viewer.sets) <= 3


async def test_the_first_change_waits_for_no_burst(tmp_path: Path, vendor: Vendor) -> None:
    """A key that comes after a rest is told at once, and files that are no keys begin no burst."""
    rig = SimulatedRig(tmp_path, vendor, burst=60)
    viewer = Viewer(rig.bus)
    await viewer.until(lambda keys: keys == ())
    (rig.directory / "README").write_bytes(b"{")
    plug(rig.directory, SimulatedKey("K1"))
    await viewer.until(lambda keys: len(keys) == 1)
    await rig.bus.close()
    await viewer.task


async def test_a_directory_that_goes_in_a_burst_is_made_again(simulated: SimulatedRig) -> None:
    """What comes together with the change of a key is not missed, whatever it is."""
    viewer = Viewer(simulated.bus)
    await viewer.until(lambda keys: keys == ())
    for number in range(5):
        plug(simulated.directory, SimulatedKey(f"K{number}"))
        await viewer.until(lambda keys: len(keys) == 1)
        shutil.rmtree(simulated.directory)
        await viewer.until(lambda keys: keys == ())


async def test_a_directory_that_cannot_be_is_told_to_who_watches(tmp_path: Path, vendor: Vendor) -> None:
    """A bus whose directory cannot be made fails the watcher instead of showing no keys."""
    (tmp_path / "bus").write_bytes(b"a file")
    broken = SimulatedRig(tmp_path, vendor)
    viewer = Viewer(broken.bus)
    with pytest.raises(FileExistsError):
        await viewer.task

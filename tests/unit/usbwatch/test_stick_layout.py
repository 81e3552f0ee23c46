"""Where the licence lies on a stick: what is found, and that nothing made up by an attacker does harm."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.usbmodel.gpt import licence_disk, with_table
from usbwatch.stick_layout import PARTITION_TYPE, BadLayout, Extent, Geometry, find_partition, read_licence, writes

LIMIT = 64 * 1024
SMALL = 256 * 1024
LICENCE = b"a licence file " * 100
FIRST = 100
PARTITION = Extent(FIRST, FIRST + 20)
"""Where the licence lies on the small disks."""
OTHER = uuid.UUID(int=7)


class Disk:
    """A disk of these bytes; counts what is read of it."""

    def __init__(self, data: bytes, block_size: int = 512) -> None:
        self.data = data
        self.geometry = Geometry(len(data) // block_size, block_size)
        self.blocks_read = 0

    def read(self, first: int, count: int) -> bytes:
        """Read blocks, all of which must be on the disk."""
        assert first >= 0
        assert count > 0
        assert first + count <= self.geometry.blocks
        self.blocks_read += count
        size = self.geometry.block_size
        return self.data[first * size : (first + count) * size]

    def licence(self, limit: int = LIMIT) -> bytes:
        """Read the licence."""
        return read_licence(self.read, self.geometry, limit)


def table(*partitions: tuple[uuid.UUID, int, int], **header: int) -> Disk:
    """Return a small disk with this partition table."""
    return Disk(with_table(bytes(SMALL), 512, list(partitions), **header))


def small(label_and_content: bytes) -> Disk:
    """Return a small disk whose partition begins with these bytes."""
    empty = bytearray(with_table(bytes(SMALL), 512, [(PARTITION_TYPE, PARTITION.first, PARTITION.last)]))
    empty[FIRST * 512 : FIRST * 512 + len(label_and_content)] = label_and_content
    return Disk(bytes(empty))


def written(licence: bytes = LICENCE) -> bytes:
    """Return what a partition with this licence begins with."""
    _, (_, content), (_, label) = writes(licence, PARTITION, 512)
    return label + content


@pytest.mark.parametrize("block_size", [512, 4096])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 4096, 4097, LIMIT])
def test_a_licence_of_any_size_is_found(block_size: int, size: int) -> None:
    """What was rendered for a partition is read from it, whatever the size of the blocks."""
    licence = bytes(number % 251 for number in range(size))
    assert Disk(licence_disk(licence, block_size), block_size).licence() == licence


def test_a_crash_in_the_middle_of_writing_leaves_no_mixture() -> None:
    """While a licence replaces another, a node finds the old one, none, or the new one, also after half a write."""
    disk = bytearray(small(written(LICENCE)).data)
    found = []
    for block, data in writes(LICENCE[::-1], PARTITION, 512):
        for size in (len(data) // 1024 * 512, len(data)):
            disk[block * 512 : block * 512 + size] = data[:size]
            found.append(found_on(bytes(disk)))
    assert found == [LICENCE, b"", b"", b"", b"", LICENCE[::-1]]


def found_on(disk: bytes) -> bytes:
    """Return the licence on this disk, or nothing."""
    try:
        return Disk(disk).licence()
    except BadLayout:
        return b""


def test_other_partitions_do_not_matter() -> None:
    """Our partition is known by its type, wherever it is."""
    disk = table((OTHER, 40, 50), (PARTITION_TYPE, FIRST, FIRST + 9), (OTHER, 60, 70))
    assert find_partition(disk.read, disk.geometry) == Extent(FIRST, FIRST + 9)


def test_a_stick_without_a_table_is_blank() -> None:
    """An empty stick is not called damaged."""
    with pytest.raises(BadLayout, match="blank"):
        Disk(bytes(SMALL)).licence()


def test_a_stick_without_our_partition_is_blank() -> None:
    """Somebody's ordinary stick is not called damaged either."""
    with pytest.raises(BadLayout, match="blank"):
        table((OTHER, 40, 50)).licence()


def test_a_partition_without_a_label_is_blank() -> None:
    """A partition whose label was never written, as after a crash, holds no licence."""
    with pytest.raises(BadLayout, match="blank"):
        small(b"").licence()


def test_two_partitions_of_ours_are_refused() -> None:
    """Which of two licences counts is never guessed."""
    with pytest.raises(BadLayout, match="2 partitions"):
        table((PARTITION_TYPE, 40, 50), (PARTITION_TYPE, 60, 70)).licence()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"revision": 0x20000}, "unknown form"),
        ({"size": 91}, "unknown form"),
        ({"size": 513}, "unknown form"),
        ({"own": 2}, "checksum of its partition table"),
        ({"entry_size": 0}, "entries of 0 bytes"),
        ({"entry_size": 100}, "entries of 100 bytes"),
        ({"count": 0}, "claims 0 entries"),
        ({"count": 1025}, "claims 1025 entries"),
        ({"count": 0xFFFFFFFF}, "claims 4294967295 entries"),
        ({"told_at": 1}, "lies outside"),
        ({"told_at": 500}, "lies outside"),
        ({"told_at": 2**63}, "lies outside"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(header: dict[str, int], reason: str) -> None:
    """A header with a good checksum is still not believed what cannot be."""
    with pytest.raises(BadLayout, match=reason):
        table((PARTITION_TYPE, FIRST, FIRST), **header).licence()


@pytest.mark.parametrize(("first", "last"), [(33, 40), (0, 40), (50, 49), (500, 512), (2**63, 2**63)])
def test_a_partition_that_cannot_be_is_refused(first: int, last: int) -> None:
    """A partition over the table, beyond the end or turned round is not read."""
    with pytest.raises(BadLayout, match="partition of its licence lies outside"):
        table((PARTITION_TYPE, first, last)).licence()


@pytest.mark.parametrize("at", [512 + 16, 512 + 40, 2 * 512 + 3])
def test_a_flipped_bit_in_the_table_is_noticed(at: int) -> None:
    """The checksums of the header and of the entries are looked at."""
    disk = bytearray(small(written()).data)
    disk[at] ^= 1
    with pytest.raises(BadLayout, match="checksum"):
        Disk(bytes(disk)).licence()


def test_a_flipped_bit_in_the_licence_is_noticed() -> None:
    """The label's digest is looked at."""
    data = bytearray(written())
    data[512 + 7] ^= 1
    with pytest.raises(BadLayout, match="not the one that was written"):
        small(bytes(data)).licence()


def test_a_licence_beyond_the_limit_is_not_read() -> None:
    """A label that claims too much is refused before any of it is read."""
    disk = small(written())
    with pytest.raises(BadLayout, match="more than a licence"):
        disk.licence(len(LICENCE) - 1)
    assert disk.blocks_read == 1 + 32 + 1


def test_a_licence_that_does_not_fit_into_its_partition_is_refused() -> None:
    """Nothing outside of the partition is read as a licence; what just fits is."""
    assert len(small(written(bytes(20 * 512))).licence()) == 20 * 512
    with pytest.raises(BadLayout, match="would not fit"):
        small(written(bytes(20 * 512 + 1))).licence()


def test_a_newer_layout_asks_for_an_upgrade() -> None:
    """A label of a later version is not called damaged."""
    data = bytearray(written())
    data[8] = 2
    with pytest.raises(BadLayout, match="upgrade this node"):
        small(bytes(data)).licence()


@pytest.mark.parametrize("block_size", [0, 1, 520, 65536])
def test_a_strange_size_of_blocks_is_refused(block_size: int) -> None:
    """Only the sizes that sticks have are tried."""
    with pytest.raises(BadLayout, match=f"blocks of {block_size} bytes"):
        read_licence(Disk(bytes(SMALL)).read, Geometry(100, block_size), LIMIT)


def test_a_disk_of_one_block_is_blank() -> None:
    """There is no block beyond the end to look for."""
    with pytest.raises(BadLayout, match="blank"):
        read_licence(Disk(bytes(512)).read, Geometry(1, 512), LIMIT)


@given(st.lists(st.tuples(st.integers(0, 140 * 512), st.integers(0, 255)), max_size=8))
def test_no_damage_crashes_the_reader(damage: list[tuple[int, int]]) -> None:
    """A damaged stick gives the licence that was written, or a refusal; and nothing outside of it is read."""
    data = bytearray(small(written()).data)
    for at, value in damage:
        data[at] = value
    try:
        assert Disk(bytes(data)).licence() == LICENCE
    except BadLayout:
        return


@given(st.binary(min_size=40, max_size=92), st.binary(max_size=256), st.binary(max_size=64))
def test_no_table_crashes_the_reader(header: bytes, entries: bytes, label: bytes) -> None:
    """Random bytes in all the places that are parsed, with good checksums, are refused at worst."""
    fields = ("revision", "size", "own", "entry_size", "count")
    numbers = {name: int.from_bytes(header[at : at + 4], "little") for at, name in enumerate(fields)}
    partitions = [
        (PARTITION_TYPE if entry and entry[0] % 2 else OTHER, int.from_bytes(entry[:8]), int.from_bytes(entry[8:16]))
        for entry in (entries[at : at + 16] for at in range(0, len(entries), 16))
    ]
    data = bytearray(with_table(bytes(SMALL), 512, partitions, **numbers))
    data[FIRST * 512 : FIRST * 512 + len(label)] = label
    try:
        Disk(bytes(data)).licence()
    except BadLayout:
        return

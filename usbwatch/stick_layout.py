"""Where the licence lies on an ordinary USB stick, for those who read one and those who write one.

The stick has a partition table of the GPT kind with one partition of our own type. The partition's first
block is a label, the licence file begins in the next block. All numbers are little-endian:

    8 bytes    the letters TWINKEY and a zero
    4 bytes    version of the label, 1
    4 bytes    length of the licence file in bytes
    32 bytes   SHA-256 of the licence file

There is no file system: nothing on a node is to mount a licence key, or to parse what a stranger made of one.
No I/O here: blocks are read by a function that is passed in. All that it reads may be made up by an attacker.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

PARTITION_TYPE = UUID("6a1c2f0e-94b7-4d25-8e5b-7469636b6579")

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_HEADER_BLOCK = 1
_SIGNATURE, _REVISION = b"EFI PART", 0x0001_0000
_CHECKSUM_AT = 16
_ENTRY = struct.Struct("<16s16sQQ")
_ENTRY_SIZES = frozenset({128, 256, 512, 1024})
_TABLE_LIMIT = 128 * 1024  # bytes
_BLOCK_SIZES = frozenset({512, 4096})

_LABEL = struct.Struct("<8sII32s")
_MAGIC, _VERSION = b"TWINKEY\0", 1

ReadBlocks = Callable[[int, int], bytes]
"""Called with the first block and the count of blocks; returns exactly so many, or raises."""


class BadLayout(Exception):  # noqa: N818 - it says what the stick has
    """There is no licence to be had from this stick; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Geometry:
    """How large a disk is: the number of its blocks, and the bytes in each."""

    blocks: int
    block_size: int

    def count(self, size: int) -> int:
        """Return how many blocks hold so many bytes."""
        return -(-size // self.block_size)


@dataclass(frozen=True)
class Extent:
    """The blocks of a partition, from the first up to and including the last."""

    first: int
    last: int


@dataclass(frozen=True)
class _Table:
    """Where the entries of a partition table lie, and how they are checked."""

    first: int
    count: int
    entry_size: int
    checksum: int

    @property
    def size(self) -> int:
        return self.count * self.entry_size


def read_licence(read: ReadBlocks, disk: Geometry, limit: int) -> bytes:
    """Return the licence file on a stick of this geometry, which may have up to `limit` bytes.

    Raises:
        BadLayout: there is none, or it is damaged.
    """
    partition = find_partition(read, disk)
    length, digest = _parse_label(read(partition.first, 1))
    if length > limit:
        raise BadLayout(f"The USB key holds {length} bytes, more than a licence can have ({limit}).")
    count = disk.count(length)
    if count > partition.last - partition.first:
        raise _damaged("its licence would not fit into its partition")
    licence = read(partition.first + 1, count)[:length] if count else b""
    if hashlib.sha256(licence).digest() != digest:
        raise _damaged("its licence is not the one that was written to it")
    return licence


def find_partition(read: ReadBlocks, disk: Geometry) -> Extent:
    """Return where our partition lies, by the table at the beginning of the disk.

    Raises:
        BadLayout: there is no such partition, more than one, or no table that can be trusted.
    """
    if disk.block_size not in _BLOCK_SIZES:
        raise BadLayout(f"The USB key has blocks of {disk.block_size} bytes: ask the vendor for another model.")
    if disk.blocks <= _HEADER_BLOCK:
        raise _no_licence()
    table = _parse_header(read(_HEADER_BLOCK, 1), disk)
    entries = read(table.first, disk.count(table.size))[: table.size]
    if zlib.crc32(entries) != table.checksum:
        raise _damaged("the checksum of its partitions is wrong")
    starts = range(0, table.size, table.entry_size)
    ours = [start for start in starts if entries.startswith(PARTITION_TYPE.bytes_le, start)]
    match ours:
        case [start]:
            return _extent(entries[start : start + table.entry_size], table, disk)
        case []:
            raise _no_licence()
        case _:
            raise _damaged(f"it has {len(ours)} partitions for a licence")


def writes(licence: bytes, partition: Extent, block_size: int) -> tuple[tuple[int, bytes], ...]:
    """Return what is to be written so that the partition holds this licence file, each as first block and whole blocks.

    Each must be on the medium before the next is written. Then a crash leaves the former licence, none, or this one,
    but never a mixture: the label is taken away first and written last.
    """
    label = _LABEL.pack(_MAGIC, _VERSION, len(licence), hashlib.sha256(licence).digest())
    content = licence + bytes(-len(licence) % block_size)
    return (
        (partition.first, bytes(block_size)),
        (partition.first + 1, content),
        (partition.first, label.ljust(block_size, b"\0")),
    )


def _parse_header(block: bytes, disk: Geometry) -> _Table:
    signature, revision, size, checksum, _, own, _, _, _, _, first, count, entry_size, entries_checksum = (
        _HEADER.unpack_from(block)
    )
    if signature != _SIGNATURE:
        raise _no_licence()
    if revision != _REVISION or not _HEADER.size <= size <= len(block):
        raise _damaged("its partition table is of an unknown form")
    unsealed = block[:_CHECKSUM_AT] + bytes(4) + block[_CHECKSUM_AT + 4 : size]
    if zlib.crc32(unsealed) != checksum or own != _HEADER_BLOCK:
        raise _damaged("the checksum of its partition table is wrong")
    table = _Table(first, count, entry_size, entries_checksum)
    if entry_size not in _ENTRY_SIZES or not 0 < table.size <= _TABLE_LIMIT:
        raise _damaged(f"its partition table claims {count} entries of {entry_size} bytes")
    if first <= _HEADER_BLOCK or first + disk.count(table.size) > disk.blocks:
        raise _damaged("its partition table lies outside of it")
    return table


def _extent(entry: bytes, table: _Table, disk: Geometry) -> Extent:
    _, _, first, last = _ENTRY.unpack_from(entry)
    if not table.first + disk.count(table.size) <= first <= last < disk.blocks:
        raise _damaged("the partition of its licence lies outside of it")
    return Extent(first, last)


def _parse_label(block: bytes) -> tuple[int, bytes]:
    magic, version, length, digest = _LABEL.unpack_from(block)
    if magic != _MAGIC:
        raise _no_licence()
    if version != _VERSION:
        raise BadLayout(f"The USB key has a licence of layout {version}: upgrade this node.")
    return length, digest


def _no_licence() -> BadLayout:
    return BadLayout("The USB key is blank: there is no licence on it. Ask the vendor to load one.")


def _damaged(what: str) -> BadLayout:
    return BadLayout(f"The USB key is damaged ({what}): ask the vendor to write it again, or to replace it.")

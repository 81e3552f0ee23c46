"""Disks with a partition table, as bytes: written from the UEFI specification, not from the product's code."""

from __future__ import annotations

import struct
import zlib
from uuid import UUID

from usbwatch.stick_layout import PARTITION_TYPE, Extent, writes

Partition = tuple[UUID, int, int]
"""Type, first block, last block."""

_ENTRIES_AT, _COUNT, _ENTRY_SIZE = 2, 128, 128
_TRUE = {"revision": 0x10000, "size": 92, "own": 1, "told_at": _ENTRIES_AT, "count": _COUNT, "entry_size": _ENTRY_SIZE}


def with_table(disk: bytes, block_size: int, partitions: list[Partition], **header: int) -> bytes:
    """Return the disk with a table of these partitions at its beginning.

    `header` replaces what the table's header tells (`revision`, `size`, `own`, `told_at`, `count`, `entry_size`); its
    checksum is right all the same.
    """
    entries = b"".join(_entry(*partition) for partition in partitions).ljust(_COUNT * _ENTRY_SIZE, b"\0")
    blocks = len(disk) // block_size
    fields = _TRUE | header
    unsealed = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        *(
            b"EFI PART",
            fields["revision"],
            fields["size"],
            0,
            0,
            fields["own"],
            blocks - 1,
            34,
            max(blocks - 34, 0),
            bytes(16),
        ),
        *(fields["told_at"], fields["count"], fields["entry_size"], zlib.crc32(entries)),
    )
    covered = unsealed.ljust(block_size, b"\0")[: fields["size"]]
    sealed = unsealed[:16] + struct.pack("<I", zlib.crc32(covered)) + unsealed[20:]
    made = bytearray(disk)
    made[block_size : block_size + len(sealed)] = sealed
    start = _ENTRIES_AT * block_size
    made[start : start + len(entries)] = entries
    return bytes(made[: len(disk)])


def resealed(disk: bytes, block_size: int) -> bytes:
    """Return the disk with the checksums that its table should have, as far as they can be reckoned."""
    made = bytearray(disk)
    header = memoryview(made)[block_size:]
    size, entries_at, count, entry_size = (
        int.from_bytes(header[at:end], "little") for at, end in ((12, 16), (72, 80), (80, 84), (84, 88))
    )
    entries = disk[entries_at * block_size :][: count * entry_size]
    header[88:92] = struct.pack("<I", zlib.crc32(entries))
    header[16:20] = bytes(4)
    header[16:20] = struct.pack("<I", zlib.crc32(header[:size]))
    return bytes(made)


def _entry(kind: UUID, first: int, last: int) -> bytes:
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, bytes(range(16)), first, last, 0, "licence".encode("utf-16-le"))


def licence_disk(licence: bytes, block_size: int = 512, size: int = 4 * 1024 * 1024) -> bytes:
    """Return a stick with this licence file, as the vendor's desk writes it."""
    partition = Extent(1024 * 1024 // block_size, 2 * 1024 * 1024 // block_size - 1)
    disk = bytearray(with_table(bytes(size), block_size, [(PARTITION_TYPE, partition.first, partition.last)]))
    for block, data in writes(licence, partition, block_size):
        disk[block * block_size : block * block_size + len(data)] = data
    return bytes(disk)

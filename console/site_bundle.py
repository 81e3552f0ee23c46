"""A machine's files on their way to it: a tar that `twinkey site join` reads, or tar itself where there is no Twinkey.

It is unpacked at the root of the machine's file system. It holds private keys. Knows nothing of what the files mean.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from console.site_authority import Pair
from console.site_files import (
    AUTHORITY,
    CA,
    KEEPALIVED,
    MACHINE,
    PLATFORM,
    PUBLIC,
    TOKEN,
    WHAT,
    File,
    Group,
    Here,
    MachineFiles,
    PairFiles,
)
from console.site_settings import ETC, UNIT, UNIT_FILE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

LIMIT = 1_000_000
"""Bytes that no bundle has."""
_TOP = ETC.removeprefix("/")
_END = bytes(2 * tarfile.BLOCKSIZE)
"""What every tar ends with; no file of a bundle has so many zeros."""
_OF_A_NODE = {path for path in WHAT if not path.startswith(AUTHORITY)} - {TOKEN, PLATFORM, KEEPALIVED}
_OF_A_WITNESS = {path for path in _OF_A_NODE if path in {MACHINE, CA} or path.startswith("etcd/")}


class BadBundle(ValueError):  # noqa: N818 - it says what the file is
    """A file is no bundle of a site; the text says why and what to do."""


def pack(files: MachineFiles, now: dt.datetime) -> bytes:
    """Return the tar with a machine's files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        folders = dict.fromkeys(f"{_TOP}/{file.path}".rpartition("/")[0] for file in _all(files))
        for folder in sorted(folders):
            tar.addfile(_entry(folder, now, 0o755, kind=tarfile.DIRTYPE))
        for file in _all(files):
            entry = _entry(f"{_TOP}/{file.path}", now, file.mode, file.group, len(file.data))
            tar.addfile(entry, io.BytesIO(file.data))
        unit = UNIT.encode()
        tar.addfile(_entry(UNIT_FILE, now, PUBLIC, size=len(unit)), io.BytesIO(unit))
    return packed.getvalue()


def unpack(data: bytes) -> MachineFiles:
    """Return the files of a machine that a bundle has.

    Raises:
        BadBundle
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data[:LIMIT]), mode="r:") as tar:
            found = {file.path: file for file in _members(tar)}
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BadBundle(f"it is no bundle of a site ({error}): take one of `site init` or `site renew`") from error
    if not data.endswith(_END):
        raise BadBundle("it is not whole, its end is missing: copy it again")
    try:
        here = msgspec.json.decode(found[MACHINE].data, type=Here)
        expected = _OF_A_NODE if here.plan.machine(here.machine).uuid else _OF_A_WITNESS
        for path in sorted(expected):
            found[path]
        pairs = tuple(_pairs(found))
    except (KeyError, msgspec.DecodeError) as error:
        raise BadBundle(f"it is not whole ({error}): make it again with `twinkey site renew` and copy that") from error
    parts = {file.path for pair in pairs for file in pair.files}
    return MachineFiles(here, tuple(file for file in found.values() if file.path not in parts), pairs)


def _all(files: MachineFiles) -> Iterator[File]:
    yield from files.plain
    for pair in files.pairs:
        yield from pair.files


def _entry(
    name: str, now: dt.datetime, mode: int, group: Group = "root", size: int = 0, kind: bytes = tarfile.REGTYPE
) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.type, entry.mtime = size, mode, kind, int(now.timestamp())
    entry.uname, entry.gname = "root", group
    return entry


def _members(tar: tarfile.TarFile) -> Iterator[File]:
    """Return the files that a machine can have; what else there is is none of ours."""
    for entry in tar:
        path = entry.name.removeprefix(f"{_TOP}/")
        if not entry.isreg() or path not in WHAT or path == entry.name or path.startswith(AUTHORITY):
            continue
        content = tar.extractfile(entry)
        assert content
        group = cast("Group", entry.gname) if entry.gname in get_args(Group) else "root"
        yield File(path, content.read(), entry.mode & 0o777, group)


def _pairs(found: dict[str, File]) -> Iterator[PairFiles]:
    for path, key in found.items():
        name = path.removesuffix(".key")
        if name != path:
            yield PairFiles(name, Pair(found[f"{name}.pem"].data, key.data), key.group)

"""A simulated USB key is a file; a simulated USB bus is a directory. Plugging in is an atomic rename.

Used by the demo, by tests and by `twinkey issuer write-key --simulated`. Knows no bus and judges nothing.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

import msgspec
from msgspec import Meta

from licensing import canonical
from licensing.value import Name, Value

SUFFIX = ".ukey"
_LONGEST_STEM = 200
_SIZE_LIMIT = 256 * 1024


class SimulatedKey(Value, frozen=True, omit_defaults=True):
    """What the file of a simulated key holds.

    `broken`: the key is inserted and does not answer. `device_private_key` (32 bytes, Ed25519) lets it prove
    itself, as a vendor key does; without it the key is like a plain stick, which anybody can copy.
    """

    key_id: Name
    licence_file: bytes = b""
    broken: bool = False
    device_private_key: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None


def key_path(directory: Path, key_id: str) -> Path:
    """Return the file that stands for this key: its id escaped, so that it can never leave the directory."""
    stem = quote(key_id, safe="")
    if len(stem) > _LONGEST_STEM:  # quote() never leaves "%~", so a short id cannot take a long one's name
        stem = f"{stem[:100]}%~{hashlib.sha256(key_id.encode()).hexdigest()}"
    return directory / (stem + SUFFIX)


def plug(directory: Path, key: SimulatedKey) -> None:
    """Plug the key in, or replace what is on it when it is in already."""
    write_key_file(key_path(directory, key.key_id), key)


def unplug(directory: Path, key_id: str) -> None:
    """Pull the key out.

    Raises:
        FileNotFoundError: no such key is plugged in.
    """
    key_path(directory, key_id).unlink()


def plugged(directory: Path) -> tuple[SimulatedKey, ...]:
    """Return the readable keys in this directory, in order of file name."""
    keys = (parse_key_file(data) for _, data in sorted(key_files(directory).items()))
    return tuple(key for key in keys if isinstance(key, SimulatedKey))


def write_key_file(path: Path, key: SimulatedKey) -> None:
    """Write the file so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(canonical.encode(key))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def key_files(directory: Path) -> dict[str, bytes]:
    """Return the content of every key file by name; a file that vanishes meanwhile is not there."""
    found: dict[str, bytes] = {}
    try:
        paths = [path for path in directory.iterdir() if path.suffix == SUFFIX]
    except FileNotFoundError:
        return found
    for path in paths:
        try:
            with path.open("rb") as file:
                found[path.name] = file.read(_SIZE_LIMIT)
        except OSError:
            continue
    return found


def parse_key_file(data: bytes) -> SimulatedKey | str:
    """Return the key in these bytes, or the reason why there is none."""
    try:
        return msgspec.json.decode(data, type=SimulatedKey)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"the key's file cannot be read: {error}"


def id_from_name(name: str) -> str:
    """Return the key id that a file name stands for, for a file whose content does not tell."""
    return unquote(name.removesuffix(SUFFIX), errors="replace")[:256] or "unnamed"

"""Licences that wait on this machine's disk until the site can take them.

Knows neither the site nor what a licence is.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

FOLDER = Path("/var/lib/twinkey/spool")
_SUFFIX = ".upload"


def keep(folder: Path, data: bytes) -> Path:
    """Keep an upload in the folder, which is made where it is missing; return its file. The same twice is one file.

    It is on the disk, whole, when this returns.

    Raises:
        OSError
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / (hashlib.sha256(data).hexdigest()[:16] + _SUFFIX)
    half = file.with_suffix(".half")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
        written.write(data)
        written.flush()
        os.fsync(written.fileno())
    half.rename(file)
    _sync(folder)
    return file


def kept(folder: Path) -> list[Path]:
    """Return the files that wait, the oldest first; none where there is no folder.

    Raises:
        OSError
    """
    if not folder.exists():
        return []
    found = [file for file in folder.iterdir() if file.name.endswith(_SUFFIX)]
    return sorted(found, key=lambda file: (file.stat().st_mtime_ns, file.name))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

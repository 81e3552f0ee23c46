"""Writing a small file of a daemon's own whole or not at all, also when the power fails.

Knows nothing of what is in it.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(file: Path, data: bytes, mode: int = 0o600, group: int | None = None) -> None:
    """Put `data` in the place of what the file held, for the daemon alone (0600); its folder is made where missing.

    With `mode` and the number of a group others may read it too, but nobody while it is being written. It is on the
    disk when this returns. One process may write the same file from one thread at a time only.

    Raises:
        OSError: the file is as it was before.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
            written.write(data)
            if group is not None:
                os.fchown(written.fileno(), -1, group)
            os.fchmod(written.fileno(), mode)
            written.flush()
            os.fsync(written.fileno())
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync(file.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

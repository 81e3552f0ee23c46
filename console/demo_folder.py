"""The folder of a demo: claimed for as long as the demo runs, and removed with everything in it at the end.

A lock on a file in it tells a running demo from one that was killed; the kernel drops the lock with the process, so a
stale folder is known for certain and is cleaned by the next start. Knows nothing of what the demo keeps in there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "demo.lock"


class CannotClaim(Exception):  # noqa: N818 - it says what failed
    """The folder cannot be used for a demo; the text says why and what to do."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold an empty folder, readable for its owner alone, and remove it in the end.

    Raises:
        CannotClaim: another demo runs there, the folder holds something else, or it cannot be made.
    """
    try:
        lock = _lock(folder)
        _empty(folder)
    except OSError as error:
        raise CannotClaim(
            f"cannot use {folder} for the demo: {error.strerror}. Start it in a folder that you may write to."
        ) from error
    try:
        yield
    finally:
        _remove(folder)
        os.close(lock)


def _lock(folder: Path) -> int:
    """Return the locked descriptor of a lock file that is still in the folder."""
    while True:
        try:
            _make(folder)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            if folder.parent.is_dir():
                continue  # a demo that was ending took the folder away this instant
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise CannotClaim(
                f"a demo is running in {folder} already: use it, or stop it with Ctrl-C in its own shell."
            ) from None
        if _still_there(folder, lock):
            return lock
        os.close(lock)  # likewise, between our open and our lock


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink():
        raise CannotClaim(f"{folder} is a symbolic link: remove it, or start the demo elsewhere.")
    if os.listdir(folder) and not (folder / LOCK).exists():  # noqa: PTH208 - a list, to see whether it is empty
        raise CannotClaim(f"{folder} holds something else than a demo: move it away, or start the demo elsewhere.")
    folder.chmod(0o700)


def _still_there(folder: Path, lock: int) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), (folder / LOCK).stat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def _remove(folder: Path) -> None:
    """Remove the lock file last: a folder without it would look like somebody else's to the next start."""
    with suppress(OSError):
        _empty(folder)
        (folder / LOCK).unlink()
        folder.rmdir()  # fails when the next demo has claimed it already, which is as it should be

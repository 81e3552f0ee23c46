"""The root-only unix socket: the same API for the console of the node, where the platform and its tokens may be away.

Whoever can open the file may do everything, so only the daemon's own user and root can.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from cluster.lifetime import CannotStart

_ONLY_OWNER = 0o177


@asynccontextmanager
async def listening(runner: web.AppRunner, path: Path | None) -> AsyncIterator[None]:
    """Answer on the socket meanwhile; None for no socket.

    Raises:
        CannotStart: the socket cannot be made, or another process answers on it.
    """
    if path is None:
        yield
        return
    try:
        listener = _bound(path)
    except OSError as error:
        text = f"cannot listen on {path}: {error.strerror}: stop what uses it or change the setting socket"
        raise CannotStart(text) from error
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        _remove(path)


def _bound(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(_ONLY_OWNER)  # there must be no moment in which others can connect
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _remove_abandoned(path: Path) -> None:
    """Remove the socket of a process that was killed; one that answers, or another kind of file, stays."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)

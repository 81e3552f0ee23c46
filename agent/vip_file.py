"""Who holds the virtual IP where there is none: this node holds it while a file exists. For the demo and for tests."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path

from asyncinotify import Inotify, Mask

CHANGES = Mask.CREATE | Mask.DELETE | Mask.MOVED_TO | Mask.MOVED_FROM


async def watch_file(path: Path) -> AsyncIterator[bool]:
    """Yield whether `path` exists: first at once, then after each change. Its folder is made when there is none.

    Raises:
        OSError: the folder cannot be made or watched, or went away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with Inotify() as inotify:
        inotify.add_watch(path.parent, CHANGES)  # before the first look: no change falls between the two
        held = None
        while True:
            if (now := path.exists()) is not held:  # noqa: ASYNC240 - a local folder answers from memory
                held = now
                yield now
            event = await inotify.get()
            if event.mask & Mask.IGNORED:
                raise FileNotFoundError(errno.ENOENT, "the folder went away", str(path.parent))

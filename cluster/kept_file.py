"""A small file in which a daemon keeps one value for its next life, written until the disk has it.

A disk that takes nothing stops no daemon: it is told once, and tried again at the next occasion. Knows nothing of what
is kept.
"""

from __future__ import annotations

import logging
from pathlib import Path

from cluster.whole_file import write_whole

log = logging.getLogger(__name__)


class KeptFile:
    """The file at `path`; `complaint` is what the log says where it cannot be written."""

    def __init__(self, path: Path, complaint: str) -> None:
        self.path = path
        self._complaint = complaint
        self._complained = False
        self._on_disk: bytes | None = None

    def read(self) -> bytes:
        """Return what the file holds.

        Raises:
            OSError: there is none, or it cannot be read.
        """
        self._on_disk = self.path.read_bytes()
        return self._on_disk

    def keep(self, data: bytes) -> bool:
        """Let the file hold `data`, unless it does already; return whether it does. Somebody may have removed it."""
        if data == self._on_disk and self.path.is_file():
            return True
        try:
            write_whole(self.path, data)
        except OSError as error:
            if not self._complained:
                log.error(self._complaint, extra={"file": self.path, "why": error.strerror})  # noqa: TRY400
            self._complained = True
            return False
        self._on_disk, self._complained = data, False
        return True

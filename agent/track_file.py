"""The file by which this node tells keepalived whether it may hold the virtual IP.

It holds `0` for may and `1` for may not. keepalived watches it and, with `weight -254` on it, gives the address up
within milliseconds. Knows neither why nor when.
"""

from __future__ import annotations

from pathlib import Path

MAY, MAY_NOT = b"0\n", b"1\n"


class TrackFile:
    """The file at `path`, whose folder is made when there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, *, gives_up: bool) -> None:
        """Write what keepalived shall do, whole or not at all, unless the file says so.

        What was written before is not relied on: keepalived sets the file to `0` when it starts, and a file that is
        removed counts as `0` too.

        Raises:
            OSError: it cannot be written.
        """
        told = MAY_NOT if gives_up else MAY
        if told == self._says():  # every write wakes keepalived
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.new")
        draft.write_bytes(told)
        draft.replace(self._path)

    def _says(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

"""The file by which this node tells keepalived whether it may hold the virtual IP.

It holds `0` for may and `1` for may not. keepalived watches it and, with `weight -254` on it, gives the address up
within milliseconds. Knows neither why nor when.
"""

from __future__ import annotations

from pathlib import Path

MAY, MAY_NOT = "0\n", "1\n"


class TrackFile:
    """The file at `path`, whose folder is made when there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = ""

    def tell(self, *, gives_up: bool) -> None:
        """Write what keepalived shall do, whole or not at all, unless that is what it was told last.

        Raises:
            OSError: it cannot be written.
        """
        text = MAY_NOT if gives_up else MAY
        if text == self._written:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.new")
        draft.write_text(text, encoding="ascii")
        draft.replace(self._path)
        self._written = text

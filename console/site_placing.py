"""Putting a machine's files where they belong: what is missing is written, what is there stays, and is told.

A private key never is readable for others, not even while it is written. Knows nothing of what the files mean.
"""

from __future__ import annotations

import grp
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cluster.whole_file import write_whole
from console.site_authority import Pair, matches, valid_from
from console.site_files import AUTHORITY, File, MachineFiles, PairFiles

OPEN, CLOSED = 0o755, 0o700
MISSING, OTHER = "missing", "other"


@dataclass
class Outcome:
    """What became of the files, by path: written, replaced, put right or kept; and what somebody should know."""

    written: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    put_right: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    missing_groups: set[str] = field(default_factory=set)

    @property
    def changed(self) -> bool:
        """Whether anything was written or put right."""
        return bool(self.written or self.replaced or self.put_right)


class Folder:
    """The folder of a machine's settings, usually /etc/twinkey.

    Raises:
        OSError: from every method, when a file cannot be read or written.
    """

    def __init__(self, etc: Path) -> None:
        self.etc = etc
        self.outcome = Outcome()

    def read(self, path: str) -> bytes | None:
        """Return what a file holds, None where it is not there."""
        try:
            return (self.etc / path).read_bytes()
        except FileNotFoundError:
            return None

    def pair(self, path: str) -> Pair | None:
        """Return a certificate with its key, None where one of them is not there."""
        certificate, key = self.read(f"{path}.pem"), self.read(f"{path}.key")
        return Pair(certificate, key) if certificate is not None and key is not None else None

    def place(self, files: MachineFiles, *, renewing: bool) -> None:
        """Write what is missing; `renewing` also replaces certificates by newer ones."""
        for file in files.plain:
            self.ensure(file)
        for pair in files.pairs:
            self.ensure_pair(pair, renewing=renewing)

    def ensure(self, file: File) -> None:
        """Write a file that is not there; see that one that is there can be read by whom it is for, and no other."""
        there = (self.etc / file.path).exists()
        if not there:
            self._write(file)
            self.outcome.written.append(file.path)
            return
        self._make_folders(file)
        if self._put_right(file):
            self.outcome.put_right.append(file.path)
        else:
            self.outcome.kept.append(file.path)

    def ensure_pair(self, wanted: PairFiles, *, renewing: bool) -> None:
        """Write a certificate that is not there, that does not fit its key, or, `renewing`, that is older."""
        there = self.pair(wanted.path)
        if there and matches(there) and not (renewing and _is_newer(wanted.pair, there)):
            for file in wanted.files:
                self.ensure(file)
            return
        known = self.outcome.replaced if there else self.outcome.written
        for file in wanted.files:
            self._write(file)
            known.append(file.path)

    def replace(self, file: File) -> None:
        """Put a file in the place of what is there."""
        there = (self.etc / file.path).exists()
        self._write(file)
        (self.outcome.replaced if there else self.outcome.written).append(file.path)

    def _write(self, file: File) -> None:
        self._make_folders(file)
        write_whole(self.etc / file.path, file.data, file.mode, self._group(file))

    def _make_folders(self, file: File) -> None:
        """Make the folders of a file, whatever the umask is; those that are there are put right."""
        folder = (self.etc / file.path).parent
        if _make_folder(self.etc, OPEN):
            self.outcome.put_right.append("./")
        if folder != self.etc and _make_folder(folder, CLOSED if folder.name == AUTHORITY else OPEN):
            self.outcome.put_right.append(f"{folder.name}/")

    def _put_right(self, file: File) -> bool:
        """Give the file to whom it is for; return whether it was another's."""
        path, group = self.etc / file.path, self._group(file)
        status = path.stat()
        wrong_group = group is not None and status.st_gid != group
        wrong_mode = stat.S_IMODE(status.st_mode) != file.mode
        if wrong_group:
            assert group is not None
            shutil.chown(path, group=group)
        if wrong_mode:
            path.chmod(file.mode)
        return wrong_group or wrong_mode

    def _group(self, file: File) -> int | None:
        """Return the number of the group that may read the file; None where files cannot be given to it."""
        if os.geteuid() != 0 or file.group == "root":
            return None
        try:
            return grp.getgrnam(file.group).gr_gid
        except KeyError:
            self.outcome.missing_groups.add(file.group)
            return None


def first_there(etc: Path, paths: Iterable[str]) -> str | None:
    """Return the first of these that is there."""
    return next((path for path in paths if (etc / path).exists()), None)


def _is_newer(pair: Pair, than: Pair) -> bool:
    mine, other = valid_from(pair.certificate), valid_from(than.certificate)
    return mine is not None and (other is None or mine > other)


def _make_folder(folder: Path, mode: int) -> bool:
    """Make a folder with this mode; return whether one was there that was too closed, or too open to be CLOSED."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        return False
    there = stat.S_IMODE(folder.stat().st_mode)
    wanted = mode if mode == CLOSED else there | mode
    if there != wanted:
        folder.chmod(wanted)
    return there != wanted

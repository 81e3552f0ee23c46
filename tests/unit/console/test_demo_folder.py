"""The demo's folder: claimed by one demo at a time, cleaned of what a killed one left, removed in the end."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from console.demo_folder import LOCK, CannotClaim, claimed


def test_the_folder_is_private_and_goes_in_the_end(tmp_path: Path) -> None:
    """While claimed only its owner can enter; afterwards nothing is left, whatever was put in."""
    folder = tmp_path / ".demo"
    with claimed(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "a").mkdir()
        (folder / "a" / "file").touch()
    assert not folder.exists()


def test_it_goes_when_the_demo_fails(tmp_path: Path) -> None:
    """An error is no reason to leave things behind."""
    folder = tmp_path / ".demo"
    with pytest.raises(RuntimeError), claimed(folder):
        raise RuntimeError
    assert not folder.exists()


def test_a_second_demo_is_refused_and_the_first_untouched(tmp_path: Path) -> None:
    """Two demos cannot share a folder; the one that runs keeps its files."""
    folder = tmp_path / ".demo"
    with claimed(folder):
        (folder / "token").write_text("first")
        with pytest.raises(CannotClaim, match="running"), claimed(folder):
            pass
        assert (folder / "token").read_text() == "first"


def test_what_a_killed_demo_left_is_cleaned(tmp_path: Path) -> None:
    """A lock file that nobody holds marks the rest of a killed demo, which goes; links out of it are not followed."""
    folder, outside = tmp_path / ".demo", tmp_path / "outside"
    for made in (folder, outside):
        made.mkdir()
    (outside / "kept").touch()
    (folder / LOCK).touch()
    (folder / "link").symlink_to(outside)
    (folder / "old").mkdir()
    (folder / "old" / "file").touch()
    with claimed(folder):
        assert [entry.name for entry in folder.iterdir()] == [LOCK]
    assert (outside / "kept").exists()


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    """Nothing that is not ours is ever removed."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CannotClaim, match="something else"), claimed(tmp_path):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """A link could lead the cleaning anywhere."""
    (tmp_path / "real").mkdir()
    (tmp_path / ".demo").symlink_to(tmp_path / "real")
    with pytest.raises(CannotClaim, match="symbolic link"), claimed(tmp_path / ".demo"):
        pass


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """Where there is no place for a folder the text says so."""
    with pytest.raises(CannotClaim, match="cannot use"), claimed(tmp_path / "missing" / ".demo"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(CannotClaim, match="cannot use"), claimed(tmp_path / "file"):
        pass

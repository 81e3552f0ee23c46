"""The file for keepalived: whole at every moment, and written only when there is something to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.track_file import TrackFile


def test_it_says_one_for_giving_up_and_zero_for_may(tmp_path: Path) -> None:
    """With `weight -254` a 1 makes keepalived let go of the address; the folder need not be there."""
    path = tmp_path / "run" / "track"
    file = TrackFile(path)
    for gives_up, text in ((True, "1\n"), (False, "0\n")):
        file.tell(gives_up=gives_up)
        assert path.read_text(encoding="ascii") == text
    assert list(path.parent.iterdir()) == [path], "no draft is left behind"


def test_it_is_replaced_and_never_half_written(tmp_path: Path) -> None:
    """Who has the file open goes on seeing what it said; the new words are another file."""
    path = tmp_path / "track"
    file = TrackFile(path)
    file.tell(gives_up=False)
    with path.open(encoding="ascii") as before:
        file.tell(gives_up=True)
        assert before.read() == "0\n"
    assert path.read_text(encoding="ascii") == "1\n"


def test_the_same_again_is_not_written(tmp_path: Path) -> None:
    """Every write wakes keepalived, so there is none for nothing."""
    path = tmp_path / "track"
    file = TrackFile(path)
    file.tell(gives_up=True)
    written = path.stat().st_ino
    file.tell(gives_up=True)
    TrackFile(path).tell(gives_up=True)
    assert path.stat().st_ino == written


@pytest.mark.parametrize("content", [b"0\n", b"", b"\xff", None], ids=["reset", "emptied", "rubbish", "removed"])
def test_what_somebody_else_changed_is_written_again(tmp_path: Path, content: bytes | None) -> None:
    """Above all keepalived, which sets the file back when it starts."""
    path = tmp_path / "track"
    file = TrackFile(path)
    file.tell(gives_up=True)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    file.tell(gives_up=True)
    assert path.read_text(encoding="ascii") == "1\n"


def test_what_could_not_be_written_is_written_next_time(tmp_path: Path) -> None:
    """A failure is raised, and does not count as told."""
    (tmp_path / "run").touch()
    file = TrackFile(tmp_path / "run" / "track")
    with pytest.raises(OSError, match="run"):
        file.tell(gives_up=True)
    (tmp_path / "run").unlink()
    file.tell(gives_up=True)
    assert (tmp_path / "run" / "track").read_text(encoding="ascii") == "1\n"

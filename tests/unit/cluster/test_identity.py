"""The node's UUID: given, derived once, kept, never replaced."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path

import pytest

from cluster.identity import FILE, BadIdentity, node_uuid

GIVEN = "0F8FAD5B-D9CB-469F-A165-70867728950E"


def machine(tmp_path: Path, text: str) -> tuple[Path, ...]:
    """Return the sources of a machine whose identity is `text`, after one that is not there."""
    path = tmp_path / "machine-id"
    path.write_text(text, encoding="ascii")
    return (tmp_path / "nothing", path)


def test_a_configured_identity_is_used_and_not_kept(tmp_path: Path) -> None:
    """Configuration wins and leaves no file behind."""
    assert node_uuid(GIVEN, tmp_path) == GIVEN.lower()
    assert list(tmp_path.iterdir()) == []


def test_a_derived_identity_is_kept_when_the_machine_changes(tmp_path: Path) -> None:
    """The first derivation stays, whatever the machine says later; both daemons of a node agree."""
    state = tmp_path / "state" / "deep"
    first = node_uuid(None, state, machine(tmp_path, "aaaa\n"))
    assert uuid.UUID(first).version == 5
    assert node_uuid(None, state, machine(tmp_path, "bbbb\n")) == first
    assert [path.name for path in state.iterdir()] == [FILE]
    assert stat.S_IMODE((state / FILE).stat().st_mode) == 0o600


def test_the_same_machine_gives_the_same_identity(tmp_path: Path) -> None:
    """Losing the state folder does not make a node somebody else."""
    sources = machine(tmp_path, "aaaa\n")
    assert node_uuid("", tmp_path / "one", sources) == node_uuid(None, tmp_path / "two", sources)


@pytest.mark.parametrize("damage", ["", "not a uuid\n", "0f8fad5b-d9cb-469f-a165", "\x00" * 36])
def test_a_damaged_file_is_an_error_and_stays(tmp_path: Path, damage: str) -> None:
    """A damaged identity is for a person to look at: it is named and not replaced."""
    (tmp_path / FILE).write_text(damage, encoding="ascii")
    with pytest.raises(BadIdentity, match=FILE):
        node_uuid(None, tmp_path, machine(tmp_path, "aaaa"))
    assert (tmp_path / FILE).read_text(encoding="ascii") == damage


def test_a_malformed_configuration_is_an_error(tmp_path: Path) -> None:
    """A typing mistake in the configuration is not silently derived around."""
    with pytest.raises(BadIdentity, match="setting node"):
        node_uuid("node-a", tmp_path)


def test_a_machine_without_identity_asks_for_one(tmp_path: Path) -> None:
    """Where there is nothing to derive from, the answer says what to set."""
    with pytest.raises(BadIdentity, match="set node"):
        node_uuid(None, tmp_path, (tmp_path / "nothing",))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The answer names the folder and what to do."""
    (tmp_path / "state").write_text("a file, not a folder", encoding="ascii")
    with pytest.raises(BadIdentity, match="writable"):
        node_uuid(None, tmp_path / "state", machine(tmp_path, "aaaa"))

"""The machine's fingerprint: what it is made of and what it ignores."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.fingerprint import HARDWARE, MACHINE_ID, is_junk, read_fingerprint

NODE = "0f8fad5b-d9cb-469f-a165-70867728950e"
UUID = "4C4C4544-0042-3510-8051-B7C04F4E3132"


def machine(root: Path, **files: str) -> Path:
    """Lay out the identity files of a machine under `root`."""
    for name, text in files.items():
        path = root / (HARDWARE | {"machine-id": MACHINE_ID})[name.replace("_", "-")]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_the_mainboard_identifies_the_machine(tmp_path: Path) -> None:
    """A new disk with a new machine-id leaves the fingerprint as it is; another board does not."""
    before = read_fingerprint(NODE, machine(tmp_path / "a", product_uuid=UUID, board_serial="X1", machine_id="aa01\n"))
    after = read_fingerprint(
        NODE, machine(tmp_path / "b", product_uuid=f"{UUID.lower()}\n", board_serial=" X1 ", machine_id="bb02\n")
    )
    other = read_fingerprint(NODE, machine(tmp_path / "c", product_uuid=UUID, board_serial="X2", machine_id="aa01\n"))
    assert before == after
    assert before.made_of == ("product-uuid", "board-serial")
    assert other.value != before.value


def test_serial_numbers_do_not_leave_the_machine(tmp_path: Path) -> None:
    """The value is a hash of 64 hex digits that shows nothing of what it is made of."""
    value = read_fingerprint(NODE, machine(tmp_path, board_serial="SECRET9")).value
    assert len(value) == 64
    assert "secret9" not in value


def test_junk_is_ignored(tmp_path: Path) -> None:
    """What makers leave in place of an identity is passed over, down to the machine-id."""
    files = {"product_uuid": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n", "board_serial": "To be filled by O.E.M.\n"}
    assert read_fingerprint(NODE, machine(tmp_path, machine_id="aa01\n", **files)).made_of == ("machine-id",)


def test_a_bare_container_is_identified_by_its_node(tmp_path: Path) -> None:
    """Where the machine has no identity at all the node's UUID stands in, and differs from node to node."""
    fingerprint = read_fingerprint(NODE, tmp_path)
    assert fingerprint.made_of == ("node-uuid",)
    assert fingerprint != read_fingerprint("another", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "not specified",
        "default string",
        "xxxxxxxx",
        "...",
        "0123456789",
        "03000200-0400-0500-0006-000700080009",
    ],
)
def test_known_junk(text: str) -> None:
    """Stock phrases and one sign repeated identify nothing."""
    assert is_junk(text)


@pytest.mark.parametrize("text", [UUID.lower(), "czc1234abc", "vmware-56 4d 0a"])
def test_real_identities_are_not_junk(text: str) -> None:
    """What tells machines apart is kept."""
    assert not is_junk(text)

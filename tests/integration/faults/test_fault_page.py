"""The page of faults is that of the table."""

from __future__ import annotations

from tests.netsite.fault_table import PAGE, TABLES


def test_every_row_is_on_the_page() -> None:
    """`docs/faults.md` has every row of the table with its sentences and its promise, in order, and no other."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    rows = [row for table in TABLES for row in table.rows]
    shown = [line for line in lines if not line.startswith("| what breaks")]
    for line, row in zip(shown, rows, strict=True):
        told = "| ".join(("", row.breaks + " ", row.readers + " ", row.guarantee + " ", f"{row.within:.1f} "))
        assert line.startswith(told), f"{row.name} has changed: run make faults"

"""How a row of the table of faults is tested: played once, within what it promises and some time for a busy machine."""

from __future__ import annotations

import pytest

from tests.netsite.fault import Fault, Scene, Table
from tests.netsite.netsite import NetSite

BUSY = 2.0
"""Seconds by which a machine that runs other tests may be late; `make faults` measures without them."""


def each_row(table: Table) -> pytest.MarkDecorator:
    """Make a test of every row of a table."""
    return pytest.mark.parametrize("fault", [pytest.param(row, id=row.name) for row in table.rows])


def check(site: NetSite, fault: Fault) -> None:
    """Play a row, from a site at rest whatever the row before has left, and hold it to its promise."""
    site.start()
    measured = Scene(site).play(fault)
    assert measured <= fault.within + BUSY, f"it took {measured:.2f} s; promised are {fault.within} s"

"""How a row of the table of faults is tested: played once, within what it promises and some time for a busy machine."""

from __future__ import annotations

import pytest

from tests.netsite.fault import Fault, Measured, Scene, Table
from tests.netsite.netsite import NetSite

BUSY = 2.0
"""Seconds by which a machine that runs other tests may be late at most; `make faults` measures without them."""
HITCH = 0.3
"""Seconds for which such a machine may stop all of a site."""
TRIES = 2
"""How often a row is played before it is called late: a machine that is busy once is not busy each time."""


def each_row(table: Table) -> pytest.MarkDecorator:
    """Make a test of every row of a table."""
    return pytest.mark.parametrize("fault", [pytest.param(row, id=row.name) for row in table.rows])


def check(site: NetSite, fault: Fault) -> None:
    """Play a row, from a site at rest whatever the row before has left, and hold it to its promise."""
    tries: list[Measured] = []
    while len(tries) < TRIES:
        site.start()
        tries.append(Scene(site).play(fault))
        if fault.kept(tries[-1], allowed):
            return
    raise AssertionError(f"promised are {fault.within} s and a silence of {fault.vip_gap} s at most: {tries}")


def allowed(promised: float) -> float:
    """Return how many seconds a busy machine may take for a promise: no more than twice as many and a hitch."""
    return promised + min(BUSY, promised + HITCH)

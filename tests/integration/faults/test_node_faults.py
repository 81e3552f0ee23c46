"""Faults of agents and the virtual IP, each played once on a site of namespaces."""

from __future__ import annotations

from tests.integration.faults.playing import check, each_row
from tests.netsite.fault import Fault
from tests.netsite.netsite import NetSite
from tests.netsite.node_faults import TABLE


@each_row(TABLE)
def test_node_fault(site: NetSite, fault: Fault) -> None:
    """Within the promised time readers see what is promised; no read fails, and nobody is told "Expired"."""
    check(site, fault)

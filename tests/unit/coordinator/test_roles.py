"""Who holds the virtual IP and who is drained, as it is shown and told."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.drain import Drain
from cluster.values import encode_value
from coordinator.board import Sight, StatusBody, answer_from
from coordinator.roles import NodeRole, Roles
from licensing.status import Alert
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.stored import (
    KEYS,
    ME,
    NOW,
    POLICY,
    A,
    B,
    at_rest,
    facts_of,
    publish,
    published_in,
    stored_report,
    view_of,
)
from tests.waiting import eventually

MARK = encode_value(Drain("operator", NOW))


def role(node: str, **changes: bool) -> NodeRole:
    """Return a node that reports and watches a virtual IP."""
    return replace(NodeRole(node, f"Node {node[-1].upper()}", live=True, watches_vip=True), **changes)


@pytest.mark.parametrize(
    ("nodes", "state", "holders"),
    [
        pytest.param((role(A, vip=True), role(B)), "held", (A,), id="held"),
        pytest.param((role(A), role(B)), "nobody", (), id="nobody"),
        pytest.param((role(A, vip=True), role(B, vip=True)), "conflict", (A, B), id="conflict"),
        pytest.param((role(A, vip=True, live=False), role(B, vip=True)), "held", (B,), id="dead-holder"),
        pytest.param((role(A, vip=True, live=False), role(B, live=False)), "nobody", (), id="all-dead"),
        pytest.param((role(A, watches_vip=False), role(B, watches_vip=False)), None, (), id="no-vip"),
        pytest.param((role(A, watches_vip=False), role(B)), "nobody", (), id="one-watches"),
        pytest.param((role(A),), "nobody", (), id="single"),
        pytest.param((), None, (), id="unknown-site"),
    ],
)
def test_the_state_of_the_virtual_ip(nodes: tuple[NodeRole, ...], state: str | None, holders: tuple[str, ...]) -> None:
    """Only live reports say who holds it; last reports still say that there is one."""
    roles = Roles(nodes)
    assert (roles.vip_state, roles.vip_holders) == (state, holders)
    assert bool(roles.notices) is (state == "conflict")


def test_two_holders_are_an_alert_with_a_way_out() -> None:
    """Both are named, and it is the same sentence as long as it is so."""
    (notice,) = Roles((role(A, vip=True), role(B, vip=True))).notices
    assert notice.alert is Alert.VIP_CONFLICT
    assert notice.sentence.startswith("The nodes Node A and Node B both hold the virtual IP")
    assert "check the network between them" in notice.sentence


@pytest.mark.parametrize(
    ("other", "able"),
    [
        pytest.param(role(B), True, id="well"),
        pytest.param(role(B, live=False), False, id="dead"),
        pytest.param(role(B, serving=False), False, id="unable"),
        pytest.param(role(B, drained=True), False, id="drained"),
    ],
)
def test_who_can_take_roles_over(other: NodeRole, able: bool) -> None:  # noqa: FBT001
    """A node that is there, does its work, and is not about to be serviced itself."""
    assert Roles((role(A), other)).able(A) == ({B} if able else set())


def shown(values: dict[str, bytes], *, connected: bool = True) -> StatusBody:
    """Return what a node shows of these values after the leader has published on them."""
    stored = publish(values)
    facts = facts_of(view_of(stored))
    sight = Sight(connected, ME if connected else None, facts.roles)
    return answer_from(facts, published_in(stored), sight, NOW, POLICY).status


def test_a_status_shows_drains_and_holders() -> None:
    """Every node shows them, also while it cannot reach the store."""
    reports = {KEYS.node(A): stored_report(A, vip=True, watches_vip=True), KEYS.drain(B): MARK}
    for connected in (True, False):
        status = shown(at_rest() | reports, connected=connected)
        assert [node.drained for node in status.nodes] == [False, True]
        assert (status.vip_holders, status.vip_state) == ((A,), "held")
    assert shown(at_rest()).vip_state is None


async def test_the_leader_publishes_the_conflict(site: Site, tmp_path: Path) -> None:
    """It is an alert on every node, with its sentence among the reasons, and gone when one lets go."""
    async with Coordinator(site.client(), tmp_path).at_work() as coordinator:
        await ready(coordinator)
        for node in (A, B):
            await site.report(node, vip=True, watches_vip=True)
        await eventually(lambda: Alert.VIP_CONFLICT in coordinator.status.alerts)
        assert any("both hold the virtual IP" in reason for reason in coordinator.status.reasons)
        assert coordinator.status.vip_state == "conflict"
        await site.report(B, watches_vip=True)
        await eventually(lambda: Alert.VIP_CONFLICT not in coordinator.status.alerts)


def test_a_mark_that_is_none_is_told_and_drains_nobody() -> None:
    """Rubbish under the key of a drain is a reason for an operator, and nothing else."""
    status = shown(at_rest() | {KEYS.drain(A): b"\xff"})
    assert not any(node.drained for node in status.nodes)
    assert any(reason.startswith(KEYS.drain(A)) for reason in status.reasons)


def test_a_report_that_cannot_be_read_holds_nothing() -> None:
    """Its node is not live for anything, and whether it is drained is known all the same."""
    facts = facts_of(view_of(at_rest() | {KEYS.node(A): b"\xff", KEYS.drain(A): MARK}))
    assert facts.roles.of(A) == NodeRole(A, A, live=False, drained=True)

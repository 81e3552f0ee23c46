"""What a newer version stores, and a coordinator of this version makes of it: calm, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.drain import Drain
from cluster.store import Delete, Put
from cluster.values import encode_value
from coordinator.desk import Desk
from coordinator.orders import Outcome
from coordinator.published import Leader
from licensing.ledger import Ledger, Usage
from licensing.ledger_version import LedgerVersion
from licensing.status import Alert, Validity
from tests.newer import extended
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, refusal, serving
from tests.unit.coordinator.stored import KEYS, NOW, A, B, good_key, stored_report
from tests.waiting import eventually

USAGE = encode_value(Usage(NOW, hosts=1))


@pytest.fixture
async def node(site: Site, tmp_path: Path) -> AsyncIterator[Coordinator]:
    """Give the coordinator of node a, which leads and shows the licence of a USB key."""
    async with Coordinator(site.client(), tmp_path).at_work() as found:
        await site.report(A, good_key())
        await site.report(B)
        await ready(found)
        yield found


@asynccontextmanager
async def following(site: Site, folder: Path) -> AsyncIterator[Coordinator]:
    """Give node a's coordinator, which remembers the ledger of a site in its trial, and leads no more."""
    await site.report(A)
    await site.report(B)
    async with Coordinator(site.client(), folder, A).at_work() as follower:
        await eventually(lambda: not follower.status.stale)
        follower.election.stand_aside("the other one leads", of="test")
        yield follower


@asynccontextmanager
async def leading(site: Site, folder: Path) -> AsyncIterator[int]:
    """Let node b's coordinator see a key and publish, and then somebody lead in its name who does nothing.

    Gives the epoch of that one, in whose stead a test writes.
    """
    async with Coordinator(site.client(), folder, B).at_work() as leader:
        await eventually(lambda: leader.leads, 10)
        await site.report(A, good_key())
        await site.report(B)
        await ready(leader)
        name, lease = stored(site, KEYS.leader), (await site.client().grant(600)).lease_id
        site.cluster.apply([Put(KEYS.leader, name, lease)])
    # it is gone, but what stands under the leader key is held by another lease than its own
    entry = site.cluster.entries[KEYS.leader]
    yield entry.create_revision
    site.cluster.apply([Delete(KEYS.leader)])


def stored(site: Site, key: str) -> bytes:
    """Return what is stored under a key."""
    return site.cluster.entries[key].value


def licensed(node: Coordinator) -> bool:
    """Whether a coordinator shows the licence as valid."""
    return node.status.license.status is Validity.VALID and node.status.license.key_id == "K1"


def warned(node: Coordinator) -> bool:
    """Whether it says that this node must be upgraded."""
    upgrade = Alert.UPGRADE_NEEDED in node.status.alerts
    return upgrade and any("Node Node A cannot read" in reason for reason in node.status.reasons)


async def test_a_newer_report_counts_like_any_other(site: Site, node: Coordinator) -> None:
    """The keys in it and whatever else this version knows."""
    site.put(KEYS.node(B), extended(stored_report(B, vip=True)))
    await eventually(lambda: node.status.vip_holders == (B,))
    assert node.status.nodes[1].reachable
    assert licensed(node)
    assert not warned(node)


async def test_newer_marks_and_leader_values_are_understood(site: Site, node: Coordinator) -> None:
    """A drained node is drained, and a leader has its name."""
    leader = site.cluster.entries[KEYS.leader]
    site.cluster.apply([Put(KEYS.leader, extended(leader.value), leader.lease_id)])
    site.put(KEYS.drain(B), extended(encode_value(Drain("operator", NOW))))
    await eventually(lambda: node.status.nodes[1].drained)
    assert node.status.leader == Leader(A, "Node A")
    assert not node.status.reasons or not any("newer" in reason for reason in node.status.reasons)


async def test_a_newer_answer_is_shown_without_what_is_new(site: Site, tmp_path: Path) -> None:
    """A follower shows what the newer leader published, as fresh."""
    async with following(site, tmp_path) as follower, leading(site, tmp_path) as epoch:
        said = replace(site.published, index=site.published.index + 10, epoch=epoch)
        site.put(KEYS.status, extended(encode_value(said)))
        await eventually(lambda: follower.status.index == said.index and not follower.status.stale)
        assert licensed(follower)
        assert not warned(follower)


async def test_an_answer_that_cannot_be_read_makes_the_last_one_stale(site: Site, tmp_path: Path) -> None:
    """A follower that does not know a name in the newest answer must not pass an older one off as that."""
    async with following(site, tmp_path) as follower, leading(site, tmp_path) as epoch:
        said = encode_value(replace(site.published, epoch=epoch))
        site.put(KEYS.status, said)
        await eventually(lambda: licensed(follower) and not follower.status.stale)
        site.put(KEYS.status, said.replace(b'"keyState":"Ready"', b'"keyState":"Something new"'))
        await eventually(lambda: follower.status.stale)
        assert licensed(follower)
        assert any(KEYS.status in reason for reason in follower.status.reasons)


VALUES: dict[str, Callable[[Site], bytes]] = {
    KEYS.ledger: lambda site: extended(stored(site, KEYS.ledger)),
    KEYS.site: lambda site: extended(stored(site, KEYS.site)),
    KEYS.clock: lambda site: extended(stored(site, KEYS.clock)),
    KEYS.usage: lambda _: extended(USAGE),
}


@pytest.mark.parametrize("key", VALUES, ids=lambda key: key.rpartition("/")[2])
async def test_a_leader_decides_nothing_on_what_it_would_cut_short(site: Site, node: Coordinator, key: str) -> None:
    """It leaves the value as it is, serves the last answer as stale, says who must be upgraded, and goes on after."""
    good, newer = site.cluster.entries.get(key), VALUES[key](site)
    before = site.published
    site.put(key, newer)
    await eventually(lambda: node.status.stale and warned(node))
    await eventually(lambda: not node.leads)  # the other node may be newer, and could decide
    await site.report(B, good_key("K2"))
    await eventually(lambda: any(KEYS.node(B) == each for each in node.mirror.view.entries))
    assert licensed(node)
    assert site.published == before
    assert stored(site, key) == newer
    site.put(key, good.value if good else USAGE)
    await eventually(lambda: not node.status.stale and not warned(node), 10)
    await eventually(lambda: len(node.status.nodes[1].ukeys) == 1)
    assert licensed(node)


async def test_an_older_leader_leads_all_the_same_where_nobody_else_does(site: Site, node: Coordinator) -> None:
    """So that there is a leader to name; it still decides nothing."""
    site.put(KEYS.ledger, extended(stored(site, KEYS.ledger)))
    await eventually(lambda: not node.leads)
    before = site.published
    await eventually(lambda: node.leads, 10)
    assert node.status.stale
    assert licensed(node)
    assert site.published == before


async def test_a_follower_believes_a_newer_leader(site: Site, tmp_path: Path) -> None:
    """It cannot read the ledger, but who leads has published from it in this term.

    So that is fresh; and when it no longer is, a licence is still valid of which this node knows no more than that.
    """
    async with following(site, tmp_path) as follower, leading(site, tmp_path) as epoch:
        version = LedgerVersion(site.published.ledger.sequence + 1, 9, "of more than is known here")
        status = site.published.status
        status = replace(status, license=replace(status.license, name="Only in the newer ledger"))
        said = replace(site.published, status=status, epoch=epoch, index=site.published.index + 1, ledger=version)
        site.put(KEYS.ledger, extended(encode_value(Ledger(site.published.ledger.sequence + 1))))
        site.put(KEYS.status, encode_value(said))
        await eventually(lambda: licensed(follower) and warned(follower) and not follower.status.stale)
        site.put(KEYS.status, encode_value(replace(said, epoch=epoch - 1)))
        await eventually(lambda: follower.status.stale)  # nobody has published in this term
        assert licensed(follower)
        assert follower.status.license.name == "Only in the newer ledger"


async def test_newer_usage_is_not_cut_short_by_a_report(site: Site, node: Coordinator) -> None:
    """The platform is told to report to the other node, and what is stored stays."""
    site.put(KEYS.usage, extended(USAGE))
    await eventually(lambda: node.status.stale)
    async with serving(node) as client:
        response = await client.put("/v1/licenses/usage", json={"hosts": 2}, headers=AS_ADMIN)
        assert (await refusal(response))[:2] == (409, "older-node")
    assert stored(site, KEYS.usage) == extended(USAGE)


async def test_a_newer_outcome_is_read(site: Site, node: Coordinator) -> None:
    """Whoever gave an order to a newer leader learns what became of it."""
    told = Outcome(200, "", "Done.", "", changed=True)
    site.put(KEYS.outcome("order-1"), extended(encode_value(told)))
    desk = Desk(node.store, node.mirror, KEYS, node.clock, A)
    assert await eventually(lambda: desk.outcome("order-1")) == told

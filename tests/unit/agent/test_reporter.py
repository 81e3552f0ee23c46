"""Publishing the report: when it is written, under what, and what becomes of it when things break."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from agent.reporter import Author, Reporter
from agent.sight import Sight
from cluster.keys import Keys
from cluster.memory import MemoryCluster, MemoryStore
from cluster.report import MOST_KEYS, Fingerprint, Report
from cluster.software import software_version
from cluster.store import Condition, Entry, Lease, PermissionRefused, Write
from cluster.timings import Timings
from cluster.values import decode_value
from licensing.ledger_version import LedgerVersion
from licensing.seen import Reading
from tests.waiting import eventually
from usbwatch.bus import KeySet, Seen, challenger

KEYS = Keys("site-1")
NODE = "0f8fad5b-d9cb-469f-a165-70867728950e"
ME = Author(NODE, "node-a", Fingerprint("aa", ("board-serial",)))
QUICK = Timings(agent_lease_ttl=2, renew=0.1, margin=0.1, attempt=0.1, call_deadline=0.2)
NOON = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


def key(key_id: str, size: int = 3) -> Seen:
    """Return a key that reads well."""
    return Seen(key_id=key_id, reading=Reading.OK, licence_file=b"x" * size, challenge=challenger("s")(), proof=b"p")


class Watched(MemoryStore):
    """A store in memory that counts what is done to leases, and may forbid writing."""

    def __init__(self, cluster: MemoryCluster, *, forbidding: bool = False) -> None:
        super().__init__(cluster)
        self.calls: Counter[str] = Counter()
        self._forbidding = forbidding

    async def grant(self, ttl: int) -> Lease:
        """Count it."""
        self.calls["grant"] += 1
        return await super().grant(ttl)

    async def keep_alive(self, lease_id: int) -> int:
        """Count it."""
        self.calls["keep_alive"] += 1
        return await super().keep_alive(lease_id)

    async def revoke(self, lease_id: int) -> None:
        """Count it."""
        self.calls["revoke"] += 1
        await super().revoke(lease_id)

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Commit, unless it is forbidden."""
        if self._forbidding:
            raise PermissionRefused("etcd: permission denied")
        return await super().commit(conditions, writes)


class Node:
    """An agent's reporter with everything it sees, on a store in memory."""

    def __init__(self, cluster: MemoryCluster, author: Author = ME) -> None:
        self.cluster = cluster
        self.store = Watched(cluster)
        self.sight = Sight()
        self.reporter = Reporter(self.store, KEYS, author, self.sight, QUICK, lambda: NOON)

    def see(self, *keys: Seen, vip: bool = False) -> None:
        """Let the node see these keys."""
        self.sight.see_keys(keys)
        self.sight.see_vip(held=vip)

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the reporter meanwhile, and stop it as SIGTERM does."""
        task = asyncio.create_task(self.reporter.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    @property
    def entry(self) -> Entry:
        """The live report as stored; KeyError when there is none."""
        return self.cluster.entries[KEYS.node(NODE)]

    @property
    def live(self) -> Report:
        """The live report; KeyError when there is none."""
        return decode_value(self.entry.key, self.entry.value, Report)

    @property
    def kept(self) -> Report:
        """The report that is kept without a lease."""
        entry = self.cluster.entries[KEYS.last_seen(NODE)]
        assert entry.lease_id == 0
        return decode_value(entry.key, entry.value, Report)

    async def told(self, keys: KeySet) -> None:
        """Wait until the live report has these keys."""
        await eventually(lambda: [each.key_id for each in self.live.keys] == [each.key_id for each in keys])


@pytest.fixture
def cluster() -> MemoryCluster:
    """Give a store in memory."""
    return MemoryCluster()


async def test_one_report_is_written_twice_in_one_transaction(cluster: MemoryCluster) -> None:
    """The report goes under the lease and, at the same revision, where it outlives the agent."""
    node = Node(cluster)
    node.see(key("K1"), vip=True)
    async with node.reporting():
        await node.told((key("K1"),))
        assert node.live == node.kept
        assert node.live.node == NODE
        assert node.live.vip
        assert node.live.written_at == NOON
        assert node.live.keys[0].licence_file == b"xxx"
        assert node.live.version == software_version() != ""
        assert node.entry.lease_id
        assert node.entry.mod_revision == cluster.entries[KEYS.last_seen(NODE)].mod_revision


async def test_the_stance_towards_the_virtual_ip_is_reported(cluster: MemoryCluster) -> None:
    """A change of it is news like any other; whether the node looks for an address is in every report."""
    node = Node(cluster, msgspec.structs.replace(ME, watches_vip=True))
    node.see(vip=True)
    async with node.reporting():
        await node.told(())
        assert (node.live.watches_vip, node.live.serving, node.live.contested) == (True, True, False)
        node.sight.see_stance(serving=False, contested=True)
        await eventually(lambda: (node.live.serving, node.live.contested) == (False, True))
        assert node.live == node.kept


async def test_nothing_is_written_before_everything_was_seen(cluster: MemoryCluster) -> None:
    """An agent that has a lease but has not looked yet says nothing."""
    node = Node(cluster)
    async with node.reporting():
        await eventually(lambda: node.store.calls["keep_alive"])
        assert not cluster.entries
        node.see()
        await node.told(())


async def test_an_idle_agent_writes_nothing(cluster: MemoryCluster) -> None:
    """Renewing the lease again and again changes nothing in the store."""
    node = Node(cluster)
    node.see(key("K1"))
    async with node.reporting():
        await node.told((key("K1"),))
        revision = cluster.revision
        await eventually(lambda: node.store.calls["keep_alive"] > 5)
        assert cluster.revision == revision


async def test_a_burst_becomes_few_writes_and_ends_with_the_newest(cluster: MemoryCluster) -> None:
    """Of many changes at once only the last matters."""
    node = Node(cluster)
    node.see()
    async with node.reporting():
        await node.told(())
        revision = cluster.revision
        for number in range(100):
            node.see(key(f"K{number}"))
        await node.told((key("K99"),))
        assert cluster.revision == revision + 1


async def test_stopping_revokes_the_lease_and_keeps_the_last_report(cluster: MemoryCluster) -> None:
    """After SIGTERM the live report is gone at once and the kept one stays."""
    node = Node(cluster)
    node.see(key("K1"))
    async with node.reporting():
        await node.told((key("K1"),))
    assert KEYS.node(NODE) not in cluster.entries
    assert node.kept.keys[0].key_id == "K1"


async def test_a_lost_lease_is_replaced_and_the_report_written_again(cluster: MemoryCluster) -> None:
    """When the store has ended the lease, the report comes back under a new one without any change of facts."""
    node = Node(cluster)
    node.see(key("K1"))
    async with node.reporting():
        await node.told((key("K1"),))
        first = node.entry.lease_id
        cluster.end_lease(first)
        await eventually(lambda: node.entry.lease_id != first)
        await node.told((key("K1"),))


async def test_a_change_under_a_lost_lease_is_not_lost(cluster: MemoryCluster) -> None:
    """A write that fails because the lease is gone is made good under the next lease."""
    node = Node(cluster)
    node.see(key("K1"))
    async with node.reporting():
        await node.told((key("K1"),))
        cluster.end_lease(node.entry.lease_id)
        node.see(key("K2"))
        await node.told((key("K2"),))


async def test_what_changes_while_the_store_is_away_is_written_when_it_is_back(cluster: MemoryCluster) -> None:
    """Only the newest of it, and an agent that starts without a store waits for it."""
    cluster.offline()
    node = Node(cluster)
    node.see(key("K1"))
    async with node.reporting():
        await eventually(lambda: node.reporter._complaint)
        cluster.online()
        await node.told((key("K1"),))
        cluster.offline()
        node.see(key("K2"))
        await eventually(lambda: node.reporter._complaint)
        node.see(key("K3"))
        cluster.online()
        await node.told((key("K3"),))


async def test_a_lost_answer_does_not_confuse_the_next_write(cluster: MemoryCluster) -> None:
    """A write that was applied but not acknowledged is recognised as our own."""
    node = Node(cluster)
    node.see(key("K1"))
    async with node.reporting():
        await node.told((key("K1"),))
        for number in range(2, 4):
            node.store.lose_next_answer()
            node.see(key(f"K{number}"))
            await node.told((key(f"K{number}"),))
            await eventually(lambda: not node.reporter._complaint)


async def test_a_restarted_agent_takes_over_from_its_former_life(cluster: MemoryCluster) -> None:
    """The report of an agent that was killed is replaced at once, without waiting for its lease."""
    killed = Node(cluster)
    killed.see(key("K1"))
    async with killed.reporting():
        await killed.told((key("K1"),))
        killed.store.offline()
        node = Node(cluster)
        node.see(key("K2"))
        async with node.reporting():
            await node.told((key("K2"),))


@pytest.mark.parametrize(
    "twin",
    [
        Author(NODE, "node-b", ME.fingerprint),
        Author(NODE, "node-a", Fingerprint("bb", ("board-serial",))),
    ],
)
async def test_a_second_machine_with_the_same_identity_is_kept_out(
    cluster: MemoryCluster, twin: Author, caplog: pytest.LogCaptureFixture
) -> None:
    """Two machines that claim to be one node are not mixed: the first stays until it stops, the second says why."""
    first, second = Node(cluster), Node(cluster, twin)
    first.see(key("K1"))
    second.see(key("K2"))
    async with second.reporting():
        async with first.reporting():
            await eventually(lambda: len(cluster.entries) == 2)
            owner = first.live.keys[0].key_id
            await eventually(lambda: "identity of its own" in str([vars(record) for record in caplog.records]))
            assert first.live.keys[0].key_id == owner
        await second.told((key("K2"),))


async def test_more_than_a_report_can_hold_is_reported_without_evidence(cluster: MemoryCluster) -> None:
    """A node full of huge keys still says how many there are, and that they cannot be used."""
    node = Node(cluster)
    keys = tuple(key(f"K{number:02}", size=64 * 1024) for number in range(20))
    node.see(*keys)
    async with node.reporting():
        await node.told(keys)
        assert {each.reading for each in node.live.keys} == {Reading.FAULTY}
        assert not any(each.licence_file for each in node.live.keys)


async def test_of_too_many_keys_the_usable_ones_are_told_and_how_many_are_left_out(cluster: MemoryCluster) -> None:
    """A report never names more keys than the coordinator takes, and a usable key is not among those left out."""
    node = Node(cluster)
    faulty = tuple(Seen(key_id=f"K{number:02}", reading=Reading.FAULTY) for number in range(MOST_KEYS + 7))
    node.see(*faulty, key("K99"))
    async with node.reporting():
        await eventually(lambda: len(node.live.keys) == MOST_KEYS)
        assert node.live.keys[0].key_id == "K99"
        assert node.live.keys[-1].key_id == "9 more keys"
        assert node.live.keys[-1].reading is Reading.FAULTY
        assert "40 keys are in this node" in node.live.keys[-1].reason


async def test_as_many_keys_as_a_report_may_have_are_all_told(cluster: MemoryCluster) -> None:
    """Nothing is left out before it must be."""
    node = Node(cluster)
    keys = tuple(key(f"K{number:02}") for number in range(MOST_KEYS))
    node.see(*keys)
    async with node.reporting():
        await node.told(keys)


async def test_a_refused_permission_ends_the_reporter(cluster: MemoryCluster) -> None:
    """A node without the right to report says so and does not knock for ever."""
    sight = Sight()
    sight.see_keys(())
    sight.see_vip(held=False)
    store = Watched(cluster, forbidding=True)
    reporter = Reporter(store, KEYS, ME, sight, QUICK, lambda: NOON)
    with pytest.raises(PermissionRefused):
        await asyncio.wait_for(reporter.run(), 5)
    assert store.calls == {"grant": 1, "revoke": 1}


async def test_the_report_says_which_ledger_was_seen(cluster: MemoryCluster) -> None:
    """A newer one alone is no reason to report; the next report says it, also one that the store has lost."""
    node, seen = Node(cluster), [3]
    node.reporter = Reporter(node.store, KEYS, ME, node.sight, QUICK, lambda: NOON, lambda: LedgerVersion(seen[0]))
    node.see(key("K1"))
    async with node.reporting():
        await eventually(lambda: node.live.ledger.sequence == 3)
        seen[0] = 8
        before = cluster.revision
        node.sight.report_again()
        await eventually(lambda: node.live.ledger.sequence == 8)
        assert cluster.revision == before + 1

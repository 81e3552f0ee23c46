"""A whole site with a wrong clock in it: nothing expires from it, the site is told, and time never goes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cluster.values import decode_value, encode_value
from coordinator.clock_watch import ClockWatch
from coordinator.published import Clock
from coordinator.time_base import KeptTime
from licensing.ledger import KeyState
from licensing.ledger import Site as SiteIdentity
from licensing.status import Alert, Validity
from licensing.value import Time
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.stored import DAY, KEYS, NOW, SECOND, SITE, TRIAL_START, A, B, Hands, good_key
from tests.unit.licensing.signing import day
from tests.waiting import eventually

YEAR = 365 * DAY
EXPIRES = day("2027-01-01")
QUARANTINED, ROLLBACK = Alert.CLOCK_QUARANTINED, Alert.CLOCK_ROLLBACK


class Witness:
    """The clock of a third machine, with an etcd member on it; it counts how often it is asked."""

    def __init__(self, hands: Hands | None = None) -> None:
        self.hands = hands
        self.asked = 0

    async def elsewhere(self) -> bool:
        """Whether there is one."""
        return self.hands is not None

    async def read(self) -> Mapping[str, Time]:
        """Say what it shows."""
        self.asked += 1
        return {"10.0.0.3": self.hands.at} if self.hands else {}


class Nodes:
    """Two coordinators with a clock each, and a witness's clock."""

    def __init__(self, site: Site, folder: Path, *, witness: bool = False) -> None:
        self.site = site
        self.hands = {A: Hands(), B: Hands()}
        self.witness = Witness(Hands() if witness else None)
        self.coordinators = {
            node: Coordinator(site.client(), folder, node, clock=hands.clock()) for node, hands in self.hands.items()
        }
        self._folder = folder

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[tuple[str, str]]:
        """Run both with what looks after their clocks; give the node that leads, and the other one."""
        async with self.coordinators[A].at_work():
            await ready(self.coordinators[A])
            async with self.coordinators[B].at_work():
                watches = [self._watch(node) for node in (A, B)]
                for watch in watches:
                    await watch.begin()
                running = [asyncio.create_task(watch.run()) for watch in watches]
                await ready(self.coordinators[B])
                yield A, B
                for task in running:
                    assert not task.done()
                    task.cancel()

    def _watch(self, node: str) -> ClockWatch:
        kept = KeptTime(self._folder / node, "boot 1")
        return ClockWatch(self.coordinators[node].clocks, self.witness, kept, every=SECOND / 50)

    async def report(self, node: str) -> None:
        """Let a node's agent report anew, as when its clock was set."""
        keys = [good_key()] if node == A else []
        await self.site.report(node, *keys, written_at=self.hands[node].at)

    async def shown(self, node: str, *alerts: Alert) -> None:
        """Wait until a node's fresh answer tells exactly these alerts of clocks."""
        clocks = {QUARANTINED, ROLLBACK}

        def tells() -> bool:
            status = self.coordinators[node].status
            return clocks.intersection(status.alerts) == set(alerts) and not status.stale

        await eventually(tells, what=f"{node} tells {alerts}")

    async def expired(self, node: str) -> None:
        """Wait until a node says that the licence is over."""
        await eventually(lambda: self.coordinators[node].status.license.status is Validity.EXPIRED)

    def reasons(self, node: str) -> str:
        """All sentences that a node shows."""
        return " ".join(self.coordinators[node].status.reasons)

    def never_expired(self) -> bool:
        """Whether no answer that was published ever said that the licence is over, or is of another time."""
        answers = self.site.history()
        return all(each.status.license.status is Validity.VALID and each.as_of < EXPIRES for each in answers)

    @property
    def mark(self) -> Time:
        """The stored high-water mark."""
        return decode_value(KEYS.clock, self.site.cluster.entries[KEYS.clock].value, Clock).high_water


async def test_a_leader_a_year_ahead_lets_nothing_expire(site: Site, tmp_path: Path) -> None:
    """Both boards go on saying Valid and tell which node's clock is wrong; nothing of it is stored as the time."""
    nodes = Nodes(site, tmp_path)
    async with nodes.at_work() as (leader, other):
        nodes.hands[leader].at += YEAR
        for node in (leader, other):
            await nodes.shown(node, QUARANTINED)
            assert "The clock of node Node A is ahead by about 365 days" in nodes.reasons(node)
            assert nodes.coordinators[node].status.license.status is Validity.VALID
        await site.report(leader)  # decisions go on meanwhile
        await ready(nodes.coordinators[other], KeyState.MISSING)
        assert (nodes.mark, nodes.never_expired()) == (NOW, True)
        nodes.hands[leader].at -= YEAR
        for node in (leader, other):
            await nodes.shown(node)


async def test_a_follower_a_year_ahead_lets_nothing_expire(site: Site, tmp_path: Path) -> None:
    """Its own board says so at once; the other one's as soon as its agent has reported what its clock shows."""
    nodes = Nodes(site, tmp_path)
    async with nodes.at_work() as (leader, other):
        nodes.hands[other].at += YEAR
        await nodes.shown(other, QUARANTINED)
        await nodes.shown(leader)
        assert nodes.coordinators[other].status.license.status is Validity.VALID
        await nodes.report(other)
        await nodes.shown(leader, QUARANTINED)
        assert "The clock of node Node B is ahead by about 365 days" in nodes.reasons(leader)
        site.cluster.offline()
        await eventually(lambda: nodes.coordinators[other].status.stale)
        assert nodes.coordinators[other].status.license.status is Validity.VALID
        assert QUARANTINED in nodes.coordinators[other].status.alerts
    assert nodes.never_expired()


async def test_a_node_that_is_cut_off_does_not_believe_its_clock_either(site: Site, tmp_path: Path) -> None:
    """It shows its last answer, in which the passing of time counts but not that of a wrong clock, and says so."""
    nodes = Nodes(site, tmp_path)
    async with nodes.at_work() as (_, other):
        site.cluster.offline()
        board = nodes.coordinators[other]
        await eventually(lambda: board.status.stale)
        nodes.hands[other].at += YEAR
        await eventually(lambda: QUARANTINED in board.status.alerts)
        assert (board.status.stale, board.status.license.status) == (True, Validity.VALID)
        assert "The clock of node Node B is ahead" in nodes.reasons(other)


async def test_a_year_later_indeed_the_licence_is_over(site: Site, tmp_path: Path) -> None:
    """One clock says so and is not believed; when the other one follows, both are, at once."""
    nodes = Nodes(site, tmp_path)
    async with nodes.at_work() as (leader, other):
        await nodes.report(other)
        nodes.hands[leader].at += YEAR
        await nodes.shown(leader, QUARANTINED)
        nodes.hands[other].at += YEAR
        for node in (other, leader):
            await nodes.report(node)
        for node in (leader, other):
            await nodes.expired(node)
            await nodes.shown(node)
        assert nodes.mark == NOW + YEAR


async def test_the_witness_decides_between_two_nodes(site: Site, tmp_path: Path) -> None:
    """It is not asked as long as the clocks agree; then it confirms the one that is right."""
    nodes = Nodes(site, tmp_path, witness=True)
    async with nodes.at_work() as (leader, other):
        await nodes.report(other)
        assert nodes.witness.asked == 2
        nodes.hands[other].at += YEAR
        await nodes.report(other)
        await nodes.shown(leader, QUARANTINED)
        await eventually(lambda: nodes.witness.asked > 2)
        assert nodes.witness.hands
        assert nodes.never_expired()
        nodes.hands[leader].at += YEAR
        nodes.witness.hands.at += YEAR
        await nodes.expired(leader)
        await nodes.shown(leader)


async def test_a_leader_whose_clock_is_set_back_goes_on_in_time(site: Site, tmp_path: Path) -> None:
    """Nothing that is published is of an earlier time than what was before, and both boards tell it."""
    nodes = Nodes(site, tmp_path)
    async with nodes.at_work() as (leader, other):
        nodes.hands[leader].at -= 30 * DAY
        for node in (leader, other):
            await nodes.shown(node, ROLLBACK)
            assert "The clock of node Node A is behind the site's time by about 30 days" in nodes.reasons(node)
        times = [each.as_of for each in site.history()]
        assert times == sorted(times)
        assert nodes.mark == NOW
        nodes.hands[leader].at += 30 * DAY
        for node in (leader, other):
            await nodes.shown(node)


async def test_a_site_that_was_off_for_a_month_starts_without_help(site: Site, tmp_path: Path) -> None:
    """The first thing that is published is of the right time, and no alert is ever told."""
    site.put(KEYS.site, encode_value(SiteIdentity(SITE, (A, B), TRIAL_START)))
    site.mark(NOW - 30 * DAY, 7)
    await site.report(B)
    nodes = Nodes(site, tmp_path, witness=True)
    async with nodes.at_work():
        assert nodes.mark == NOW
    answers = site.history()
    assert {each.as_of for each in answers} == {NOW}
    assert not any({QUARANTINED, ROLLBACK}.intersection(each.status.alerts) for each in answers)


async def test_nothing_is_published_before_the_witness_could_answer(tmp_path: Path) -> None:
    """What passed while the site was off must not count as seen: the first publication waits, and not for ever."""
    site = Site()
    await site.report(A, good_key(), written_at=NOW - 30 * DAY)
    site.put(KEYS.site, encode_value(SiteIdentity(SITE, (A, B), TRIAL_START)))
    site.mark(NOW - 30 * DAY, 7)
    hands, witness = Hands(), Witness(Hands())
    one = Coordinator(site.client(), tmp_path, A, clock=hands.clock())
    one.clocks.asks = True
    async with one.at_work():
        await eventually(lambda: one.clocks.in_doubt and one.leads)
        watch = ClockWatch(one.clocks, witness, KeptTime(tmp_path, "boot 1"))
        await watch.look()
        await eventually(lambda: not one.status.stale)
    assert {each.as_of for each in site.history()} == {NOW}


@pytest.mark.parametrize("size", [1, 2], ids=["single", "two"])
async def test_a_node_that_is_alone_after_a_power_cut(size: int, tmp_path: Path) -> None:
    """A single node's clock is believed after a boot; one of two nodes waits for the other one, and says so."""
    site = Site()
    await site.report(A, good_key())
    site.put(KEYS.site, encode_value(SiteIdentity(SITE, (A, B)[:size], TRIAL_START)))
    site.mark(NOW - 30 * DAY, 7)
    hands = Hands()
    clock = hands.clock()
    KeptTime(tmp_path / A, "boot 2").wind(clock, 600 * SECOND)
    async with Coordinator(site.client(), tmp_path, A, clock=clock).at_work() as one:
        await eventually(lambda: not one.status.stale)
        assert site.published.as_of == (NOW if size == 1 else NOW - 30 * DAY)
        assert (QUARANTINED in one.status.alerts) is (size == 2)

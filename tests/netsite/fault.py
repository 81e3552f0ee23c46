"""What a fault is: a row of the table of faults, and the scene in which it is played on a site.

A scene knows who led when it began, measures, and afterwards checks what holds for every fault: every read of a node
that was not lost had a good answer, everybody was told of a valid licence, and no node's answers went back. Where a
fault says for how long the virtual IP may be silent, it is played on the node that leads and holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from tests.netsite.netsite import VIP, NetNode, NetSite, now
from tests.netsite.readers import Reading
from tests.waiting import eventually_sync

Shown = Callable[[Reading], object]

LEADER, OTHER = "leader", "other"
NOT_AFFECTED = ("Ready", "Abnormal")
"""States of the keys in which the licence is that of the key in use."""


class Measured(NamedTuple):
    """What one playing came to: the seconds that were measured, and the longest silence of the virtual IP in seconds.

    The silence is 0 where the fault says nothing of it.
    """

    seconds: float
    silence: float


@dataclass(frozen=True)
class Fault:
    """One row: what breaks, what readers see, what is guaranteed, and within how many seconds.

    `play` breaks it and returns the seconds that were measured. `lost` names the nodes whose readers may get no answer:
    by role, `leader` or `other`, or by label. `vip_gap`: for how many seconds at most nothing may answer at the virtual
    IP; None where nothing is promised of it.
    """

    breaks: str
    answers: str
    guarantee: str
    within: float
    play: Callable[[Scene], float]
    lost: frozenset[str]
    vip_gap: float | None

    @property
    def name(self) -> str:
        """A short name."""
        return self.play.__name__.replace("_", "-")

    @property
    def readers(self) -> str:
        """What readers see, with what is promised of the virtual IP."""
        gap = f" The virtual IP is without an answer for {self.vip_gap} s at most." if self.vip_gap else ""
        return self.answers + gap

    def kept(self, measured: Measured, allowed: Callable[[float], float] = lambda seconds: seconds) -> bool:
        """Whether the promises were kept; `allowed` says how many seconds count as those that were promised."""
        gap = float("inf") if self.vip_gap is None else allowed(self.vip_gap)
        return measured.seconds <= allowed(self.within) and measured.silence <= gap


class Table:
    """Rows in the order in which they were declared."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[Fault] = []

    def row(
        self,
        breaks: str,
        *,
        readers: str,
        guarantee: str,
        within: float,
        lost: Iterable[str] = (),
        vip_gap: float | None = None,
    ) -> Callable[[Callable[[Scene], float]], Callable[[Scene], float]]:
        """Make a row of a function that plays it."""

        def add(play: Callable[[Scene], float]) -> Callable[[Scene], float]:
            self.rows.append(Fault(breaks, readers, guarantee, within, play, frozenset(lost), vip_gap))
            return play

        return add


class Scene:
    """One playing of a fault, from a site at rest to a site at rest."""

    def __init__(self, site: NetSite) -> None:
        assert site.readers
        self.site = site
        self.readers = site.readers
        self.readers.forget()
        self.opened = now()
        self.leader = eventually_sync(site.leader)
        self.other = site.other(self.leader)
        self.prepared()

    def play(self, fault: Fault) -> Measured:
        """Play a fault, bring the site back to rest, check what must hold, and return what was measured."""
        if fault.vip_gap is not None:
            self.give_vip(self.leader)
        seconds = fault.play(self)
        measured = Measured(seconds, 0.0 if fault.vip_gap is None else self.vip_silence())
        self.site.start()
        roles = {LEADER: self.leader, OTHER: self.other}
        lost = {roles.get(name, name) for name in fault.lost}
        self._check_answered(self.counts_from, [label for label in self.site.labels if label not in lost])
        self._check_answers()
        return measured

    def node(self, label: str) -> NetNode:
        """Return a node."""
        return self.site.nodes[label]

    def prepared(self) -> None:
        """Call all that came before preparation: reads that failed meanwhile do not count, and the site is as now."""
        self.counts_from = now()
        self.before = self.site.status(self.leader)
        self.begin()

    def restart_coordinators(self) -> None:
        """Restart both, so that each uses the etcd member that is nearest; the one that led leads again."""
        for label in self.leader, self.other:
            coordinator = self.node(label).coordinator
            coordinator.stop()
            coordinator.start()
            since, leads = now(), self.site.other(label)
            for each in self.site.labels:
                self.site.seen(each, since, _fresh_under(leads))
        self.prepared()

    def give_vip(self, label: str) -> None:
        """Let this node hold the virtual IP."""
        if self.site.holders(self.before) != [label]:
            other = self.node(self.site.other(label)).keepalived
            since = now()
            other.stop()
            for each in self.site.labels:
                self.site.seen(each, since, held_by(label))
            other.start()
        self.prepared()

    @contextmanager
    def everybody_answers(self) -> Iterator[None]:
        """Check that all reads of both nodes have good answers meanwhile."""
        since = now()
        yield
        self._check_answered(since, self.site.labels)

    def begin(self) -> None:
        """Take the time from which is measured."""
        self.began = now()

    def seen(self, target: str, shown: Shown, within: float = 15.0) -> float:
        """Return after how many seconds from the beginning a reader of a target was told what `shown` wants."""
        return self.site.seen(target, self.began, shown, within)

    def seen_by_both(self, shown: Shown, within: float = 15.0) -> float:
        """Return when the later of the two nodes told it."""
        return max(self.seen(label, shown, within) for label in self.site.labels)

    def vip_silence(self) -> float:
        """Wait until the virtual IP answers, and return for how long at most it did not since the beginning."""
        self.site.seen(VIP, now(), answered)
        told = [each.told for each in self.readers.since(self.began, VIP) if answered(each)]
        return max(later - earlier for earlier, later in pairwise((self.began, *told)))

    def led_by(self, label: str) -> Shown:
        """What a fresh answer of another term under a node's lead looks like."""
        epoch = self.before["epoch"]
        return lambda reading: (
            reading.fresh and reading.status["epoch"] > epoch and reading.status["leader"]["name"] == label
        )

    def plugged(self, label: str) -> Shown:
        """Plug a new key into a node; return what a fresh answer that knows of it looks like."""
        key = self.site.new_key()
        self.site.plug(label, key)
        return lambda reading: reading.fresh and key.key_id in keys_of(reading, label)

    def in_the_same_term(self, shown: Shown) -> Shown:
        """What an answer looks like that shows this under the leader, and in the epoch, of before."""
        return lambda reading: shown(reading) and reading.status["epoch"] == self.before["epoch"]

    def out_of_sight(self, label: str) -> Shown:
        """What a fresh answer looks like that shows a node as unreachable and the base key in it all the same."""
        gone = unreachable(label)
        return lambda reading: gone(reading) and self.site.base.key_id in keys_of(reading, label)

    def _check_answered(self, since: float, labels: Iterable[str]) -> None:
        failed = [each for each in self.readers.since(since, *labels) if not answered(each)]
        assert not failed, f"{len(failed)} reads of a node that was not lost had no good answer, first {failed[0]}"

    def _check_answers(self) -> None:
        for target in (*self.site.labels, VIP):
            told = [each for each in self.readers.since(self.opened, target) if each.http == 200]
            for each in told:
                licence = each.status["license"]
                assert licence["status"] == "Valid", f"{target} was told: {licence}, {each.status['reasons']}"
                if each.status["keyState"] in NOT_AFFECTED:
                    assert licence["keyId"] == self.site.base.key_id, f"{target} was told of another: {each.status}"
            if target != VIP:  # it moves, and one node may know more than the other for a moment
                for earlier, later in pairwise(told):
                    went = f"node {target} went back from {place(earlier)} to {place(later)}"
                    assert place(later) >= place(earlier), f"{went}, stale: {later.status['stale']}"


def place(reading: Reading) -> tuple[int, int]:
    """Where in the story of a site an answer stands."""
    return reading.status["epoch"], reading.status["index"]


def answered(reading: Reading) -> bool:
    """Whether there was a good answer."""
    return reading.http == 200


def fresh(reading: Reading) -> bool:
    """Whether the answer is fresh."""
    return reading.fresh


def stale(reading: Reading) -> bool:
    """Whether the answer is the last one that the node saw, and may not be the newest."""
    return reading.http == 200 and not reading.fresh


def keys_of(reading: Reading, label: str) -> list[str]:
    """Return the ids of the keys that an answer shows in a node."""
    return [key["keyId"] for key in node_of(reading, label)["ukeys"]]


def node_of(reading: Reading, label: str) -> dict[str, Any]:
    """Return what an answer says about a node."""
    found: dict[str, Any] = next(node for node in reading.status["nodes"] if node["name"] == label)
    return found


def unreachable(label: str) -> Shown:
    """What a fresh answer looks like that shows a node as unreachable."""
    return lambda reading: reading.fresh and not node_of(reading, label)["reachable"]


def held_by(*labels: str) -> Shown:
    """What a fresh answer looks like that shows these nodes as holders of the virtual IP."""
    return lambda reading: reading.fresh and vip_holders(reading) == sorted(labels)


def vip_holders(reading: Reading) -> list[str]:
    """Return the nodes that an answer shows as holders of the virtual IP."""
    return [node["name"] for node in reading.status["nodes"] if node["vip"]]


def _fresh_under(leader: str) -> Shown:
    return lambda reading: reading.fresh and reading.status["leader"]["name"] == leader

"""What a fault is: a row of the table of faults, and the scene in which it is played on a site.

A scene knows who led when it began, measures, and afterwards checks what holds for every fault: every read of a node
that was not lost had a good answer, everybody was told of a valid licence, and no node's answers went back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.netsite.netsite import VIP, NetNode, NetSite, now
from tests.netsite.readers import Reading
from tests.waiting import eventually_sync

Shown = Callable[[Reading], object]

LEADER, OTHER = "leader", "other"
NOT_AFFECTED = ("Ready", "Abnormal")
"""States of the keys in which the licence is that of the key in use."""


@dataclass(frozen=True)
class Fault:
    """One row: what breaks, what readers see, what is guaranteed, and within how many seconds.

    `play` breaks it and returns the seconds that were measured. `lost` names the nodes whose readers may get no answer:
    by role, `leader` or `other`, or by label.
    """

    breaks: str
    readers: str
    guarantee: str
    within: float
    play: Callable[[Scene], float]
    lost: frozenset[str]

    @property
    def name(self) -> str:
        """A short name."""
        return self.play.__name__.replace("_", "-")


class Table:
    """Rows in the order in which they were declared."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[Fault] = []

    def row(
        self, breaks: str, *, readers: str, guarantee: str, within: float, lost: Iterable[str] = ()
    ) -> Callable[[Callable[[Scene], float]], Callable[[Scene], float]]:
        """Make a row of a function that plays it."""

        def add(play: Callable[[Scene], float]) -> Callable[[Scene], float]:
            self.rows.append(Fault(breaks, readers, guarantee, within, play, frozenset(lost)))
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
        self.before = site.status(self.leader)
        self.began = now()

    def play(self, fault: Fault) -> float:
        """Play a fault, bring the site back to rest, check what must hold, and return what was measured."""
        measured = fault.play(self)
        self.site.start()
        roles = {LEADER: self.leader, OTHER: self.other}
        lost = {roles.get(name, name) for name in fault.lost}
        self._check_survivors([label for label in self.site.labels if label not in lost])
        self._check_answers()
        return measured

    def node(self, label: str) -> NetNode:
        """Return a node."""
        return self.site.nodes[label]

    def begin(self) -> None:
        """Take the time from which is measured."""
        self.began = now()

    def seen(self, target: str, shown: Shown, within: float = 15.0) -> float:
        """Return after how many seconds from the beginning a reader of a target was told what `shown` wants."""
        return self.site.seen(target, self.began, shown, within)

    def seen_by_both(self, shown: Shown, within: float = 15.0) -> float:
        """Return when the later of the two nodes told it."""
        return max(self.seen(label, shown, within) for label in self.site.labels)

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

    def _check_survivors(self, labels: Iterable[str]) -> None:
        failed = [each for each in self.readers.since(self.opened, *labels) if each.http != 200]
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

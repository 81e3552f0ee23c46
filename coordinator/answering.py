"""Keeps the board up to date.

It looks whenever the store shows something else, when the store is lost, and when time alone changes the answer.
"""

from __future__ import annotations

import logging

from msgspec.structs import replace

from cluster.waking import first_of
from coordinator.board import Answer, Board, Sight, answer_from
from coordinator.facts import Facts
from coordinator.metrics import Metrics
from coordinator.outlook import Outlook
from coordinator.published import Leader, Published
from licensing.model import Ledger, Site

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
"""Seconds; a wall clock may be put forward, and a machine suspended, while this task sleeps."""


class Answering:
    """The task that follows the mirror and shows answers; it remembers the last good values, should bad ones come."""

    def __init__(self, outlook: Outlook, board: Board, metrics: Metrics) -> None:
        self._outlook = outlook
        self._mirror = outlook.mirror
        self._election = outlook.election
        self._clock = outlook.clock
        self._board = board
        self._metrics = metrics
        self._published: Published | None = None
        self._site: Site | None = None
        self._ledger: Ledger | None = None
        self._problems: tuple[str, ...] = ()

    async def run(self) -> None:
        """Follow the mirror until cancelled."""
        while True:
            seen = self._mirror.version
            answer = self._look()
            await first_of(self._mirror.changed(seen), timeout=self._pause(answer))

    def _look(self) -> Answer | None:
        if self._mirror.view.revision == 0:
            return None  # nothing was read yet, which is not the same as nothing being there
        facts = self._remember(self._outlook.look())
        if self._published is None:
            return None
        sight = Sight(self._mirror.connected, self._leader() if self._mirror.connected else None)
        answer = answer_from(facts, self._published, sight, self._clock.now(), self._outlook.policy)
        self._board.show(answer)
        return answer

    def _remember(self, facts: Facts) -> Facts:
        """Note the newest good values and return the facts with those in the place of missing or bad ones."""
        if facts.problems != self._problems:
            self._problems = facts.problems
            for problem in facts.problems:
                log.error("stored value cannot be used", extra={"problem": problem})
        if facts.published is not None and facts.published != self._published:
            self._note(facts.published)
        self._site = facts.site or self._site
        self._ledger = facts.ledger or self._ledger
        return replace(facts, site=self._site, ledger=self._ledger)

    def _note(self, published: Published) -> None:
        if self._published is not None and self._published.epoch != published.epoch:
            self._metrics.leader_changes.inc()
        self._published = published

    def _leader(self) -> Leader | None:
        """Who leads; where the leader key cannot be read, the one who published under it."""
        candidate = self._election.leader
        if candidate is not None:
            return Leader(candidate.node, candidate.name)
        published = self._published
        return published.leader if published is not None and published.epoch == self._election.term else None

    def _pause(self, answer: Answer | None) -> float | None:
        if answer is None or answer.again_at is None:
            return None
        return min(max((answer.again_at - self._clock.now()).total_seconds(), 0.0), LONGEST_PAUSE)

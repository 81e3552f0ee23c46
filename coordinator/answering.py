"""Keeps the board up to date.

It looks whenever the store shows something else, when the store is lost, and when time alone changes the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace

from cluster.waking import after_others, first_of
from coordinator.board import Answer, Board, Sight, answer_from
from coordinator.clock import boot_clock
from coordinator.facts import Facts
from coordinator.metrics import Metrics
from coordinator.notices import Notice
from coordinator.outlook import Outlook
from coordinator.published import Leader, Published, with_own_notices
from coordinator.restored_store import judge
from coordinator.snapshot import Memory
from coordinator.versions import version_notices
from licensing.ledger import Ledger, Site
from licensing.status import Alert

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0
"""Seconds; a wall clock may be put forward, and a machine suspended, while this task sleeps."""
ETCD_FIRST = 1.0
"""Seconds that a node which starts waits for etcd: its disk may know less than the node told before."""


class Answering:
    """The task that follows the mirror and shows answers; it remembers the last good values, should bad ones come.

    `memory` is what this node's disk remembers: without etcd the first answer comes from there, and what is seen goes
    there. `node` is this node's uuid, `boot` a clock in seconds.
    """

    def __init__(
        self,
        outlook: Outlook,
        board: Board,
        metrics: Metrics,
        memory: Memory,
        node: str,
        boot: Callable[[], float] = boot_clock,
    ) -> None:
        self._outlook = outlook
        self._mirror = outlook.mirror
        self._election = outlook.election
        self._clock = outlook.clock
        self._board = board
        self._metrics = metrics
        self._memory = memory
        self._node = node
        self._boot = boot
        self._from_disk_at = boot() + ETCD_FIRST
        known = memory.kept
        self._published: Published | None = known.published if known else None
        self._site: Site | None = known.site if known else None
        self._ledger: Ledger | None = known.ledger if known else None
        self._problems: tuple[str, ...] = ()
        self._epoch: int | None = None

    async def run(self) -> None:
        """Follow the mirror until cancelled."""
        while True:
            news = self._mirror.pulse.mark(), self._outlook.clocks.moved.mark()
            answer = self._look()
            await first_of(*news, timeout=self._pause(answer))
            if self._election.term is None or self._is_to_decide():
                await after_others()  # so that what this node does about it is on its way before it is told here

    def _is_to_decide(self) -> bool:
        """Whether this node leads and the news is no answer that was published, but what the next one is made of."""
        return self._election.leadership is not None and self._outlook.look().published is self._published

    def _look(self) -> Answer | None:
        if self._mirror.view.revision == 0:  # nothing was read yet, which is not the same as nothing being there
            return self._from_memory() if self._boot() >= self._from_disk_at else None
        facts = self._outlook.look()
        self._memory.take(facts)
        verdict = judge(facts, self._memory.newest, self._node)
        self._remember(facts, older=verdict is not None)
        published = self._published
        if published is None:
            return None
        blocking = self._blocking(facts, published)
        facts = replace(facts, site=self._site, ledger=self._ledger, blocking=blocking)
        if verdict is not None:  # nothing of an older store is shown but that it is there
            facts = replace(facts, blocking=(*facts.blocking, verdict.why))
            published = with_own_notices(published, (Notice(Alert.STORE_RESTORED, verdict.why),))
        own = (*self._outlook.clocks.own_notices, *self._memory.notices, *version_notices(facts, self._name(published)))
        published = with_own_notices(published, own)
        sight = Sight(self._mirror.connected, self._leader() if self._mirror.connected else None, facts.roles)
        answer = answer_from(facts, published, sight, self._clock.now(), self._outlook.policy)
        self._board.show(answer)
        return answer

    def _from_memory(self) -> Answer | None:
        """Answer from what the disk remembers, as old as that is; None where it remembers no answer."""
        facts, published = self._memory.kept, self._published
        if facts is None or published is None:
            return None
        known_at = max(published.as_of, facts.clock.high_water) if facts.clock else published.as_of
        clocks = self._outlook.clocks
        self._clock.saw(known_at)
        clocks.judge()
        now = self._clock.now()
        published = with_own_notices(published, clocks.own_notices)
        answer = answer_from(facts, published, Sight(connected=False, leader=None), now, self._outlook.policy)
        # an age is no consequence: here the wall clock counts even where it is not believed
        self._board.show(answer, age=(max(now, self._clock.wall()) - known_at).total_seconds())
        return answer

    def _remember(self, facts: Facts, *, older: bool) -> None:
        """Note the newest good values; those of a store that is `older` only where there are no others."""
        if facts.problems != self._problems:
            self._problems = facts.problems
            for problem in facts.problems:
                log.error("stored value cannot be used", extra={"problem": problem})
        if older and self._published is not None:
            return
        if facts.published is not None and self._is_news(facts.published):
            self._note(facts.published)
        self._site = facts.site or self._site
        self._ledger = facts.ledger or self._ledger

    def _is_news(self, published: Published) -> bool:
        """Whether this is another answer, and not an older one, which an old copy of the store had."""
        before = self._published
        if before is None or not published.ledger.sequence:
            return True
        newer = (published.ledger, published.index) >= (before.ledger, before.index)
        return published != before and newer

    def _note(self, published: Published) -> None:
        if self._epoch not in {None, published.epoch}:
            self._metrics.leader_changes.inc()
        self._published, self._epoch = published, published.epoch

    def _blocking(self, facts: Facts, published: Published) -> tuple[str, ...]:
        """Why what is published may not be the newest answer, as far as it lies in what is stored.

        What a newer version wrote and this one cannot read stops no other node: who has published in this term could.
        """
        if self._election.leadership is not None:
            return facts.blocking
        others_decide = not facts.unread and published.epoch == self._election.term
        blocking = [problem for problem in facts.blocking if not (others_decide and problem in facts.newer)]
        return (*blocking, *([facts.unread] if facts.unread else []))

    def _name(self, published: Published) -> str:
        """What people call this node; its uuid where nothing else is known."""
        named = (node.name for node in published.status.nodes if node.management_node_uuid == self._node)
        return next(named, self._node)

    def _leader(self) -> Leader | None:
        """Who leads; where the leader key cannot be read, the one who published under it."""
        candidate = self._election.leader
        if candidate is not None:
            return Leader(candidate.node, candidate.name)
        published = self._published
        return published.leader if published is not None and published.epoch == self._election.term else None

    def _pause(self, answer: Answer | None) -> float | None:
        """Seconds after which time alone makes another answer; None where it does not."""
        if answer is None:
            left = self._from_disk_at - self._boot()
            return left if left > 0 else None
        if answer.again_at is None:
            return None
        return min(max((answer.again_at - self._clock.now()).total_seconds(), 0.0), LONGEST_PAUSE)

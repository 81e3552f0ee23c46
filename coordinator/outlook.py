"""What the coordinator's two tasks look at: the store's mirror, the election, the clocks, and how all are read."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.election import Election
from cluster.mirror import Mirror
from coordinator.clock import EffectiveClock
from coordinator.clocks import Clocks
from coordinator.facts import FactReader, Facts
from licensing.policy import Policy


@dataclass(frozen=True)
class Outlook:
    """The shared parts; `reader` and `clocks` remember what they read, so both tasks use the same ones.

    `kept`: what this node's disk remembered when it started, None for nothing.
    """

    mirror: Mirror
    election: Election
    reader: FactReader
    clocks: Clocks
    policy: Policy
    kept: Facts | None = None

    @property
    def clock(self) -> EffectiveClock:
        """Effective time."""
        return self.clocks.clock

    def look(self) -> Facts:
        """Read what the mirror shows just now; effective time is never before what is stored."""
        facts = self.reader.read(self.mirror.view)
        if facts.clock is not None:
            self.clock.saw(facts.clock.high_water)
        if facts.published is not None:
            self.clock.saw(facts.published.as_of)
        self.clocks.heard(facts.views, self.mirror.since if self.mirror.connected else None)
        self.clocks.judge()
        return facts

    def known(self) -> Facts:
        """Read what the mirror shows or, as long as etcd was never read, what the disk remembered.

        That has no reports of nodes: who asks for what the nodes see now needs `look`.
        """
        never_read = self.mirror.view.revision == 0
        return self.kept if never_read and self.kept is not None else self.look()

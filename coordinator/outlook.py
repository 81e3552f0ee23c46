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
    """The shared parts; `reader` and `clocks` remember what they read, so both tasks use the same ones."""

    mirror: Mirror
    election: Election
    reader: FactReader
    clocks: Clocks
    policy: Policy

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

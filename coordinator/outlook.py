"""What the coordinator's two tasks look at: the store's mirror, the election, and how both are read."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.election import Election
from cluster.mirror import Mirror
from coordinator.clock import EffectiveClock
from coordinator.facts import FactReader, Facts
from licensing.policy import Policy


@dataclass(frozen=True)
class Outlook:
    """The shared parts; `reader` remembers what it decoded, so both tasks use the same one."""

    mirror: Mirror
    election: Election
    reader: FactReader
    clock: EffectiveClock
    policy: Policy

    def look(self) -> Facts:
        """Read what the mirror shows just now; effective time is never before what is stored."""
        facts = self.reader.read(self.mirror.view)
        if facts.clock is not None:
            self.clock.saw(facts.clock.high_water)
        if facts.published is not None:
            self.clock.saw(facts.published.as_of)
        return facts

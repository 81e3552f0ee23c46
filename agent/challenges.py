"""What this node's USB keys are asked to sign.

A challenge names the answer that was published last, so that a proof cannot have been recorded under an earlier leader.
When another leader publishes, the keys that can prove themselves are asked again; all others are left alone.
"""

from __future__ import annotations

import asyncio
import logging

from agent.sight import Sight
from cluster.mirror import Mirror
from cluster.term import NOBODY, Term, read_term
from cluster.waking import first_of
from licensing.seen import Challenge
from usbwatch.bus import Bus, challenger

log = logging.getLogger(__name__)

FIRST_LOOK = 1.0
"""Seconds in which the store may tell what was published before the keys are read without knowing."""


class Challenges:
    """Makes the challenges of one node; `mirror` mirrors the published answer, stored under `key`."""

    def __init__(self, mirror: Mirror, key: str, site_id: str) -> None:
        self._mirror = mirror
        self._key = key
        self._site_id = site_id

    def new(self) -> Challenge:
        """Return a challenge that was never used."""
        term = self._term
        return challenger(self._site_id, term.epoch, term.index)()

    async def first_look(self) -> None:
        """Wait for what is published, but not for long: keys are read also where the store cannot be reached."""
        try:
            async with asyncio.timeout(FIRST_LOOK):
                while not self._mirror.view.revision:
                    await self._mirror.changed(self._mirror.version)
        except TimeoutError:
            log.info("keys are read without a challenge of the leader", extra={"why": "the store does not answer yet"})

    async def run(self, bus: Bus, sight: Sight) -> None:
        """Have the keys prove themselves again while a proof is for another leader than the present one, for ever."""
        while True:
            news = self._mirror.pulse.mark(), sight.changed.mark()
            if self._outdated(sight):
                log.info("keys prove themselves again", extra={"epoch": self._term.epoch})
                await sight.prove_again(bus)
            else:
                await first_of(*news)

    def _outdated(self, sight: Sight) -> bool:
        term, facts = self._term, sight.facts
        if facts is None or term == NOBODY:
            return False
        asked = (key.challenge for key in facts.keys if key.challenge is not None)
        return any(challenge.epoch != term.epoch or challenge.index > term.index for challenge in asked)

    @property
    def _term(self) -> Term:
        return read_term(self._mirror.view.entries.get(self._key))

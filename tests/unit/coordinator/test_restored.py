"""What is stored is older than what was seen: an etcd restored from a copy, and a clock that was set back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.store import Condition, Write
from cluster.values import decode_value, encode_value
from coordinator import publisher
from coordinator.published import Clock
from licensing.ledger import KeyState
from licensing.ledger import Site as SiteIdentity
from tests.unit.coordinator.running import Coordinator, Counting, Site, ready
from tests.unit.coordinator.stored import DAY, KEYS, NOW, SITE, TRIAL_START, A, B, good_key
from tests.waiting import eventually


async def test_after_a_restore_the_index_still_rises(site: Site, tmp_path: Path) -> None:
    """A leader publishes above every index that it has seen, also those that the copy does not know."""
    async with Coordinator(site.client(), tmp_path).at_work() as one:
        await ready(one)
        copy, revision = dict(site.cluster.entries), site.cluster.revision
        await site.report(A)
        await ready(one, KeyState.MISSING)
        await site.report(A, good_key())
        await ready(one)
        seen = site.published.index
        site.cluster.entries, site.cluster.revision = copy, revision
        site.cluster.history.clear()
        await eventually(lambda: site.published.index > seen)
        await eventually(lambda: one.status.index > seen and not one.status.stale)


class FarAhead(Counting):
    """A store whose answers name a revision that no mirror will ever show, as before it was restored."""

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Commit under a revision of another life."""
        revision = await super().commit(conditions, writes)
        return revision if any(write.key == KEYS.leader for write in writes) else revision + 1000


async def test_a_publication_that_is_never_seen_is_not_waited_for_for_ever(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader goes on, whatever became of what it wrote."""
    monkeypatch.setattr(publisher, "SEEN_WITHIN", 0.1)
    async with Coordinator(FarAhead(site.cluster), tmp_path).at_work() as one:
        await ready(one)
        await site.report(A)
        await ready(one, KeyState.MISSING)


async def test_no_leader_decides_before_the_time_that_is_stored(site: Site, tmp_path: Path) -> None:
    """The mark of whoever led before holds the next leader's time up, from its first decision on."""
    site.mark(NOW + 5 * DAY, 7)
    site.put(KEYS.site, encode_value(SiteIdentity(SITE, (A, B), TRIAL_START)))
    async with Coordinator(site.client(), tmp_path).at_work() as one:
        await ready(one)
    assert [(each.as_of, each.index) for each in site.history()] == [(NOW + 5 * DAY, 8)]
    marks = decode_value(KEYS.clock, site.cluster.entries[KEYS.clock].value, Clock)
    assert marks == Clock(NOW + 5 * DAY, 8)
    assert one.clock.set_back

"""Timings that cannot work are refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.timings import BadTimings, Timings, agent_timings


def test_the_defaults_notice_an_outage_in_two_and_a_half_seconds() -> None:
    """A silent store is noticed within a probe and a call."""
    timings = Timings()
    assert timings.probe + timings.call_deadline <= 2.5


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"lease_ttl": 1, "renew": 0.1, "margin": 0.1}, "no lease under 2 s"),
        ({"lease_ttl": 3.5}, "whole seconds"),
        ({"agent_lease_ttl": 2}, "agent_lease_ttl"),
        ({"renew": 1.5}, "twice renew plus margin"),
        ({"call_deadline": 2.0}, "renew plus call_deadline plus margin"),
        ({"attempt": 1.0}, "two attempts"),
        ({"renew": 0}, "renew is 0 s"),
        ({"margin": -1}, "margin is -1 s"),
        ({"probe": 0}, "probe is 0 s"),
    ],
)
def test_timings_that_cannot_work_are_refused(changed: dict[str, Any], text: str) -> None:
    """Every limit is named in the error."""
    with pytest.raises(BadTimings, match=text):
        Timings(**changed)


@pytest.mark.parametrize(("ttl", "renew"), [(3, 1.0), (5, 5 / 3), (60, 2.0)])
def test_an_agent_renews_three_times_in_a_lease_and_every_two_seconds_at_least(ttl: int, renew: float) -> None:
    """An idle agent asks etcd seldom, and its renewals answer whether etcd is there."""
    timings = agent_timings(ttl)
    assert (timings.renew, timings.agent_lease_ttl) == (pytest.approx(renew), ttl)
    assert timings.renew < timings.probe < 2.5

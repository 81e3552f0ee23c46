"""How long things take: the timings of leases, calls and probes, checked in one place.

Knows no store. All figures are seconds. The election is safe with any values (etcd refuses a fenced write of a deposed
leader); what is checked here keeps it from losing leadership for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST_LEASE = 2
"""What etcd grants when asked for less."""


class BadTimings(ValueError):  # noqa: N818 - it says what they are
    """The timings cannot work together; the text names the setting and the limit."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Timings of a daemon towards the store.

    `lease_ttl`: lease of the leader. `agent_lease_ttl`: lease of a node's report. `renew`: from one renewal to the
    next. `margin`: how much earlier than the store we consider a lease over. `attempt`: how long one member may take
    to answer. `call_deadline`: how long a call may take in all, over several members. `probe`: how long the store may
    be silent before it is asked whether it is there; a little longer than `renew`, so that renewals answer that too.
    """

    lease_ttl: int = 3
    agent_lease_ttl: int = 5
    renew: float = 1.0
    margin: float = 0.5
    attempt: float = 0.7
    call_deadline: float = 1.4
    probe: float = 1.1

    def __post_init__(self) -> None:
        for name in ("renew", "margin", "attempt", "call_deadline", "probe"):
            _require(getattr(self, name) > 0, f"{name} is {getattr(self, name)} s; it must be more than 0")
        _require(
            self.call_deadline >= 2 * self.attempt,
            f"call_deadline ({self.call_deadline} s) must leave room for two attempts of {self.attempt} s, so that a "
            "call can turn to a second member",
        )
        _check_lease(self, "lease_ttl", self.lease_ttl)
        _check_lease(self, "agent_lease_ttl", self.agent_lease_ttl)


def agent_timings(ttl: int) -> Timings:
    """Return the timings of an agent whose report is held by a lease of `ttl` seconds.

    An agent serves nobody: a third of its lease between two renewals, two seconds at most, is soon enough for it, and
    spares an idle machine.

    Raises:
        BadTimings: the lease is too short.
    """
    renew = min(ttl / 3, 2.0)
    return Timings(lease_ttl=ttl, agent_lease_ttl=ttl, renew=renew, probe=1.1 * renew)


def _check_lease(timings: Timings, name: str, ttl: int) -> None:
    _require(
        ttl == int(ttl) and ttl >= SMALLEST_LEASE,
        f"{name} is {ttl} s; etcd grants whole seconds and no lease under {SMALLEST_LEASE} s",
    )
    needed = timings.renew * 2 + timings.margin
    _require(
        needed <= ttl,
        f"{name} ({ttl} s) must be at least twice renew plus margin ({needed:g} s), so that one renewal may fail",
    )
    needed = timings.renew + timings.call_deadline + timings.margin
    _require(
        needed <= ttl,
        f"{name} ({ttl} s) must be at least renew plus call_deadline plus margin ({needed:g} s), so that a renewal "
        "has time to turn to a second member",
    )


def _require(condition: bool, text: str) -> None:  # noqa: FBT001 - an assertion with a sentence
    if not condition:
        raise BadTimings(text)

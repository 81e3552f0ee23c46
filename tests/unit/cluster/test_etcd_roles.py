"""Which keys are whose: the rights that etcd is told of, against every path of a site."""

from __future__ import annotations

import pytest

from cluster.etcd_roles import Grant, Role, agent_role, coordinator_role, is_within
from cluster.keys import Keys

KEYS = Keys("acme")
REPORTS = [KEYS.node("a"), KEYS.node("b"), KEYS.last_seen("a"), KEYS.last_seen("b")]
OTHERS = [
    *(KEYS.site, KEYS.ledger, KEYS.clock, KEYS.usage, KEYS.status, KEYS.leader),
    *(KEYS.drain("a"), KEYS.reread("a"), KEYS.inbox("a"), KEYS.outcome("a")),
    *(KEYS.record(0), KEYS.record_by("issued", 1, 2), KEYS.staged("x", 3)),
]
OUTSIDE = ["/", "/twinkey", "/twinkey/", "/twinkey/acme", "/twinkey/acme0", "/twinkey/acme-2/ledger", "/twinkey/b/site"]
AGENT, COORDINATOR = agent_role("agent-a", KEYS, "a"), coordinator_role("coordinator-a", KEYS)


def may(role: Role, right: str, key: str) -> bool:
    """Tell as etcd does whether a role has a right to a key."""
    data = key.encode()
    return any(
        grant.right == right and (grant.start == data if not grant.end else grant.start <= data < grant.end)
        for grant in role.grants
    )


@pytest.mark.parametrize("key", [*REPORTS, *OTHERS])
def test_all_of_the_site_may_be_read(key: str) -> None:
    """By agents and by coordinators."""
    assert may(AGENT, "READ", key)
    assert may(COORDINATOR, "READ", key)


@pytest.mark.parametrize("key", [*REPORTS, *OTHERS])
def test_an_agent_writes_the_reports_of_its_node(key: str) -> None:
    """And nothing else."""
    assert may(AGENT, "WRITE", key) is (key in {KEYS.node("a"), KEYS.last_seen("a")})


@pytest.mark.parametrize("key", [*REPORTS, *OTHERS])
def test_a_coordinator_writes_all_but_reports(key: str) -> None:
    """Between, before and behind them in order of key."""
    assert may(COORDINATOR, "WRITE", key) is (key in OTHERS)


@pytest.mark.parametrize("key", OUTSIDE)
def test_nothing_outside_the_site_is_touched(key: str) -> None:
    """Also where a path begins almost like the site's."""
    for role in (AGENT, COORDINATOR):
        assert not may(role, "READ", key)
        assert not may(role, "WRITE", key)


def test_a_sites_rights_are_within_it() -> None:
    """All that its own roles have, and nothing that another site's have."""
    for role in (AGENT, COORDINATOR):
        assert all(is_within(KEYS, grant) for grant in role.grants)
        assert not any(is_within(Keys("acme-2"), grant) for grant in role.grants)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        *(("/twinkey/acme", ""), ("/twinkey/acme-2/ledger", ""), ("/twinkey/acme/", "/twinkey/b"), ("", "\0")),
        *(("/twinkey/", "/twinkey0"), ("/twinkey/acme/", "\0"), ("/twinkey/a", "/twinkey/acme/z")),
    ],
    ids=["above", "beside", "beyond", "all", "sites", "rest", "before"],
)
def test_rights_to_more_than_a_site_are_not_within_it(start: str, end: str) -> None:
    """Also where they begin or end in it."""
    assert not is_within(KEYS, Grant(start.encode(), end.encode(), "READ"))

"""Without etcd: the last answer is served as stale, nothing spins, and all heals by itself.

Three sites lose their etcd side by side, each in another way, are watched for some seconds and get it back; the tests
look at what was seen meanwhile.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.site import Daemon, LiveSite, Status, keys_in, let_pass

NOTICED = 3.0
"""Seconds within which a coordinator knows that etcd is away."""
WATCHED = 5.0
BUSY = 0.05
"""Share of one core that is too much for a daemon that can do nothing."""
BACK = 10.0
POOLS = 4
"""Threads that the pools of a node's two daemons may yet start: each runs at most two jobs side by side."""

OUTAGES: dict[str, Callable[[LiveSite], None]] = {
    "stopped": lambda site: site.etcd.members[0].stop(),
    "killed": lambda site: site.etcd.stop(),
    "frozen": lambda site: site.etcd.pause(),
}


@dataclass(frozen=True)
class Glance:
    """What a node told at one moment, and how its two daemons were doing."""

    status: Status
    age: int
    ready: int
    cpu: float
    threads: int
    files: int


@dataclass(frozen=True)
class Story:
    """What was seen of a site, by node: at rest, when the loss was noticed, some seconds later, and with etcd back."""

    pids: list[int]
    before: dict[str, Glance] = field(default_factory=dict)
    noticed: dict[str, Glance] = field(default_factory=dict)
    later: dict[str, Glance] = field(default_factory=dict)
    after: dict[str, Glance] = field(default_factory=dict)
    pids_after: list[int] = field(default_factory=list)


def glance(site: LiveSite, label: str) -> Glance:
    """Look at a node."""
    daemons: tuple[Daemon, ...] = (site.agents[label], site.coordinators[label])
    return Glance(
        status=site.status(label),
        age=int(site.get(label, "/v1/status").headers["Age"]),
        ready=site.get(label, "/readyz").status,
        cpu=sum(daemon.cpu_seconds for daemon in daemons),
        threads=sum(daemon.threads for daemon in daemons),
        files=sum(daemon.files for daemon in daemons),
    )


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Story]]:
    """Let three sites lose etcd and get it back, with a key in node a and one plugged into node b meanwhile."""
    sites = {how: LiveSite(tmp_path_factory.mktemp(how)) for how in OUTAGES}
    try:
        yield _played(sites)
    finally:
        for site in sites.values():
            site.close()


def _played(sites: dict[str, LiveSite]) -> dict[str, Story]:
    for site in sites.values():
        site.launch()
    for site in sites.values():
        site.start()
        site.plug("a", site.new_key("held"))
        site.wait_for_all(lambda status: status["license"]["keyId"] == "held")
    stories = {how: Story([daemon.pid for daemon in site.daemons]) for how, site in sites.items()}
    _look(sites, {how: story.before for how, story in stories.items()})
    for how, site in sites.items():
        OUTAGES[how](site)
    for site in sites.values():
        site.wait_for_all(lambda status: status["stale"], NOTICED)
        site.plug("b", site.new_key("meanwhile"))
    _look(sites, {how: story.noticed for how, story in stories.items()})
    let_pass(WATCHED)
    _look(sites, {how: story.later for how, story in stories.items()})
    for site in sites.values():
        site.launch()
    for how, site in sites.items():
        site.start()
        site.wait_for_all(lambda status: status["keyState"] == "Abnormal" and not status["stale"], BACK)
        stories[how].pids_after.extend(daemon.pid for daemon in site.daemons if daemon.running)
    _look(sites, {how: story.after for how, story in stories.items()})
    return stories


def _look(sites: dict[str, LiveSite], into: dict[str, dict[str, Glance]]) -> None:
    for how, site in sites.items():
        into[how].update({label: glance(site, label) for label in site.nodes})


@pytest.fixture(params=OUTAGES)
def story(request: pytest.FixtureRequest, stories: dict[str, Story]) -> Story:
    """Give what was seen of the site that lost etcd in this way."""
    return stories[request.param]


def test_both_nodes_go_on_serving_the_last_answer(story: Story) -> None:
    """Nothing of the answer changes but that it is stale, says why, and shows no leader; the nodes stay ready."""
    for label, before in story.before.items():
        for seen in story.noticed[label], story.later[label]:
            assert seen.ready == http.client.OK
            doubt = {"stale": True, "leader": None, "reasons": seen.status["reasons"]}
            assert seen.status == before.status | doubt
            assert any("etcd" in reason for reason in set(seen.status["reasons"]) - set(before.status["reasons"]))


def test_the_age_of_the_answer_grows(story: Story) -> None:
    """The Age header is 0 at rest, counts the seconds of the outage, and is 0 again afterwards."""
    for label, later in story.later.items():
        assert (story.before[label].age, story.after[label].age) == (0, 0)
        assert story.noticed[label].age < NOTICED
        assert WATCHED - 1 <= later.age - story.noticed[label].age <= WATCHED + 2


def test_an_outage_costs_nothing(story: Story) -> None:
    """While etcd is away the daemons use next to no processor time, and no more threads or files than before."""
    for label, later in story.later.items():
        noticed = story.noticed[label]
        assert later.cpu - noticed.cpu < BUSY * WATCHED
        assert later.threads <= noticed.threads + 1  # a pool may start its next thread once
        assert later.files <= noticed.files + 4  # connections that are being tried


def test_what_happened_meanwhile_is_published_afterwards(story: Story) -> None:
    """With etcd back the key that was plugged in meanwhile shows, and the licence has not suffered."""
    for glanced in story.after.values():
        status = glanced.status
        assert keys_in(status) == {"a": {"held": "ok"}, "b": {"meanwhile": "ok"}}
        assert (status["license"]["keyId"], status["license"]["status"], status["buffer"]) == ("held", "Valid", None)


def test_nobody_had_to_be_restarted(story: Story) -> None:
    """The processes are the same ones before and after, with no more threads than they had but those of their pools."""
    assert story.pids_after == story.pids
    for label, after in story.after.items():
        assert after.threads <= story.before[label].threads + POOLS

"""One coordinator leads, whatever is killed or frozen: changes go on being published, and a late write is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

import pytest

from cluster.local_etcd import die_with_parent
from cluster.values import decode_value
from coordinator.published import Published
from tests.site import KEYS, LEASE_OVER, LiveSite, Status, keys_in
from tests.waiting import eventually_sync


@pytest.fixture
def told(site: LiveSite) -> Iterator[LiveSite]:
    """Give the site, and afterwards read back all that was ever published on it: it must make one story."""
    yield site
    told = [decode_value(entry.key, entry.value, Published) for entry in site.history(KEYS.status)]
    for before, after in pairwise(told):
        assert after.index > before.index, "an index was given twice, or went back"
        assert after.epoch >= before.epoch, "a deposed leader published"
        assert after.as_of >= before.as_of, "effective time went back"


def lead(status: Status) -> tuple[str, int, int]:
    """Return who leads by name, the epoch and the index of a status."""
    return status["leader"]["name"], status["epoch"], status["index"]


def test_a_killed_leader_is_replaced_when_its_lease_is_over(told: LiveSite) -> None:
    """After SIGKILL of the leader the other one publishes within the lease's time, in a higher epoch and index."""
    leader, other = told.leader()
    _, epoch, index = lead(told.status(other))
    told.coordinators[leader].end(SIGKILL)
    told.plug(other, told.new_key("after-kill"))
    status = told.wait_for(other, lambda status: "after-kill" in keys_in(status)[other], LEASE_OVER)
    name, new_epoch, new_index = lead(status)
    assert name == other
    assert new_epoch > epoch
    assert new_index > index
    assert told.leaders() == [other]


def test_a_leader_that_is_told_to_stop_hands_over(told: LiveSite) -> None:
    """After SIGTERM of the leader the other one has published well within a second, and the process ends in order."""
    leader, other = told.leader()
    _, epoch, _ = lead(told.status(other))
    began = time.monotonic()
    told.coordinators[leader].send(SIGTERM)
    told.wait_for(other, lambda status: not status["stale"] and status["epoch"] > epoch)
    assert time.monotonic() - began < 0.5
    eventually_sync(lambda: not told.coordinators[leader].running)
    assert told.coordinators[leader].exit_code == 0


def test_the_first_coordinator_to_come_back_leads_and_knows_all(told: LiveSite) -> None:
    """With both stopped, the last answer is still there for the first that starts; it publishes a later one."""
    told.plug("a", told.new_key("kept"))
    told.wait_for_all(lambda status: status["license"]["keyId"] == "kept")
    leader, other = told.leader()
    before = told.status(leader)
    for label in other, leader:  # the other one must not take over in between
        told.coordinators[label].end(SIGTERM)
    told.coordinators[other].start()
    assert eventually_sync(lambda: told.status(other), 10)["license"] == before["license"]
    after = told.wait_for(other, lambda status: not status["stale"] and status["epoch"] > before["epoch"])
    assert after["leader"]["name"] == other
    assert after["index"] > before["index"]  # by one, or more: the keys have proved themselves to the new leader by now


def test_a_frozen_leader_that_wakes_up_follows(told: LiveSite) -> None:
    """A leader frozen in the midst of a change, past its lease, finds another in its place and publishes nothing."""
    leader, other = told.leader()
    epoch = told.status(other)["epoch"]
    pids = [daemon.pid for daemon in told.daemons]
    told.plug(leader, told.new_key("midst"))
    told.coordinators[leader].send(SIGSTOP)
    told.plug(other, told.new_key("meanwhile"))
    told.wait_for(other, lambda status: status["epoch"] > epoch and status["keyState"] == "Abnormal", within=LEASE_OVER)
    told.coordinators[leader].send(SIGCONT)
    told.unplug(other, "meanwhile")
    for status in told.wait_for_all(lambda status: status["keyState"] == "Ready" and not status["stale"]):
        assert status["leader"]["name"] == other
        assert keys_in(status) == {leader: {"midst": "ok"}, other: {}}
    assert told.leaders() == [other]
    assert [daemon.pid for daemon in told.daemons if daemon.running] == pids


class SlowLeader:
    """The program beside this file, which waits to be told before it commits what it has decided."""

    def __init__(self, site: LiveSite) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("slow_leader.py"), site.etcd.endpoints[0], KEYS.site_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
        )
        self.epoch = int(self._line().removeprefix("deciding "))

    def freeze(self) -> Callable[[], None]:
        """Stop the process where it is and return what lets it go on."""
        self._process.send_signal(SIGSTOP)
        return lambda: self._process.send_signal(SIGCONT)

    def commit(self) -> str:
        """Let it commit and return what came of that."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def test_etcd_refuses_what_a_deposed_leader_decided_before(told: LiveSite) -> None:
    """Frozen between decision and commit until another leads, a leader's write is refused and changes nothing."""
    for coordinator in told.coordinators.values():
        coordinator.end(SIGTERM)
    slow = SlowLeader(told)
    assert slow.commit().startswith("accepted")  # while it leads there is nothing to refuse
    go_on = slow.freeze()
    told.coordinators["a"].start()
    status = eventually_sync(lambda: told.status("a"), 10)
    status = told.wait_for("a", lambda status: status["epoch"] > slow.epoch, LEASE_OVER)
    published = told.read(KEYS.status)
    go_on()
    assert slow.commit() == "refused"
    assert told.read(KEYS.status) == published
    assert told.status("a") == status
    slow.close()
    assert json.loads(published.value)["data"]["epoch"] == status["epoch"]

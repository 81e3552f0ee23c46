"""The agent as a process: simulated keys in, reports in a real etcd out, whatever is killed meanwhile."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.etcd import EtcdStore
from licensing.seen import Reading
from tests.etcd_server import EtcdServer
from tests.integration.agent.agent_process import KEYS, NODE, AgentProcess, licensed_key
from tests.waiting import eventually
from usbwatch.simulated import SimulatedKey, plug, unplug


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    """Give a real etcd of one member."""
    server = EtcdServer(tmp_path / "etcd")
    await server.start()
    yield server
    server.stop()


@pytest.fixture
async def agent(tmp_path: Path, etcd: EtcdServer) -> AsyncIterator[AgentProcess]:
    """Give a started agent whose node is reported, without keys."""
    store = EtcdStore(etcd.endpoints)
    process = AgentProcess(tmp_path, etcd.endpoints, store)
    await process.start()
    await eventually(process.sees, within=10, what="the first report")
    yield process
    await process.stop(signal.SIGKILL)
    await store.close()


async def test_keys_and_the_virtual_ip_are_reported_as_they_come_and_go(agent: AgentProcess) -> None:
    """A plugged key shows with its evidence, a broken one with its reason, the virtual IP while its file exists."""
    plug(agent.bus, licensed_key("K1"))
    report = await eventually(lambda: agent.sees("K1"))
    assert report
    assert report.keys[0].reading is Reading.OK
    assert report.keys[0].assurance == "proven"
    assert report.keys[0].licence_file == licensed_key("K1").licence_file
    plug(agent.bus, SimulatedKey(key_id="K2", broken=True))
    agent.vip.touch()
    report = await eventually(lambda: agent.sees("K1", "K2", vip=True))
    assert report
    assert report.keys[1].reading is Reading.FAULTY
    unplug(agent.bus, "K1")
    unplug(agent.bus, "K2")
    agent.vip.unlink()
    await eventually(agent.sees)


async def test_a_hangup_reads_all_keys_again(agent: AgentProcess) -> None:
    """SIGHUP challenges every key anew, which shows in the report."""
    plug(agent.bus, licensed_key("K1"))
    first = await eventually(lambda: agent.sees("K1"))
    agent.signal(signal.SIGHUP)

    async def challenged_again() -> bool:
        report = await agent.sees("K1")
        return bool(first and report) and report.keys[0].challenge != first.keys[0].challenge

    await eventually(challenged_again)


async def test_an_idle_agent_writes_nothing(agent: AgentProcess) -> None:
    """While nothing changes etcd's revision stays, over more than one life of the lease, and hardly any CPU is used."""
    await eventually(agent.sees)
    before = {key: entry.mod_revision for key, entry in (await agent.entries()).items()}
    started, used = time.monotonic(), agent.cpu_seconds
    await eventually(lambda: time.monotonic() > started + 4, within=6)
    assert {key: entry.mod_revision for key, entry in (await agent.entries()).items()} == before
    assert agent.cpu_seconds - used < 0.5


async def test_a_terminated_agent_leaves_at_once(agent: AgentProcess) -> None:
    """SIGTERM ends the process promptly with exit code 0; the live report is gone and the last one stays."""
    plug(agent.bus, licensed_key("K1"))
    await eventually(lambda: agent.sees("K1"))
    assert await agent.stop(signal.SIGTERM, within=4.0) == 0
    assert list(await agent.entries()) == [KEYS.last_seen(NODE)]


async def test_a_killed_agent_goes_with_its_lease(agent: AgentProcess) -> None:
    """After SIGKILL the live report goes when its lease runs out, the last one stays, and a new start reports again."""
    plug(agent.bus, licensed_key("K1"))
    await eventually(lambda: agent.sees("K1"))
    await agent.stop(signal.SIGKILL)
    assert await agent.live(), "the report is held by its lease"

    async def only_the_last() -> bool:
        return list(await agent.entries()) == [KEYS.last_seen(NODE)]

    await eventually(only_the_last, within=6)
    await agent.start()
    await eventually(lambda: agent.sees("K1"))


async def test_a_restarted_agent_takes_over_at_once(agent: AgentProcess) -> None:
    """An agent that starts while its former life's report is still held replaces it without waiting."""
    await agent.stop()
    agent.configure(lease_ttl=60)
    await agent.start()
    await eventually(agent.sees, within=20)
    await agent.stop(signal.SIGKILL)
    plug(agent.bus, licensed_key("K1"))
    await agent.start()
    await eventually(lambda: agent.sees("K1"), within=20)


async def test_the_report_comes_back_with_the_store(agent: AgentProcess, etcd: EtcdServer) -> None:
    """What changed while etcd was down longer than the lease is reported when it is back, and waiting costs no CPU."""
    etcd.stop()
    plug(agent.bus, licensed_key("K1"))
    down, used = time.monotonic(), agent.cpu_seconds
    await eventually(lambda: time.monotonic() > down + 4, within=6)
    assert agent.cpu_seconds - used < 0.5
    await etcd.start()
    await eventually(lambda: agent.sees("K1"), within=10)


async def test_a_store_that_lost_everything_is_told_again(
    agent: AgentProcess, etcd: EtcdServer, tmp_path: Path
) -> None:
    """An etcd that comes back empty gets the report although nothing on the node changed."""
    plug(agent.bus, licensed_key("K1"))
    await eventually(lambda: agent.sees("K1"))
    etcd.stop()
    (tmp_path / "etcd").rename(tmp_path / "lost")
    await etcd.start()
    await eventually(lambda: agent.sees("K1"), within=10)


async def test_a_terminated_agent_leaves_without_a_store(agent: AgentProcess, etcd: EtcdServer) -> None:
    """SIGTERM ends the agent in good time when there is nobody to take the lease back."""
    etcd.stop()
    assert await agent.stop(signal.SIGTERM, within=3.0) == 0


async def test_bad_settings_are_told_and_end_with_two(agent: AgentProcess) -> None:
    """A typing mistake in the settings is named on standard error."""
    await agent.stop()
    agent.configure("raed_deadline = 3\n")
    await agent.start()
    assert await agent.ended() == 2
    assert "unknown setting raed_deadline; did you mean read_deadline?" in agent.log.read_text()


@pytest.mark.parametrize(("damage", "says"), [(None, "No such file"), (b"{}", "not a usable keyring")])
async def test_a_missing_keyring_ends_with_one(agent: AgentProcess, damage: bytes | None, says: str) -> None:
    """Without the vendor's keys the agent says what to do and does not run."""
    await agent.stop()
    agent.keyring.unlink()
    if damage:
        agent.keyring.write_bytes(damage)
    await agent.start()
    assert await agent.ended() == 1
    last = agent.log.read_text().splitlines()[-1]
    assert 'event="daemon stops"' in last
    assert says in last

"""The demo as a person meets it: a real etcd, two agents, two coordinators, and verbs from another shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.demo.running_demo import TWINKEY, RunningDemo, gone
from tests.waiting import eventually_sync


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """Return one running demo for the tests that leave it as they found it."""
    demo = RunningDemo(tmp_path_factory.mktemp("demo"))
    try:
        yield demo.wait_until_ready()
    finally:
        demo.close()


@pytest.fixture
def demo(site: RunningDemo) -> Iterator[RunningDemo]:
    """Return the running demo, and tidy up what the test leaves plugged, stopped or moved."""
    yield site
    for label in "ab":
        if not all(f"{label}/{daemon}.toml" in str(site.children()) for daemon in ("agent", "coordinator")):
            site.do("start-node", label)
        for path in (site.folder / label / "bus").glob("*.ukey"):
            site.do("unplug", label, path.stem)
    if not (site.folder / "a" / "vip" / "held").exists():
        site.do("move-vip", "a")
    eventually_sync(lambda: site.keys("a") == site.keys("b") == {})


# --- a fresh site --------------------------------------------------------------------------------------------------


def test_a_fresh_site_has_no_key_and_the_virtual_ip_on_node_a(site: RunningDemo) -> None:
    """Both nodes answer with the token, agree, and one of them leads."""
    for label in "ab":
        status = site.becomes(label, stale=False)
        assert (status["keyState"], status["license"]["status"]) in {("None", "Valid"), ("Missing", "Valid")}
        assert [(node["name"], node["vip"], node["ukeys"]) for node in status["nodes"]] == [
            ("a", True, []),
            ("b", False, []),
        ]
        assert status["leader"]["name"] in "ab"


def test_what_is_secret_is_private(site: RunningDemo) -> None:
    """Only the owner can enter the folder, and read the token and the vendor's key in it."""
    assert stat.S_IMODE(site.folder.stat().st_mode) == 0o700
    for name in ("token", "vendor.key", "tokens.json"):
        assert stat.S_IMODE((site.folder / name).stat().st_mode) == 0o600
    assert (site.folder / "token").read_text().strip() == site.ready["token"]


def test_everything_listens_on_loopback_only(site: RunningDemo) -> None:
    """No program of the demo can be reached from another machine."""
    found = subprocess.run(
        [shutil.which("ss") or "ss", "-ltnpH"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    ours = [line.split()[3] for line in found for pid in site.children() if f"pid={pid}," in line]
    assert len(ours) >= 4
    assert all(address.startswith("127.0.0.1:") for address in ours)


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_plugged_key_is_seen_and_its_licence_in_force(demo: RunningDemo) -> None:
    """The verb returns when the agent has read the key; the site follows at once, and the live view shows it."""
    assert "K1 is plugged into node a" in demo.do("plug", "a", "K1")
    status = demo.becomes("b", keyState="Ready")
    assert status["license"]["name"] == "K1"
    assert demo.keys("a") == {"K1": "ok"}
    eventually_sync(lambda: any(e["event"] == "status" and e["keyState"] == "Ready" for e in demo.events))
    assert "K1" in demo.do("unplug", "a", "K1")
    demo.becomes(keyState="Missing")


def test_the_same_key_in_both_nodes_is_a_clone(demo: RunningDemo) -> None:
    """Plugging one name into both nodes makes a perfect copy, which the site suspects."""
    demo.do("plug", "a", "K1")
    demo.do("plug", "b", "K1")
    assert "clone-suspected" in demo.becomes(keyState="Abnormal")["alerts"]


def test_a_broken_key_is_a_fault_until_it_is_repaired(demo: RunningDemo) -> None:
    """Break and repair act on the key while it is plugged in."""
    demo.do("plug", "a", "K1")
    demo.do("break", "K1")
    demo.becomes(keyState="Fault")
    assert demo.keys("a") == {"K1": "faulty"}
    demo.do("repair", "K1")
    demo.becomes(keyState="Ready")


def test_any_sensible_name_is_a_key_and_others_are_refused(demo: RunningDemo) -> None:
    """Names with blanks, slashes and any script work; what cannot be shown safely is refused."""

    def alone(name: str) -> bool:
        return demo.keys("b") == {name: "ok"}

    names = ["key 7", "ключ", "../../x", "K" * 256]
    for name in names:
        demo.do("plug", "b", name)
        eventually_sync(partial(alone, name))
        demo.do("unplug", "b", name)
    for name in ("", " K1", "a\nb", "K" * 257):
        assert "name" in demo.do("plug", "b", name, code=1)


def test_what_is_so_already_is_refused(demo: RunningDemo) -> None:
    """Plugging twice and pulling what is not there are errors with clear words, also as JSON."""
    demo.do("plug", "a", "K1")
    assert "already" in demo.do("plug", "a", "K1", code=1)
    assert "not plugged" in demo.do("unplug", "b", "K1", code=1)
    answer = json.loads(demo.do("unplug", "b", "K1", "--json", code=1).splitlines()[0])
    assert "not plugged" in answer["error"]["description"]
    answer = json.loads(demo.do("plug", "b", "K2", "--json"))
    assert (answer["verb"], answer["node"], answer["key"], answer["seen"]) == ("plug", "b", "K2", True)
    demo.do("plug", "c", "K1", code=2)


# --- nodes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [[], ["--kill"]])
def test_a_stopped_node_is_not_reachable_and_comes_back(demo: RunningDemo, how: list[str]) -> None:
    """The other node answers and leads; what is plugged meanwhile is seen when the node is back."""
    demo.do("plug", "a", "K1")
    assert "Node a is stopped" in demo.do("stop-node", "a", *how)
    status = demo.becomes("b", stale=False, within=8)
    assert [node["reachable"] for node in status["nodes"]] == [False, True]
    assert status["leader"]["name"] == "b"
    assert status["keyState"] == "Ready"
    assert "stopped already" in demo.do("stop-node", "a", code=1)
    assert "when the node starts" in demo.do("plug", "a", "K2")
    assert "Node a is running" in demo.do("start-node", "a")
    demo.becomes("a", keyState="Fault")
    assert "running already" in demo.do("start-node", "a", code=1)


def test_the_virtual_ip_moves(demo: RunningDemo) -> None:
    """After the verb the new holder is the only one."""
    demo.do("move-vip", "b")
    eventually_sync(lambda: [node["vip"] for node in demo.status()["nodes"]] == [False, True])
    assert "already" in demo.do("move-vip", "b", code=1)


def test_a_daemon_that_dies_is_told_and_can_be_started_again(demo: RunningDemo) -> None:
    """Killing a daemon from outside leaves the demo running; it says who died and what to do."""
    os.kill(demo.child("a/coordinator.toml"), signal.SIGKILL)
    eventually_sync(lambda: any("coordinator of node a has died" in str(event) for event in demo.events))
    assert "start-node a" in next(str(event) for event in demo.events if "has died" in str(event))
    demo.becomes("b", stale=False, within=8)
    demo.do("start-node", "a")
    demo.becomes("a", stale=False)


# --- beside each other ---------------------------------------------------------------------------------------------


def test_a_second_demo_in_the_same_place_is_refused(site: RunningDemo) -> None:
    """The message says so, the exit code is 1, and the running demo does not notice."""
    second = RunningDemo(site.here)
    assert "is running" in second.errors()
    assert second.process.returncode == 1
    assert site.becomes(stale=False)
    site.do("plug", "a", "K1")
    site.do("unplug", "a", "K1")


def test_a_taken_port_is_named(site: RunningDemo, tmp_path: Path) -> None:
    """A demo elsewhere on the same port is refused with what to do, and leaves nothing behind."""
    second = RunningDemo(tmp_path, ports=site.ports)
    errors = second.errors()
    assert second.process.returncode == 1
    assert f"port {site.ports[0]}" in errors
    assert "--port-a" in errors
    assert list(tmp_path.iterdir()) == []


def test_without_a_demo_the_verbs_say_how_to_start_one(tmp_path: Path) -> None:
    """Every verb needs a running demo."""
    for verb in (["plug", "a", "K1"], ["break", "K1"], ["stop-node", "a"], ["move-vip", "b"]):
        result = subprocess.run([TWINKEY, "demo", *verb], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (result.returncode, "make demo" in result.stderr) == (1, True)


def test_status_finds_its_way(site: RunningDemo) -> None:
    """The operator's command shows the demo's site with the token from its file, by exit code too."""
    output = site.twinkey("status", "--url", site.ready["nodes"]["b"]["url"])
    assert "Valid" in output
    assert "leader" in output


# --- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, how: signal.Signals) -> None:
    """Within a couple of seconds no process, no port and no file is left; ending is no error."""
    demo = RunningDemo(tmp_path, "--single-node").wait_until_ready()
    children = demo.children()
    assert len(children) == 3
    assert demo.end(how, within=3) == 0
    assert gone(children)
    assert list(tmp_path.iterdir()) == []


def test_neither_a_frozen_child_nor_more_signals_spoil_the_end(tmp_path: Path) -> None:
    """What does not react to a polite signal is killed, and impatience interrupts nothing, to the very last moment."""
    demo = RunningDemo(tmp_path).wait_until_ready()
    children = demo.children()
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    demo.process.send_signal(signal.SIGINT)
    eventually_sync(lambda: "make demo" in demo.do("plug", "a", "K1", code=1))  # it is at it
    eventually_sync(lambda: demo.is_over_after(signal.SIGINT), within=15)
    assert demo.process.returncode == 0
    assert gone(children)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_demo_leaves_no_process_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    """SIGKILL leaves the folder alone behind, which the next start takes over on the same ports."""
    demo = RunningDemo(tmp_path, "--single-node").wait_until_ready()
    demo.do("plug", "a", "K1")
    children = demo.children()
    demo.end(signal.SIGKILL)
    eventually_sync(lambda: gone(children))
    assert demo.folder.exists()
    again = RunningDemo(tmp_path, "--single-node", ports=demo.ports).wait_until_ready()
    try:
        assert again.becomes(keyState="None")["nodes"][0]["ukeys"] == []
        assert again.ready["token"] != demo.ready["token"]
    finally:
        again.close()
    assert list(tmp_path.iterdir()) == []


def test_ending_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    """A Ctrl-C that comes before the site is up is as good as a later one."""
    demo = RunningDemo(tmp_path)
    eventually_sync((demo.folder / "etcd.log").exists, within=20)
    assert demo.end() == 0
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_the_reader_is_the_end_of_the_demo(tmp_path: Path) -> None:
    """A demo whose output nobody reads any more stops by itself."""
    demo = RunningDemo(tmp_path, "--single-node").wait_until_ready()
    command = [TWINKEY, "demo", "--dir", str(tmp_path / "second"), "--single-node", "--port-a", str(demo.ports[1])]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE) as second:
        assert second.stdout
        second.stdout.readline()
        second.stdout.close()
        subprocess.run([*command, "plug", "a", "K1"], check=False, capture_output=True)
        assert second.wait(10) == 0
    assert not (tmp_path / "second").exists()
    demo.close()


def test_a_store_that_dies_is_told_and_the_nodes_go_on(tmp_path: Path) -> None:
    """Without etcd the nodes serve their last status as stale, and the demo still ends as it should."""
    demo = RunningDemo(tmp_path, "--single-node").wait_until_ready()
    os.kill(demo.child("etcd"), signal.SIGKILL)
    eventually_sync(lambda: any("etcd has died" in str(event) for event in demo.events))
    demo.becomes(stale=True, within=10)
    assert "does not show it" in demo.do("plug", "a", "K1", code=1)
    assert demo.end() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_daemon_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    """A start that fails shows why instead of hanging, and leaves nothing."""
    demo = RunningDemo(tmp_path)
    agent = eventually_sync(lambda: demo.child("b/agent.toml"), within=20)
    os.kill(agent, signal.SIGKILL)
    assert "agent of node b has died unexpectedly (killed by SIGKILL)" in demo.errors()
    assert demo.process.returncode == 1
    assert list(tmp_path.iterdir()) == []

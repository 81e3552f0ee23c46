"""The children of the demo: started, watched, stopped, and dead when it is dead."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from console.demo_supervisor import ChildDied, Death, Program, Supervisor
from tests.waiting import eventually

WAITS = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def program(folder: Path, code: str, name: str = "child") -> Program:
    """Return a stand-in: a Python one-liner."""
    return Program(name, (sys.executable, "-c", code), folder, folder / f"{name}.log")


def nobody(death: Death) -> None:
    """Fail on any death."""
    raise AssertionError(str(death))


async def test_a_child_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """A child is alive from its start to its stop, and its end is no news."""
    supervisor = Supervisor(nobody)
    await supervisor.start(program(tmp_path, WAITS))
    assert supervisor.alive("child")
    await supervisor.stop(["child"])
    assert not supervisor.alive("child")


async def test_a_stopped_child_can_be_started_again(tmp_path: Path) -> None:
    """Start after stop gives a new run of the same name."""
    supervisor = Supervisor(nobody)
    for _ in range(2):
        await supervisor.start(program(tmp_path, WAITS))
        assert supervisor.alive("child")
        await supervisor.stop(["child"], patience=0)


async def test_a_deaf_child_is_killed(tmp_path: Path) -> None:
    """A child that ignores SIGTERM gets SIGKILL when patience is over."""
    supervisor = Supervisor(nobody)
    await supervisor.start(program(tmp_path, STUBBORN))
    await eventually(lambda: "deaf" in (tmp_path / "child.log").read_text())
    async with asyncio.timeout(5):
        await supervisor.stop(["child"], patience=0.1)
    assert not supervisor.alive("child")


async def test_a_frozen_child_is_killed(tmp_path: Path) -> None:
    """A child under SIGSTOP does not hold up the end."""
    supervisor = Supervisor(nobody)
    await supervisor.start(program(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"))
    async with asyncio.timeout(5):
        await supervisor.stop_all()
    assert not supervisor.alive("child")


async def test_an_unexpected_death_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    """Who dies unasked is named, with how it ended and its last words."""
    deaths: list[Death] = []
    supervisor = Supervisor(deaths.append)
    await supervisor.start(program(tmp_path, "import sys; sys.exit('the disk is full')"))
    await eventually(lambda: deaths)
    (death,) = deaths
    assert (death.name, death.code) == ("child", 1)
    assert "the disk is full" in str(death)
    assert "exit code 1" in str(death)


async def test_a_death_by_signal_is_named(tmp_path: Path) -> None:
    """A child that was killed from outside is said to be killed by that signal."""
    deaths: list[Death] = []
    supervisor = Supervisor(deaths.append)
    await supervisor.start(program(tmp_path, "import os; os.kill(os.getpid(), 9)"))
    assert "SIGKILL" in str(await eventually(lambda: deaths and deaths[0]))


async def test_work_that_needs_a_child_ends_with_it(tmp_path: Path) -> None:
    """Waiting for something gives up at once when the child it depends on has died, and tells it only there."""
    supervisor = Supervisor(nobody)
    await supervisor.start(program(tmp_path, "import sys; sys.exit('no port')"))
    with pytest.raises(ChildDied, match="no port"):
        async with asyncio.timeout(10):
            await supervisor.unless_dead(["child"], asyncio.Event().wait())


async def test_work_that_succeeds_gives_its_result(tmp_path: Path) -> None:
    """While the children live, the work's own result or error comes through."""
    supervisor = Supervisor(nobody)
    await supervisor.start(program(tmp_path, WAITS))
    assert await supervisor.unless_dead(["child"], asyncio.sleep(0, "done")) == "done"
    await supervisor.stop_all()


async def test_the_settings_of_another_site_do_not_reach_the_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TWINKEY_ and ETCD_ variables and proxies stay with the shell that has them."""
    for name in ("TWINKEY_LISTEN", "ETCD_NAME", "http_proxy", "HTTPS_PROXY", "HARMLESS"):
        monkeypatch.setenv(name, "x")
    supervisor = Supervisor(lambda _: None)
    await supervisor.start(program(tmp_path, "import os; print(*os.environ, 'end')"))
    log = tmp_path / "child.log"
    await eventually(lambda: "end" in log.read_text())
    words = log.read_text().split()
    assert "HARMLESS" in words
    assert not {"TWINKEY_LISTEN", "ETCD_NAME", "http_proxy", "HTTPS_PROXY"} & set(words)


PARENT = """
import asyncio, sys
from pathlib import Path
from console.demo_supervisor import Program, Supervisor
async def main(folder):
    code = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    await Supervisor(print).start(Program("child", (sys.executable, "-c", code), folder, folder / "child.log"))
    await asyncio.Event().wait()
asyncio.run(main(Path(sys.argv[1])))
"""


async def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """SIGKILL of the parent is the end of its children too."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(tmp_path))
    log = tmp_path / "child.log"
    child = int(await eventually(lambda: log.exists() and log.read_text().strip(), within=15))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await eventually(lambda: not _running(child), what="the child is gone")


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")  # noqa: PTH110 - a path of /proc

"""Worker processes: whatever they do, the answer comes in time and the process is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.usbmodel.watched import children
from tests.waiting import eventually
from usbwatch.device import Device
from usbwatch.messages import ANSWER_LIMIT, Contents, Failed, Gone, Outcome, ReadKey, Written, encode
from usbwatch.workers import AT_ONCE, Workers, worker_seconds

DEVICE = Device("1-2", 1, 2, 0x1209, 0xA1A1)
REQUEST = ReadKey("vendor-key", DEVICE, bytes(32), 5.0)


TELL_PID = """
import os, sys, time
from usbwatch.messages import Contents, encode

if sys.stdin.buffer.read():
    sys.stdout.buffer.write(encode(Contents(str(os.getpid()), b"", None)) + b"\\n")
    sys.stdout.flush()
"""
"""A worker whose answer has its own process number in it."""

Start = Callable[[str], Workers]


@pytest.fixture
async def script() -> AsyncIterator[Start]:
    """Give a function that returns workers which run some code instead of the real worker."""
    started: list[Workers] = []

    def start(code: str) -> Workers:
        started.append(Workers((sys.executable, "-I", "-c", code)))
        return started[-1]

    yield start
    for workers in started:
        await workers.close()


def saying(line: bytes, folder: Path) -> str:
    """Return the code of a worker that prints this line, which is kept in the folder."""
    file = folder / "line"
    file.write_bytes(line)
    return f"import sys; sys.stdin.read(); sys.stdout.buffer.write(open({str(file)!r}, 'rb').read())"


async def number_from(workers: Workers) -> int:
    """Return the number that a process answers as the id of its key."""
    outcome = await workers.ask(REQUEST, 30)
    assert isinstance(outcome, Contents), outcome
    return int(outcome.key_id)


async def new_child(before: list[int]) -> int:
    """Return the one child that was not there before."""
    return (await eventually(lambda: [pid for pid in children(os.getpid()) if pid not in before]))[0]


def reason(outcome: Outcome) -> str:
    """Return why it failed."""
    assert isinstance(outcome, Failed), outcome
    return outcome.reason


async def test_a_worker_that_hangs_is_killed_at_the_deadline(script: Start) -> None:
    """A worker that never answers costs its deadline and not more."""
    began = time.monotonic()
    outcome = await script("import time; time.sleep(60)").ask(REQUEST, 0.3)
    assert "within 0.3 s" in reason(outcome)
    assert time.monotonic() - began < 2


async def test_a_worker_that_ignores_signals_is_killed_all_the_same(script: Start) -> None:
    """SIGKILL cannot be ignored."""
    code = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; time.sleep(60)"
    workers = script(code)
    assert reason(await workers.ask(REQUEST, 0.3))
    assert workers.abandoned == 0


async def test_the_largest_licence_fits_into_an_answer(tmp_path: Path, script: Start) -> None:
    """The limit of the pipe leaves room for a licence of the largest size."""
    contents = Contents("K" * 64, bytes(64 * 1024), bytes(64))
    assert await script(saying(encode(contents) + b"\n", tmp_path)).ask(REQUEST, 5) == contents


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"x" * (ANSWER_LIMIT + 10), "nonsense"),
        (b"{}\n", "nonsense"),
        (b'{"message":"contents"}\n', "nonsense"),
        (b"\xff\n", "nonsense"),
        (b"", "without an answer"),
        (b'{"message":"identified","key_id":"K1"}\n', "without an answer"),
    ],
    ids=["too-long", "no-tag", "no-members", "no-text", "nothing", "identity-only"],
)
async def test_nonsense_is_a_failure(line: bytes, expected: str, tmp_path: Path, script: Start) -> None:
    """A worker that answers too much, too little or anything else gives a faulty key."""
    assert expected in reason(await script(saying(line, tmp_path)).ask(REQUEST, 5))


async def test_a_worker_that_crashes_is_a_failure(script: Start) -> None:
    """A worker that is killed by a signal of its own gives a faulty key."""
    assert reason(await script("import os; os.abort()").ask(REQUEST, 5))


async def test_a_worker_that_cannot_be_started_is_a_failure() -> None:
    """A missing program gives a faulty key and no exception."""
    assert "cannot be started" in reason(await Workers(("/nonexistent",)).ask(REQUEST, 5))


async def test_the_identity_comes_before_the_rest(script: Start) -> None:
    """What the key is called is known even when the rest never comes."""
    line = b'{"message":"identified","key_id":"K1"}\n'
    workers = script(f"import sys, time; sys.stdout.buffer.write({line!r}); sys.stdout.flush(); time.sleep(60)")
    heard: list[str] = []
    assert reason(await workers.ask(REQUEST, 0.5, heard.append))
    assert heard == ["K1"]


async def test_a_cancelled_reading_leaves_no_process(tmp_path: Path, script: Start) -> None:
    """Who stops waiting for a worker has killed it."""
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(script(code).ask(REQUEST, 60))
    pid = int(await eventually(lambda: pid_file.exists() and pid_file.read_text()))
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_many_workers_leave_no_open_file(tmp_path: Path, script: Start) -> None:
    """Pipes and processes do not pile up."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    workers = script(saying(encode(Written()) + b"\n", tmp_path))
    await workers.ask(REQUEST, 5)
    await workers.close()
    before = (open_files(), children(os.getpid()))
    for _ in range(5):
        await workers.ask(REQUEST, 5)
    await workers.close()
    assert (open_files(), children(os.getpid())) == before


async def test_an_outcome_does_not_wait_for_the_end_of_its_process(script: Start) -> None:
    """A worker that has answered is let go by itself, and one that stays is killed after a while."""
    workers = script(TELL_PID + "    os.close(1); time.sleep(60)")
    began = time.monotonic()
    pid = await number_from(workers)
    assert pid in children(os.getpid())
    await eventually(lambda: pid not in children(os.getpid()))
    assert time.monotonic() - began < 5
    assert workers.abandoned == 0


async def test_one_process_waits_for_the_next_request(script: Start) -> None:
    """The process that was started in advance carries the request out, and then another is started."""
    workers, before = script(TELL_PID), children(os.getpid())
    workers.keep_spare()
    first = await new_child(before)
    assert await number_from(workers) == first
    second = await new_child([*before, first])
    assert await number_from(workers) == second
    await workers.close()
    assert children(os.getpid()) == before


async def test_a_spare_that_died_meanwhile_is_replaced(script: Start) -> None:
    """A process that was killed while it waited costs nobody an answer."""
    workers, before = script(TELL_PID), children(os.getpid())
    workers.keep_spare()
    spare = await new_child(before)
    os.kill(spare, signal.SIGKILL)
    assert await number_from(workers) != spare
    await eventually(lambda: len(children(os.getpid())) == len(before) + 1)


async def test_a_spare_that_dies_of_its_request_is_replaced_once(tmp_path: Path, script: Start) -> None:
    """A request gets a fresh process when the waiting one ends without a word, and only one."""
    starts = tmp_path / "starts"
    workers = script(f"import sys; open({str(starts)!r}, 'a').write('x'); sys.stdin.read()")
    workers.keep_spare()
    await eventually(starts.exists)
    assert "without an answer" in reason(await workers.ask(REQUEST, 5))
    await workers.close()
    assert starts.read_text() in {"xx", "xxx"}  # the third one waits for the next request


async def test_so_many_work_at_once_and_the_others_wait_for_their_turn(tmp_path: Path, script: Start) -> None:
    """There are never more processes than there are turns, and whoever waits has its whole time afterwards."""
    code = f"""
import os, sys, time
from pathlib import Path
from usbwatch.messages import Contents, encode

sys.stdin.read()
there, full = Path({str(tmp_path / "there")!r}), Path({str(tmp_path / "full")!r})
there.mkdir(exist_ok=True)
mine = there / str(os.getpid())
mine.touch()
until = time.monotonic() + 20
while len(list(there.iterdir())) < {AT_ONCE} and not full.exists() and time.monotonic() < until:
    time.sleep(0.01)
full.touch()
time.sleep(0.5)  # whoever is not allowed to work would be here by then
print(encode(Contents(str(len(list(there.iterdir()))), b"", None)).decode(), flush=True)
mine.unlink()
"""
    workers = script(code)
    counts = await asyncio.gather(*(number_from(workers) for _ in range(2 * AT_ONCE)))
    assert max(counts) == AT_ONCE


async def test_no_worker_outlives_an_agent_that_was_killed(tmp_path: Path) -> None:
    """The process that waits for a request ends when nobody is left who could make one."""
    code = """
import asyncio
from usbwatch.workers import Workers

async def main():
    Workers().keep_spare()
    await asyncio.sleep(60)

asyncio.run(main())
"""
    (tmp_path / "agent.py").write_text(code)
    agent = await asyncio.create_subprocess_exec(sys.executable, str(tmp_path / "agent.py"))
    spare = await eventually(lambda: children(agent.pid))
    agent.kill()
    await agent.wait()
    await eventually(lambda: not Path(f"/proc/{spare[0]}").exists())


async def test_the_real_worker_starts_and_answers() -> None:
    """The real worker says of a device that is not there what can be said."""
    device = Device("9-9", 250, 99, 0x1209, 0xA1A1)
    workers = Workers()
    outcome = await workers.ask(ReadKey("vendor-key", device, bytes(32), worker_seconds(5)), 5)
    await workers.close()
    assert isinstance(outcome, Gone) or "/dev/bus/usb/250/099" in reason(outcome)


def test_a_worker_gets_a_little_less_time_than_its_killer() -> None:
    """A worker that runs out of time can still say why."""
    assert worker_seconds(5.0) == 4.5
    assert worker_seconds(0.5) == 0.25

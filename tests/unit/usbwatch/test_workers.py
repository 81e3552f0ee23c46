"""Worker processes: whatever they do, the answer comes in time and the process is gone."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from tests.waiting import eventually
from usbwatch.device import Device
from usbwatch.messages import ANSWER_LIMIT, Contents, Failed, Gone, Outcome, ReadKey, Written, encode
from usbwatch.workers import Workers, worker_seconds

DEVICE = Device("1-2", 1, 2, 0x1209, 0xA1A1)
REQUEST = ReadKey(DEVICE, bytes(32), 5.0)


def script(code: str) -> Workers:
    """Return workers that run this code instead of the real worker."""
    return Workers((sys.executable, "-I", "-c", code))


def saying(line: bytes, folder: Path) -> Workers:
    """Return workers that print this line, which is kept in the folder."""
    file = folder / "line"
    file.write_bytes(line)
    return script(f"import sys; sys.stdin.read(); sys.stdout.buffer.write(open({str(file)!r}, 'rb').read())")


def reason(outcome: Outcome) -> str:
    """Return why it failed."""
    assert isinstance(outcome, Failed), outcome
    return outcome.reason


async def test_a_worker_that_hangs_is_killed_at_the_deadline() -> None:
    """A worker that never answers costs its deadline and not more."""
    began = time.monotonic()
    outcome = await script("import time; time.sleep(60)").ask(REQUEST, 0.3)
    assert "within 0.3 s" in reason(outcome)
    assert time.monotonic() - began < 2


async def test_a_worker_that_ignores_signals_is_killed_all_the_same() -> None:
    """SIGKILL cannot be ignored."""
    code = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; time.sleep(60)"
    workers = script(code)
    assert reason(await workers.ask(REQUEST, 0.3))
    assert workers.abandoned == 0


async def test_the_largest_licence_fits_into_an_answer(tmp_path: Path) -> None:
    """The limit of the pipe leaves room for a licence of the largest size."""
    contents = Contents("K" * 64, bytes(64 * 1024), bytes(64))
    assert await saying(encode(contents) + b"\n", tmp_path).ask(REQUEST, 5) == contents


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
)
async def test_nonsense_is_a_failure(line: bytes, expected: str, tmp_path: Path) -> None:
    """A worker that answers too much, too little or anything else gives a faulty key."""
    assert expected in reason(await saying(line, tmp_path).ask(REQUEST, 5))


async def test_a_worker_that_crashes_is_a_failure() -> None:
    """A worker that is killed by a signal of its own gives a faulty key."""
    assert reason(await script("import os; os.abort()").ask(REQUEST, 5))


async def test_a_worker_that_cannot_be_started_is_a_failure() -> None:
    """A missing program gives a faulty key and no exception."""
    assert "cannot be started" in reason(await Workers(("/nonexistent",)).ask(REQUEST, 5))


async def test_the_identity_comes_before_the_rest() -> None:
    """What the key is called is known even when the rest never comes."""
    line = b'{"message":"identified","key_id":"K1"}\n'
    workers = script(f"import sys, time; sys.stdout.buffer.write({line!r}); sys.stdout.flush(); time.sleep(60)")
    heard: list[str] = []
    assert reason(await workers.ask(REQUEST, 0.5, heard.append))
    assert heard == ["K1"]


async def test_a_cancelled_reading_leaves_no_process(tmp_path: Path) -> None:
    """Who stops waiting for a worker has killed it."""
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(script(code).ask(REQUEST, 60))
    pid = int(await eventually(lambda: pid_file.exists() and pid_file.read_text()))
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_many_workers_leave_no_open_file(tmp_path: Path) -> None:
    """Pipes and processes do not pile up."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    workers = saying(encode(Written()) + b"\n", tmp_path)
    await workers.ask(REQUEST, 5)
    before = open_files()
    for _ in range(5):
        await workers.ask(REQUEST, 5)
    await eventually(lambda: open_files() <= before)


async def test_the_real_worker_starts_and_answers() -> None:
    """The real worker says of a device that is not there what can be said."""
    device = Device("9-9", 250, 99, 0x1209, 0xA1A1)
    outcome = await Workers().ask(ReadKey(device, bytes(32), worker_seconds(5)), 5)
    assert isinstance(outcome, Gone) or "/dev/bus/usb/250/099" in reason(outcome)


def test_a_worker_gets_a_little_less_time_than_its_killer() -> None:
    """A worker that runs out of time can still say why."""
    assert worker_seconds(5.0) == 4.5
    assert worker_seconds(0.5) == 0.25

"""Runs worker processes, each under one overall deadline that holds whatever the USB device does.

The agent's side of `usbwatch.worker`. Nothing here touches a device, so nothing here can hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

import msgspec

from usbwatch.messages import (
    ANSWER_LIMIT,
    Failed,
    Identified,
    Outcome,
    Request,
    decode_answer,
    encode,
)

WORKER = (sys.executable, "-I", "-m", "usbwatch.worker")
REAP_SECONDS = 1.0
_GRACE = 0.1
_MARGIN = 0.5  # seconds before the kill in which a worker that has run out of time can still say so


def worker_seconds(seconds: float) -> float:
    """Return the time to grant a worker that will be killed after `seconds`."""
    return max(seconds - _MARGIN, seconds / 2)


class Workers:
    """Starts one process per request; `abandoned` counts those that were not gone a second after SIGKILL."""

    def __init__(self, command: tuple[str, ...] = WORKER) -> None:
        self._command = command
        self.abandoned = 0

    async def ask(
        self, request: Request, seconds: float, identified: Callable[[str], None] = lambda _: None
    ) -> Outcome:
        """Carry out the request in a process of its own, which is gone when this returns.

        Takes at most `seconds` and one second for the kill; a failure of any kind is an outcome. `identified`
        is called with the key's id as soon as it is known.
        """
        try:
            process = await self._start()
        except OSError as error:
            return Failed(f"The reader of USB keys cannot be started: {error}.")
        reaped = False
        try:
            outcome = await _converse(process, request, seconds, identified)
        finally:
            reaped = await _end(process)
            self.abandoned += not reaped
        if isinstance(outcome, Failed) and not reaped:
            return Failed(f"{outcome.reason} The kernel does not let go of it: unplug it.", stuck=True)
        return outcome

    async def _start(self) -> Process:
        # A session of its own: Ctrl-C in a terminal is for the agent, which ends its workers itself.
        return await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, limit=ANSWER_LIMIT, start_new_session=True
        )


async def _converse(process: Process, request: Request, seconds: float, identified: Callable[[str], None]) -> Outcome:
    try:
        async with asyncio.timeout(seconds):
            return await _exchange(process, request, identified)
    except TimeoutError:
        return Failed(f"The USB key did not answer within {seconds:g} s. Re-insert it.")
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: a line beyond the limit
        return Failed(f"The reader of USB keys answered nonsense: {error}.")


async def _exchange(process: Process, request: Request, identified: Callable[[str], None]) -> Outcome:
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise ValueError("no pipe")
    stdin.write(encode(request))
    stdin.close()
    while line := await stdout.readline():
        answer = decode_answer(line)
        if not isinstance(answer, Identified):
            return answer
        identified(answer.key_id)
    return Failed("The reader of USB keys ended without an answer. See the agent's log.")


async def _end(process: Process) -> bool:
    """Kill the process unless it ends by itself; return whether it is gone.

    It ends by itself right after its answer. To kill it in that moment would take its exit code from asyncio, which
    remarks on that in the log.
    """
    if await _gone_within(process, _GRACE):
        return True
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    return await _gone_within(process, REAP_SECONDS)


async def _gone_within(process: Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True

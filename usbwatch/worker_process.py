"""One worker process, from the agent's side: start it, ask it, be rid of it. Knows no other worker.

Nothing here touches a device, so nothing here can hang.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

import msgspec

from usbwatch.messages import ANSWER_LIMIT, Failed, Identified, Outcome, Request, decode_answer, encode

Identify = Callable[[str], None]
"""Is called with a key's id as soon as it is known."""

WORKER = (sys.executable, "-I", "-m", "usbwatch.worker")
REAP_SECONDS = 1.0
"""How long a process may take to be gone after SIGKILL."""
NO_ANSWER = Failed("The reader of USB keys ended without an answer. See the agent's log.")


class WorkerProcess:
    """A process that waits for one request, carries it out and ends; it ends too when nobody can ask it any more."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: tuple[str, ...] = WORKER) -> WorkerProcess:
        """Start one; OSError when that is not possible."""
        # A session of its own: Ctrl-C in a terminal is for the agent, which ends its workers itself.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=ANSWER_LIMIT, start_new_session=True
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it is not known to have ended."""
        return self._process.returncode is None

    async def ask(self, request: Request, identified: Identify) -> Outcome | None:
        """Return what came of the request, however long that takes; None when it ended without a word."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(encode(request))
        stdin.close()
        silent = True
        try:
            while line := await stdout.readline():
                answer = decode_answer(line)
                if not isinstance(answer, Identified):
                    return answer
                identified(answer.key_id)
                silent = False
        except (msgspec.DecodeError, ValueError) as error:  # ValueError: a line beyond the limit
            return Failed(f"The reader of USB keys answered nonsense: {error}.")
        return None if silent else NO_ANSWER

    async def end(self, grace: float = 0.0) -> bool:
        """Let it end by itself within so many seconds, then kill it; return whether it is gone.

        It ends by itself right after its answer. To kill it in that moment would take its exit code from asyncio,
        which remarks on that in the log.
        """
        try:
            await self._gone_within(grace)
        finally:  # also when nobody waits any more
            if self.alive:
                self._process.kill()
        return await self._gone_within(REAP_SECONDS)

    async def _gone_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

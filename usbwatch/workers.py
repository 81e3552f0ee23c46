"""Has requests carried out by worker processes, each under one overall deadline, whatever the USB device does.

One process is kept ready, with all that it needs loaded, since a key is plugged in alone as a rule; requests
beyond it start processes of their own. Which keys there are, and what their answers mean, is not known here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from usbwatch.messages import Failed, Outcome, Request
from usbwatch.worker_process import NO_ANSWER, WORKER, Identify, WorkerProcess

logger = logging.getLogger(__name__)

OnAbandoned = Callable[[], None]
AT_ONCE = 8
"""So many processes work at a time; further requests wait for their turn."""
_REST = 0.3  # seconds after the last answer in which starting a process would only delay what follows from it
_GRACE = 0.5  # seconds in which a worker that has answered is gone by itself
_MARGIN = 0.5  # seconds before the kill in which a worker that has run out of time can still say so


def worker_seconds(seconds: float) -> float:
    """Return the time to grant a worker that will be killed after `seconds`."""
    return max(seconds - _MARGIN, seconds / 2)


@dataclass(frozen=True)
class _Errand:
    """A request, the seconds it may take, who wants to hear the key's id, and where the outcome goes."""

    request: Request
    seconds: float
    identified: Identify
    answer: asyncio.Future[Outcome]


class Workers:
    """Gives each request a process; `abandoned` counts those that were not gone a second after SIGKILL.

    An abandoned process no longer keeps others from their turn; `on_abandoned` is called for each.
    """

    def __init__(self, command: tuple[str, ...] = WORKER) -> None:
        self.abandoned = 0
        self.on_abandoned: OnAbandoned = lambda: None
        self._command = command
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._serving: set[asyncio.Task[None]] = set()
        self._spare: asyncio.Task[WorkerProcess] | None = None
        self._spare_wanted = False
        self._resting: asyncio.TimerHandle | None = None

    def keep_spare(self) -> None:
        """Start a process in advance, now and soon after each time that none works any more, until `close`."""
        self._spare_wanted = True
        self._start_spare()

    async def ask(self, request: Request, seconds: float, identified: Identify = lambda _: None) -> Outcome:
        """Carry out the request in a process of its own.

        Takes at most `seconds` from when its turn comes, and one second for the kill if that is needed; a failure
        of any kind is an outcome. The process of a failed or cancelled request is gone, or abandoned, when this
        returns; the one of any other request ends meanwhile.
        """
        errand = _Errand(request, seconds, identified, asyncio.get_running_loop().create_future())
        task = asyncio.create_task(self._serve(errand))
        self._serving.add(task)
        task.add_done_callback(self._served)
        ends: list[asyncio.Future[Any]] = [errand.answer, task]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        if not errand.answer.done():
            await task  # raises what went wrong
        return errand.answer.result()

    async def close(self) -> None:
        """End the process that was kept ready, and wait for those that end by themselves."""
        self._spare_wanted = False
        if self._resting is not None:
            self._resting.cancel()
        spare = await self._take_spare()
        if spare is not None:
            await spare.end()
        if self._serving:
            await asyncio.wait(self._serving)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        if not self._serving and self._spare_wanted:
            self._resting = asyncio.get_running_loop().call_later(_REST, self._start_spare)

    async def _serve(self, errand: _Errand) -> None:
        """Answer the request and see to it that its process ends, all in one turn."""
        async with self._turns:
            deadline = asyncio.get_running_loop().time() + errand.seconds
            spare = await self._take_spare()
            if spare is not None and await self._try(spare, errand, deadline):
                return
            try:
                worker = await WorkerProcess.start(self._command)
            except OSError as error:
                errand.answer.set_result(Failed(f"The reader of USB keys cannot be started: {error}."))
                return
            if not await self._try(worker, errand, deadline):
                errand.answer.set_result(NO_ANSWER)

    async def _try(self, worker: WorkerProcess, errand: _Errand, deadline: float) -> bool:
        """Let this worker answer the request; return whether it did, so that another need not."""
        grace = 0.0
        outcome: Outcome | None = None
        try:
            async with asyncio.timeout_at(deadline):
                outcome = await worker.ask(errand.request, errand.identified)
            grace = _GRACE
            if outcome is not None and not isinstance(outcome, Failed):
                errand.answer.set_result(outcome)
        except TimeoutError:
            outcome = Failed(f"The USB key did not answer within {errand.seconds:g} s. Re-insert it.")
        finally:
            gone = await self._ended(worker, grace)
        if isinstance(outcome, Failed):
            errand.answer.set_result(outcome if gone else _stuck(outcome))
        return outcome is not None

    async def _ended(self, worker: WorkerProcess, grace: float) -> bool:
        gone = await worker.end(grace)
        if not gone:
            self.abandoned += 1
            logger.warning(
                "process %d, which read a USB key, hangs in the kernel and cannot be killed: unplug that key",
                worker.pid,
            )
            self.on_abandoned()
        return gone

    def _start_spare(self) -> None:
        if self._spare_wanted and self._spare is None and not self._serving:
            self._spare = asyncio.create_task(WorkerProcess.start(self._command))

    async def _take_spare(self) -> WorkerProcess | None:
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        try:
            worker = await spare
        except OSError:  # is said when the next one cannot be started either
            return None
        return worker if worker.alive else None


def _stuck(failure: Failed) -> Failed:
    return Failed(f"{failure.reason} The kernel does not let go of it: unplug it.", stuck=True)

"""Whether the coordinator of this node answers, asked once a second over the loopback.

One answer that fails to come means little: a node is busy, a coordinator is restarted. Knows nothing of what a
coordinator answers beside that it lives.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import aiohttp

from cluster.https import BadAuthority, tls_problem, trusting
from cluster.pulse import Pulse

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds from one question to the next, and that an answer may take."""
MISSES = 3
"""Questions in a row that were not answered, after which it counts as not answering."""


REMEDY = "set coordinator_ca to the certificate of the site's authority"


class OwnCoordinator:
    """Asks `/livez` under `url` while `run` runs; until something else is known, it `answers`.

    `ca` is the authority of its HTTPS; it is read again where an answer fails to come, because it may have changed.

    Raises:
        BadAuthority: the file of the authority cannot be used.
    """

    def __init__(self, url: str, every: float = EVERY, ca: Path | None = None) -> None:
        self.changed = Pulse()
        self._url = url.rstrip("/") + "/livez"
        self._every = every
        self._misses = 0
        self._ca = ca
        self._trust = self._trusting()

    @property
    def answers(self) -> bool:
        """Whether it does, as far as is known."""
        return self._misses < MISSES

    async def run(self) -> None:
        """Ask for ever."""
        timeout = aiohttp.ClientTimeout(total=self._every)
        connector = aiohttp.TCPConnector(force_close=True)  # a connection that is kept would outlive the coordinator
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            while True:
                self._note(await self._ask(session))
                await asyncio.sleep(self._every)

    def _note(self, problem: str) -> None:
        before = self.answers
        self._misses = self._misses + 1 if problem else 0
        if self.answers is not before:
            if problem:
                log.warning("coordinator does not answer", extra={"why": problem})
            else:
                log.info("coordinator answers again")
            self.changed.beat()

    async def _ask(self, session: aiohttp.ClientSession) -> str:
        """Return what is wrong; empty when it answers well."""
        try:
            self._trust = self._trust or self._trusting()
            async with session.get(self._url, ssl=self._trust or True) as answer:
                return "" if answer.ok else f"{self._url} answers {answer.status}"
        except TimeoutError:
            return f"{self._url} does not answer in time"
        except BadAuthority as error:
            return str(error)
        except aiohttp.ClientError as error:
            if problem := tls_problem(error, REMEDY):
                self._trust = None
                return f"{self._url}: {problem}"
            return str(error)

    def _trusting(self) -> ssl.SSLContext | None:
        return trusting(self._ca) if self._url.startswith("https:") else None

"""Somebody who asks both nodes all the time, through all that happens to them."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.integration.mixed.older_release import licensed
from tests.site import LiveSite

PAUSE = 0.02
QUESTION = b'{"operation":"vm.create"}'


class Asking:
    """As a context: ask meanwhile, and fail at the end if any answer was not 200 or said that something is unlicensed.

    A node that is down answers nothing, which is no wrong answer.
    """

    def __init__(self, site: LiveSite) -> None:
        self.answers = dict.fromkeys(site.nodes, 0)
        self.wrong: list[str] = []
        self._site = site
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(label,)) for label in site.nodes]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and judge."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            assert not self.wrong, self.wrong[:3]
            assert all(self.answers.values()), self.answers

    def _ask_on(self, label: str) -> None:
        while not self._over.wait(PAUSE):
            with suppress(OSError, http.client.HTTPException):
                self._ask(label)

    def _ask(self, label: str) -> None:
        for method, path, body in (("GET", "/v1/status", None), ("POST", "/v1/licenses/authorize", QUESTION)):
            answer = self._site.call(label, method, path, body)
            self.answers[label] += 1
            starting = answer.status == http.client.SERVICE_UNAVAILABLE and b'"not-ready"' in answer.body
            if starting:  # a coordinator that has just started and has read nothing yet says so
                continue
            if answer.status != http.client.OK:
                self.wrong.append(f"{label}: {path}: {answer.status} {answer.body[:500]!r}")
                continue
            told = json.loads(answer.body)
            if not (licensed(told) if body is None else told["allowed"]):
                self.wrong.append(f"{label}: {path}: {answer.body[:2000]!r}")

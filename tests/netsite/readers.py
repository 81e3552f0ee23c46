"""Readers of a site: threads that ask for the status all the time and note what they are told, and when.

They know the calls that they make and nothing of what the right answer is.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, NamedTuple

from tests.netsite.asking import call
from tests.netsite.namespaces import Host
from tests.site import Answer

PAUSE = 0.02


class Target(NamedTuple):
    """Where a reader asks, and for how many seconds it waits for an answer before that counts as none."""

    address: str
    patience: float


@dataclass(frozen=True)
class Reading:
    """What one call of `GET /v1/status` came to; times are on the monotonic clock.

    `http` is 0 where nothing answered; `failure` says why. `status` is the body of a good answer.
    """

    target: str
    asked: float
    told: float
    http: int
    status: Mapping[str, Any] = field(default_factory=dict, repr=False)
    failure: str = ""

    @property
    def fresh(self) -> bool:
        """Whether it is an answer that the node vouches for as the newest."""
        return self.http == 200 and not self.status["stale"]


class Readers:
    """One thread for each target, by name, on the network of `host`; they read until `close`."""

    def __init__(self, host: Host, targets: Mapping[str, Target], port: int, token: str) -> None:
        self._host = host
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ended = threading.Event()
        self._notes: dict[str, list[Reading]] = {name: [] for name in targets}
        self._threads = [threading.Thread(target=self._read, args=item, daemon=True) for item in targets.items()]
        for thread in self._threads:
            thread.start()

    def since(self, moment: float, *targets: str) -> list[Reading]:
        """Return what was told by these targets to questions that were asked after a moment, each in order."""
        return [reading for name in targets for reading in tuple(self._notes[name]) if reading.asked >= moment]

    def newest(self, target: str) -> Reading | None:
        """Return the last reading of a target."""
        notes = self._notes[target]
        return notes[-1] if notes else None

    def forget(self) -> None:
        """Drop all notes but the newest of each target."""
        for notes in self._notes.values():
            del notes[:-1]

    def close(self) -> None:
        """End the reading."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _read(self, name: str, target: Target) -> None:
        with self._host.network_entered():  # once for the whole thread
            before: tuple[bytes, Mapping[str, Any]] = (b"", {})
            while not self._ended.wait(PAUSE):
                asked = time.monotonic()
                try:
                    answer = self._ask(target)
                except (OSError, HTTPException) as error:
                    self._note(Reading(name, asked, time.monotonic(), 0, failure=repr(error)))
                    continue
                told = time.monotonic()
                if answer.status != 200:
                    self._note(Reading(name, asked, told, answer.status, failure=answer.body.decode()[:300]))
                    continue
                if answer.body != before[0]:
                    before = answer.body, json.loads(answer.body)
                self._note(Reading(name, asked, told, answer.status, before[1]))

    def _ask(self, target: Target) -> Answer:
        return call(self._host, target.address, self._port, "GET", "/v1/status", None, self._headers, target.patience)

    def _note(self, reading: Reading) -> None:
        self._notes[reading.target].append(reading)

"""Hears of every status that a node publishes, with the moment at which it arrived."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from cluster.local_etcd import LOOPBACK

Status = dict[str, Any]


class Listener:
    """Follows the event stream of one node in a thread of its own until the process ends."""

    def __init__(self, port: int, token: str) -> None:
        self._heard: list[tuple[float, Status]] = []
        self._news = threading.Condition()
        self._connection = http.client.HTTPConnection(LOOPBACK, port)
        self._connection.request("GET", "/v1/status/stream", headers={"Authorization": f"Bearer {token}"})
        threading.Thread(target=self._listen, args=(self._connection.getresponse(),), daemon=True).start()

    def first(self, shows: Callable[[Status], bool], since: float, within: float) -> float:
        """Return when (monotonic seconds) the first status after `since` arrived that shows it.

        Raises:
            TimeoutError: none did within so many seconds.
        """

        def found() -> float | None:
            return next((at for at, status in reversed(self._heard) if at >= since and shows(status)), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None, timeout=within)
            times = [at for at, status in self._heard if at >= since and shows(status)]
        if not times:
            raise TimeoutError(f"no such status within {within} s")
        return times[0]

    def _listen(self, stream: http.client.HTTPResponse) -> None:
        for line in stream:
            if line.startswith(b"data: "):
                heard = time.monotonic(), json.loads(line.removeprefix(b"data: "))
                with self._news:
                    self._heard.append(heard)
                    self._news.notify_all()

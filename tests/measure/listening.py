"""Hears of every status that a node publishes, with the moment at which it arrived."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from cluster.local_etcd import LOOPBACK

Status = dict[str, Any]

_LARGEST = 65_536
_PATIENCE = 10.0


class Listener:
    """Follows the event stream of one node in a thread of its own until the process ends."""

    def __init__(self, port: int, token: str) -> None:
        self._heard: list[tuple[float, Status]] = []
        self._news = threading.Condition()
        request = f"GET /v1/status/stream HTTP/1.1\r\nHost: {LOOPBACK}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._socket = socket.create_connection((LOOPBACK, port), _PATIENCE)
        self._socket.sendall(request.encode())
        read = self._socket.recv(_LARGEST)
        if not read.startswith(b"HTTP/1.1 200 "):
            raise http.client.HTTPException(f"the node lets nobody listen: {read[:100]!r}")
        self._socket.settimeout(None)
        threading.Thread(target=self._listen, args=(read,), daemon=True).start()

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

    def _listen(self, read: bytes) -> None:
        """Note the moment before an event is looked at: what comes of chunks and of JSON is no time of the node's."""
        arrived = time.monotonic()
        while True:
            *events, read = read.split(b"\n\n")
            for event in events:
                _, told, data = event.partition(b"\ndata: ")
                if told:
                    with self._news:
                        self._heard.append((arrived, json.loads(data)))
                        self._news.notify_all()
            more = self._socket.recv(_LARGEST)
            arrived = time.monotonic()
            if not more:
                return
            read += more

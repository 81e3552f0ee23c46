"""How soon a thousand readers of the event stream are told of one change, beside a bare aiohttp server that does."""

from __future__ import annotations

import http.client
import itertools
import json
import select
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.local_etcd import LOOPBACK
from tests.bench.figures import Figure, at_most, compared
from tests.bench.processes import allow_many_files, floor
from tests.bench.reading import JSON, licensed_site
from tests.bench.row import Effort, Row, in_turn
from tests.bench.sites import PATIENCE, authorised
from tests.site import LiveSite, let_pass
from tests.waiting import eventually_sync

READERS = 1000
NODE = "b"
REST = 0.2
LARGEST = 65_536


def stream_fanout(effort: Effort) -> Iterator[Figure]:
    """The platform reports another usage, and everybody is told."""
    allow_many_files()
    with licensed_site() as site, tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder, "status.json")
        data.write_bytes(_answer(site))
        url, _ = stack.enter_context(floor("fanout", str(data)))
        bare_port, headers = int(url.rpartition(":")[2]), authorised(site)
        ours = stack.enter_context(Readers(site.nodes[NODE].port, "/v1/status/stream", headers))
        theirs = stack.enter_context(Readers(bare_port, "/stream", headers))
        usages, numbers = itertools.count(1), itertools.count(10**6)
        seconds = in_turn(
            effort.samples,
            lambda: ours.told_of(partial(_next_index, site), lambda _: _report(site, next(usages))),
            lambda: theirs.told_of(partial(next, numbers), partial(_change, bare_port)),
        )
        yield from compared("stream_fanout", *seconds, {50: at_most(1.3), 99: None})


def _answer(site: LiveSite) -> bytes:
    """Return an answer as long as all that will be told: each has a usage of one digit."""
    index = _next_index(site)
    _report(site, 0)
    eventually_sync(lambda: site.status(NODE)["index"] >= index)
    return site.get(NODE, "/v1/status").body


def _next_index(site: LiveSite) -> int:
    """Return the index of the answer to the next report."""
    index: int = site.status(NODE)["index"]
    return index + 1


def _report(site: LiveSite, hosts: int) -> None:
    answer = site.call("a", "PUT", "/v1/licenses/usage", json.dumps({"hosts": hosts % 10}).encode(), JSON)
    assert answer.status == http.client.OK, answer.body


def _change(port: int, number: int) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    connection.request("POST", f"/change?id={number}")
    connection.getresponse().read()
    connection.close()


class Readers:
    """A thousand connections that read one stream; they look for nothing but the event that they wait for."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        lines = [f"GET {path} HTTP/1.1", f"Host: {LOOPBACK}", *(f"{name}: {value}" for name, value in headers.items())]
        request = "\r\n".join([*lines, "", ""]).encode()
        self._poll = select.epoll()
        self._sockets = dict(_connect(port, request) for _ in range(READERS))
        for number in self._sockets:
            self._poll.register(number, select.EPOLLIN)
        self._read_until(lambda read: b"\n\n" in read, "the streams begin")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sockets.values():
            each.close()
        self._poll.close()

    def told_of(self, number: Callable[[], int], change: Callable[[int], None]) -> float:
        """Make a change; return the seconds from the first reader that has its event whole to the last one.

        `number`: which number the event will have. The change is made aside: a reader that was told before its call
        returned is seen in time.
        """
        let_pass(REST)
        self._drain()
        coming = number()
        mark = b"id: %d\n" % coming
        with ThreadPoolExecutor(1) as aside:
            changed = aside.submit(change, coming)
            seconds = self._read_until(lambda read: b"\n\n" in read.partition(mark)[2], "all are told")
            changed.result()
        return seconds

    def _read_until(self, has_all: Callable[[bytearray], object], what: str) -> float:
        read = {number: bytearray() for number in self._sockets}
        waiting, first, until = set(read), 0.0, time.monotonic() + PATIENCE
        while waiting:
            if time.monotonic() > until:
                raise TimeoutError(f"not within {PATIENCE} s: {what}; {len(waiting)} of {READERS} wait")
            for number, _ in self._poll.poll(0.1, READERS):
                read[number] += self._sockets[number].recv(LARGEST)
                if number in waiting and has_all(read[number]):
                    waiting.discard(number)
                    first = first or time.monotonic()
        return time.monotonic() - first

    def _drain(self) -> None:
        while events := self._poll.poll(0, READERS):
            for number, _ in events:
                self._sockets[number].recv(LARGEST)


def _connect(port: int, request: bytes) -> tuple[int, socket.socket]:
    made = socket.create_connection((LOOPBACK, port), PATIENCE)
    made.sendall(request)
    return made.fileno(), made


ROW = Row(
    "stream_fanout",
    f"one change → {READERS:,} readers of `GET /v1/status/stream`: from the first one told to the last",
    "bare aiohttp sending the same bytes to as many",
    "≤ 1.3 ×",
    stream_fanout,
)

"""What Prometheus may ask: the answer in figures, what a node knows of itself, and the usual process figures.

Every metric is described in `docs/metrics.md`; the alert rules and the dashboard are made of nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cluster.software import software_version
from coordinator.answer_figures import AnswerFigures, gauge, labelled
from coordinator.board import Answer, Board
from coordinator.clock import EffectiveClock
from coordinator.request_times import RequestTimes

disable_created_metrics()  # type: ignore[no-untyped-call]  # one more figure beside every counter, which nobody asks for

Uploaded = Literal["accepted", "waiting", "refused", "failed"]
"""`waiting` was accepted too, with its outcome not known in time; `failed` had nothing wrong with it."""
_RESULTS = {True: "allowed", False: "refused"}
Ends = Callable[[], Mapping[str, dt.datetime]]
"""When certificates end, by what they are for."""


class Metrics:
    """The coordinator's registry. `store_up`, `clock` and `ends` are asked at every scrape."""

    def __init__(self, board: Board, store_up: Callable[[], bool], clock: EffectiveClock, ends: Ends = dict) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.leader_changes = Counter(
            "twinkey_leader_changes", "Changes of the leader seen by this node.", registry=self.registry
        )
        self._requests = RequestTimes()
        self.registry.register(self._requests)
        self._authorise = Counter(
            "twinkey_authorize", "Operations that the platform asked about.", ("result",), registry=self.registry
        )
        self._counted = {allowed: self._authorise.labels(result) for allowed, result in _RESULTS.items()}
        self._uploads = Counter("twinkey_uploads", "Uploads of licences.", ("result",), registry=self.registry)
        for uploaded in get_args(Uploaded):
            self._uploads.labels(uploaded)
        self.registry.register(_OwnCollector(board, store_up, clock, ends))
        self._board = board
        self._answer: Answer | None = None
        self._written = b""

    def written(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry) + self._written_answer()

    def _written_answer(self) -> bytes:
        """Return the figures of the board's answer, written once for each; nothing where there is none."""
        answer = self._board.answer
        if answer is not self._answer:
            self._answer, self._written = answer, generate_latest(AnswerFigures(answer.status)) if answer else b""
        return self._written

    def saw_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.count(method, route, status, seconds)

    def authorised(self, *, allowed: bool) -> None:
        """Count one answer to the platform's question whether it may do something."""
        self._counted[allowed].inc()

    def saw_upload(self, result: Uploaded) -> None:
        """Count one upload by what became of it."""
        self._uploads.labels(result).inc()


METRICS = web.AppKey("metrics", Metrics)


async def serve(request: web.Request) -> web.Response:
    """`GET /metrics`."""
    return web.Response(body=request.app[METRICS].written(), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _OwnCollector(Collector):
    """What a coordinator knows of itself, also where it has no answer."""

    def __init__(self, board: Board, store_up: Callable[[], bool], clock: EffectiveClock, ends: Ends) -> None:
        self._board = board
        self._store_up = store_up
        self._clock = clock
        self._ends = ends

    def collect(self) -> Iterator[Metric]:
        if self._board.answer is not None:
            yield gauge(
                "status_age_seconds",
                "Seconds since this node's answer was last known to be the newest; 0 as long as it is.",
                self._board.age,
            )
        yield labelled("build_info", "The version that this node runs; always 1.", "version", {software_version(): 1})
        yield gauge("store_up", "Whether this node reaches etcd.", self._store_up())
        yield gauge("clock_rollback", "Whether this node's wall clock was set back.", self._clock.set_back)
        yield gauge(
            "clock_quarantined",
            "Whether this node's wall clock is so far ahead that it is not believed.",
            self._clock.quarantined,
        )
        yield labelled(
            "certificate_expiration_timestamp_seconds",
            "When a certificate of this node ends, in seconds since 1970.",
            "certificate",
            {name: end.timestamp() for name, end in self._ends().items()},
        )

"""How long requests took, counted in buckets for Prometheus.

prometheus-client's own histogram takes locks and finds its labels anew each time, which is a good part of what an
answer in memory costs. All requests are answered in one thread, so plain numbers do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BOUNDS = tuple(map(float, Histogram.DEFAULT_BUCKETS))
"""In seconds; the last one has no end."""


@dataclass
class _Seen:
    """Requests of one kind: how many took no longer than each bound and longer than the one before; all seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))
    seconds: float = 0.0


class RequestTimes(Collector):
    """The histogram of requests by method, route and status, of which the caller must see to it that there are few."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, int], _Seen] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        labels = (method, route, status)
        seen = self._seen.get(labels)
        if seen is None:
            seen = self._seen[labels] = _Seen()
        seen.counts[bisect_left(BOUNDS, seconds)] += 1
        seen.seconds += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Tell them, each bucket with all that took less."""
        family = HistogramMetricFamily(
            "twinkey_http_request_duration_seconds",
            "Seconds from a request to its answer.",
            labels=("method", "route", "status"),
        )
        ends = [*map(str, BOUNDS[:-1]), "+Inf"]
        for (method, route, status), seen in self._seen.items():
            buckets = list(zip(ends, accumulate(seen.counts), strict=True))
            family.add_metric((method, route, str(status)), buckets, seen.seconds)
        yield family

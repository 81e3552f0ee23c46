"""The histogram of requests is what prometheus-client's own would be."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

from coordinator.request_times import RequestTimes

TOOK = {
    ("GET", "/v1/status", 200): (0.0, 0.005, 0.0051, 0.3, 10.0, 11.0, 1e9),
    ("GET", "/v1/status", 304): (0.001,),
    ("POST", "/v1/session", 401): (0.25, 0.25),
}


def test_it_is_written_as_the_librarys_own() -> None:
    """To the byte, the bounds themselves and what is beyond all of them included."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    ours, theirs = RequestTimes(), CollectorRegistry()
    labels = ("method", "route", "status")
    name, text = "twinkey_http_request_duration_seconds", "Seconds from a request to its answer."
    histogram = Histogram(name, text, labels, registry=theirs)
    for (method, route, status), times in TOOK.items():
        for seconds in times:
            ours.count(method, route, status, seconds)
            histogram.labels(method, route, str(status)).observe(seconds)
    assert generate_latest(ours) == generate_latest(theirs)

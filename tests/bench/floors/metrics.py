"""prometheus-client with the series of a file, as ordinary gauges, counters and histograms, served by bare aiohttp.

Usage: python -m tests.bench.floors.metrics PORT FILE. The file is what the product answered to a scrape. The series of
the process itself are those of this one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.floors.serving import serve

OF_THE_PROCESS = ("process_", "python_")
MADE_BY_THE_CLIENT = "_created"
BUCKET = "le"


def copy(family: Metric, registry: CollectorRegistry) -> None:
    """Register a family with the same labels; its values are of no concern."""
    kinds: dict[str, type[Gauge | Counter | Histogram]] = {"counter": Counter, "histogram": Histogram}
    series = {tuple((name, value) for name, value in each.labels.items() if name != BUCKET) for each in family.samples}
    names = [name for name, _ in next(iter(series), ())]
    metric = kinds.get(family.type, Gauge)(family.name, family.documentation, names, registry=registry)
    if names:
        for labels in sorted(series):
            metric.labels(*(value for _, value in labels))


def registry_like(text: str) -> CollectorRegistry:
    """Return a registry with the series of a scrape."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    for family in text_string_to_metric_families(text):
        if not family.name.startswith(OF_THE_PROCESS) and not family.name.endswith(MADE_BY_THE_CLIENT):
            copy(family, registry)
    return registry


def main(port: str, file: str) -> None:
    """Render for everybody who asks."""
    registry = registry_like(Path(file).read_text(encoding="utf-8"))

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", render)
    serve(app, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])

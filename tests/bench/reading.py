"""How many answers a second a node gives, beside an aiohttp server that gives the same bytes and does nothing else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.figures import MICRO, MILLI, Aim, Figure, at_least, at_most, median
from tests.bench.load import Load, Request, load
from tests.bench.processes import allow_many_files, floor, processor_seconds
from tests.bench.row import Effort, Row, in_turn
from tests.bench.sites import authorised, running_site, told
from tests.site import LiveSite, Status

NODE = "a"
FEW, MANY = 16, 256
"""Connections at once."""
QUESTIONS = [
    json.dumps({"operation": operation, "delta": {"hosts": hosts}})
    for operation in ("host.add", "vm.create")
    for hosts in range(1, 11)
]
JSON = {"Content-Type": "application/json"}


def read_status(effort: Effort) -> Iterator[Figure]:
    """Everybody reads the whole status."""
    with licensed_site() as site:
        path = "/v1/status"
        status, headers, body = told(site, NODE, path)
        with answering("GET", path, status, headers, body) as bare:
            request = Request(path, headers=authorised(site))
            for connections in (FEW, MANY):
                yield from under_load(
                    f"read_status.{connections}", served_by(site), bare, request, connections, effort, share=0.9
                )


def read_status_etag(effort: Effort) -> Iterator[Figure]:
    """Everybody has the newest status already."""
    with licensed_site() as site:
        path = "/v1/status"
        tag = told(site, NODE, path)[1]["ETag"]
        status, headers, body = told(site, NODE, path, If_None_Match=tag)
        with answering("GET", path, status, headers, body) as bare:
            request = Request(path, headers=authorised(site, If_None_Match=tag))
            for connections in (FEW, MANY):
                name = f"read_status_etag.{connections}"
                yield from under_load(name, served_by(site), bare, request, connections, effort, share=0.9)


def authorize(effort: Effort) -> Iterator[Figure]:
    """The platform asks before every operation."""
    with licensed_site() as site:
        path = "/v1/licenses/authorize"
        answer = site.call(NODE, "POST", path, QUESTIONS[0].encode(), JSON)
        headers = {name: answer.headers[name] for name in answer.headers if name not in {"Date", "Server"}}
        del headers["Content-Length"]
        with answering("POST", path, answer.status, headers, answer.body) as bare:
            request = Request(path, "POST", QUESTIONS, authorised(site) | JSON)
            yield from under_load("authorize.16", served_by(site), bare, request, FEW, effort, share=0.8)


def scrape(effort: Effort) -> Iterator[Figure]:
    """Prometheus asks for the figures."""
    with licensed_site() as site, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "metrics")
        file.write_bytes(told(site, NODE, "/metrics")[2])
        with floor("metrics", str(file)) as bare:
            request = Request("/metrics", headers={"Accept": "text/plain"})
            yield from under_load("scrape.1", served_by(site), bare, request, 1, effort, share=0.9)


@contextmanager
def licensed_site() -> Iterator[LiveSite]:
    """Run a site with a key in each node, which is the largest answer of every day."""
    allow_many_files()
    with running_site() as site:
        for label in site.nodes:
            site.plug(label, site.new_key(f"K-{label}"))
        site.wait_for_all(_full)
        site.wait_until_told()
        yield site


def served_by(site: LiveSite) -> tuple[str, int]:
    """Return the URL and the process id of the coordinator that is asked."""
    return site.nodes[NODE].url, site.coordinators[NODE].pid


def _full(status: Status) -> bool:
    return status["license"]["status"] == "Valid" and all(node["ukeys"] for node in status["nodes"])


@contextmanager
def answering(method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, int]]:
    """Run the bare server with one answer; yield its URL and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answers.json")
        answer = {"method": method, "path": path, "status": status, "headers": headers, "body": body.decode()}
        file.write_text(json.dumps([answer]), encoding="utf-8")
        with floor("answers", str(file)) as served:
            yield served


class Answered(NamedTuple):
    """What came of one round of load, and how many seconds of a processor the server took for each answer."""

    load: Load
    each: float


def under_load(
    name: str,
    product: tuple[str, int],
    bare: tuple[str, int],
    request: Request,
    connections: int,
    effort: Effort,
    share: float,
) -> list[Figure]:
    """Put both under load in turn; the product should answer at least such a share of what the floor answers."""

    def answer(url: str, pid: int) -> Answered:
        before = processor_seconds(pid)
        done = load(url, request, connections, effort.seconds)
        return Answered(done, (processor_seconds(pid) - before) / done.requests)

    ours, floors = in_turn(effort.rounds, lambda: answer(*product), lambda: answer(*bare))
    n = sum(each.load.requests for each in ours)

    def figure(what: str, unit: str, scale: float, aim: Aim | None, get: Callable[[Answered], float]) -> Figure:
        value, limit = (scale * median([get(each) for each in rounds]) for rounds in (ours, floors))
        return Figure(f"{name}.{what}", value, unit, limit, n, aim)

    return [
        figure("rate", "1/s", 1, at_least(share), lambda each: each.load.rate),
        figure("p50", "ms", MILLI, None, lambda each: each.load.p50),
        figure("p99", "ms", MILLI, at_most(round(1 / share, 2)), lambda each: each.load.p99),
        figure("processor", "µs", MICRO, None, lambda each: each.each),
    ]


ROWS = (
    Row(
        "read_status",
        "`GET /v1/status`: answers a second and p99, over 16 and 256 connections",
        "a bare aiohttp handler that returns the same bytes and headers",
        "rate ≥ 0.9 ×, p99 ≤ 1.11 ×",
        read_status,
    ),
    Row(
        "read_status_etag",
        "the same with `If-None-Match`, which is answered 304",
        "a bare handler that returns 304 with the same headers",
        "rate ≥ 0.9 ×, p99 ≤ 1.11 ×",
        read_status_etag,
    ),
    Row(
        "authorize",
        "`POST /v1/licenses/authorize`: decisions a second, over 16 connections",
        "a bare aiohttp handler that decodes the same body and returns a constant",
        "rate ≥ 0.8 ×, p99 ≤ 1.25 ×",
        authorize,
    ),
)
SCRAPE = Row(
    "scrape",
    "`GET /metrics`: scrapes a second, one after the other",
    "prometheus-client rendering the same series, served by bare aiohttp",
    "rate ≥ 0.9 ×, p99 ≤ 1.11 ×",
    scrape,
)

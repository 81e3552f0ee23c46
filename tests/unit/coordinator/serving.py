"""The HTTP interface for tests: on a board that the test fills, or in front of a coordinator that runs."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from cluster.election import Election
from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.store import Put
from coordinator.board import Answer, Board, Sight, answer_from
from coordinator.calls import Services
from coordinator.clock import EffectiveClock
from coordinator.clocks import Clocks
from coordinator.desk import Desk
from coordinator.errors import ErrorBody
from coordinator.facts import FactReader
from coordinator.http import build_app
from coordinator.metrics import Metrics
from coordinator.outlook import Outlook
from coordinator.tokens import Token, TokenFile
from licensing.canonical import decode
from tests.unit.coordinator.running import QUICK, Coordinator
from tests.unit.coordinator.stored import KEYS, ME, NOW, POLICY, A, Hands, facts_of, published_in, view_of
from tests.unit.licensing.signing import KEYRING

Client = TestClient[Any, Any]

READER, PLATFORM, ADMIN = "reader's token", "platform's token", "admin's token"
TOKENS = TokenFile(
    (
        Token("reader", hashlib.sha256(READER.encode()).hexdigest(), ("read",)),
        Token("platform", hashlib.sha256(PLATFORM.encode()).hexdigest(), ("usage",)),
        Token("admin", hashlib.sha256(ADMIN.encode()).hexdigest(), ("read", "usage", "admin")),
    )
)
AUTH = {"Authorization": f"Bearer {READER}"}
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}"}


def answer(values: dict[str, bytes], *, connected: bool = True) -> Answer:
    """Build a node's answer from what is stored."""
    sight = Sight(connected, ME if connected else None)
    return answer_from(facts_of(view_of(values)), published_in(values), sight, NOW, POLICY)


def services(
    board: Board, clock: EffectiveClock, values: Mapping[str, bytes] | None = None, policy: Any = POLICY
) -> Services:
    """Return node a's services over a store in memory that holds `values`; the mirror does not run."""
    cluster = MemoryCluster()
    cluster.apply([Put(key, value) for key, value in (values or {}).items()])
    store = cluster.client()
    mirror = Mirror(store, KEYS.prefix, QUICK)
    election = Election(store, mirror, key=KEYS.leader, node=A, name=ME.name, timings=QUICK)
    outlook = Outlook(mirror, election, FactReader(KEYS, KEYRING), Clocks(clock, A, ME.name), policy)
    return Services(board, Desk(store, mirror, KEYS, clock, A), outlook, store, KEYS, ME, KEYRING)


class Watched(Board):
    """A board that knows how many wait."""

    waiting = 0

    async def changed(self, seen: int) -> int:
        """Wait, and count it."""
        self.waiting += 1
        try:
            return await super().changed(seen)
        finally:
            self.waiting -= 1


class Node:
    """One node's HTTP interface on a board that the test fills."""

    def __init__(self) -> None:
        self.hands = Hands()
        self.board = Watched(self.hands.boot)
        self.leading = False
        self.metrics = Metrics(self.board, lambda: True, self.hands.clock())
        served = services(self.board, self.hands.clock())
        self.app = build_app(served, TOKENS, lambda: self.leading, self.metrics)
        self.client: Client = TestClient(TestServer(self.app))

    async def get(self, path: str, **headers: str) -> ClientResponse:
        """Call with the reader's token unless another header is given."""
        return await self.client.get(path, headers=AUTH | {name.replace("_", "-"): v for name, v in headers.items()})

    def requests(self, **labels: str) -> float:
        """How many requests with these labels were counted."""
        name = "twinkey_http_request_duration_seconds_count"
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def serving(coordinator: Coordinator, node: str = A) -> AsyncIterator[Client]:
    """Let a running coordinator answer HTTP calls meanwhile."""
    desk = Desk(coordinator.store, coordinator.mirror, KEYS, coordinator.clock, node)
    outlook = coordinator.answering._outlook
    served = Services(coordinator.board, desk, outlook, coordinator.store, KEYS, ME, KEYRING)
    app = build_app(served, TOKENS, lambda: coordinator.leads, coordinator.metrics)
    async with TestClient(TestServer(app)) as client:
        yield client


async def refusal(response: ClientResponse) -> tuple[int, str, str]:
    """Return status, code and hint of a refusal, whose shape is checked on the way."""
    assert response.content_type == "application/json"
    error = decode(await response.read(), ErrorBody).error
    assert error.description
    assert error.hint
    return response.status, error.code, error.hint


async def body_of(response: ClientResponse) -> dict[str, Any]:
    """Return the body of a good answer."""
    content = await response.read()
    assert response.status == 200, content
    assert response.content_type == "application/json"
    return msgspec.json.decode(content, type=dict[str, Any])

"""Pages of the history over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cluster.memory import MemoryCluster, MemoryStore
from cluster.records import index_writes
from cluster.store import Part, Put
from coordinator.board import Board
from coordinator.calls import Services
from coordinator.http import build_app
from coordinator.metrics import Metrics
from licensing.records import ChainHead, Content, append
from tests.history import BEGINNING, content, history
from tests.unit.coordinator.serving import AUTH, TOKENS, Client, body_of, refusal, services
from tests.unit.coordinator.stored import KEYS, Hands

COUNT = 250
DAY = dt.timedelta(days=1)


def contents() -> list[Content]:
    """Return what the records say: issued in the opposite order, and one in ten expires early."""
    return [
        content(n, issued_date=BEGINNING - n * DAY, expired_date=BEGINNING + (n if n % 10 == 0 else 999) * DAY)
        for n in range(COUNT)
    ]


class Growing(MemoryStore):
    """A client of a store to which records are added while somebody reads; `left` says how often yet."""

    left = 0

    async def parts(self, bounds: Any) -> tuple[Part, ...]:
        """Add a record before counting."""
        if self.left:
            self.left -= 1
            number = sum(key.startswith(KEYS.records) for key in self.cluster.entries) // 3
            record, _ = append(ChainHead(number), content(number))
            self.cluster.apply(index_writes(KEYS, record))
        return await super().parts(bounds)


class Archive:
    """A node's HTTP interface over a store with 250 records."""

    def __init__(self) -> None:
        hands = Hands()
        board = Board(hands.boot)
        self.cluster = MemoryCluster()
        self.cluster.apply([put for record in history(contents())[0] for put in index_writes(KEYS, record)])
        self.store = Growing(self.cluster)
        plain = services(board, hands.clock())
        served = Services(board, plain.desk, plain.outlook, self.store, KEYS, plain.me, plain.keyring)
        app = build_app(served, TOKENS, lambda: False, Metrics(board, lambda: True, hands.clock()))
        self.client: Client = TestClient(TestServer(app))

    async def ask(self, query: str = "") -> tuple[list[int], int]:
        """Return the numbers of the records on a page, and the total."""
        body = await body_of(await self.client.get(f"/v1/licenses/records{query}", headers=AUTH))
        assert body["reasons"] == []
        return [record["number"] for record in body["inventories"]], body["total"]


@pytest.fixture
async def archive() -> AsyncIterator[Archive]:
    """Give an archive that answers."""
    found = Archive()
    async with found.client:
        yield found


ALL = list(range(COUNT))
EARLY = [n for n in ALL if n % 10 == 0]
PAGES = {
    "": ALL,
    "?limit=3": [0, 1, 2],
    "?start=100&limit=120": ALL[100:220],
    "?start=248&limit=1000": [248, 249],
    "?start=250": [],
    "?start=1000000000000": [],
    "?limit=0": [],
    "?sortDirection=desc&limit=201": ALL[:-202:-1],
    "?sortBy=issuedDate&limit=2": [249, 248],
    "?sortBy=issuedDate&sortDirection=desc&start=1&limit=2": [1, 2],
    "?sortBy=expiredDate&limit=25": EARLY,
    "?sortBy=uploadDate&start=5&limit=1&replyWithCount=true": [5],
    "?count": [],
    "?count=true&limit=5&replyWithCount": [],
    "?count=false&limit=1": [0],
}


@pytest.mark.parametrize(("query", "numbers"), PAGES.items(), ids=list(PAGES))
async def test_a_page_is_what_was_asked_for(archive: Archive, query: str, numbers: list[int]) -> None:
    """From where, how many, by which date and in which direction; the total is that of the whole history."""
    assert await archive.ask(query) == (numbers, COUNT)


async def test_a_record_is_told_in_full(archive: Archive) -> None:
    """Every column of the history, in the names of the interface."""
    body = await body_of(await archive.client.get("/zstack/v1/licenses/records?limit=1", headers=AUTH))
    (record,) = body["inventories"]
    assert (record["managementType"], record["authorizationMethod"], record["item"]) == (
        "usb-key",
        ["hosts"],
        "Basic Edition - Paid",
    )
    assert (record["quota"], record["status"], record["who"], record["node"]) == ({"hosts": 10}, "Valid", "admin", "a")
    assert record["uploadDate"] == record["issuedDate"] == "2026-01-01T00:00:00Z"
    assert {"expiredDate", "keyId", "licenceId", "replaced", "action", "hash", "previousHash"} <= record.keys()


BAD = [
    "start=-1",
    "start=x",
    "start=1000000000001",
    "start=" + "9" * 5000,
    "start=٣",
    "limit=1001",
    "limit=1.5",
    "limit=",
    "sortBy=name",
    "sortBy=",
    "sortDirection=up",
    "count=maybe",
    "replyWithCount=1",
]


@pytest.mark.parametrize("query", BAD, ids=lambda query: query[:20])
async def test_a_bad_parameter_is_refused_with_what_is_allowed(archive: Archive, query: str) -> None:
    """400 names the parameter and what it must be."""
    response = await archive.client.get(f"/v1/licenses/records?{query}", headers=AUTH)
    status, code, hint = await refusal(response)
    assert (status, code) == (400, "bad-parameter")
    assert hint.startswith(f"{query.partition('=')[0]} must be ")


async def test_a_record_that_cannot_be_read_is_said_to_be_so(archive: Archive) -> None:
    """The others of its page are told all the same."""
    archive.cluster.apply([Put(KEYS.record(1), b"?")])
    body = await body_of(await archive.client.get("/v1/licenses/records?limit=3", headers=AUTH))
    assert [record["number"] for record in body["inventories"]] == [0, 2]
    (reason,) = body["reasons"]
    assert reason.startswith(f"{KEYS.record(1)}: ")


async def test_a_history_that_grows_meanwhile_gives_no_record_twice(archive: Archive) -> None:
    """Pages that do not fit together are read again."""
    archive.store.left = 2
    numbers, total = await archive.ask("?sortDirection=desc&limit=1000")
    assert total > COUNT
    assert numbers == list(range(total))[::-1]


async def test_a_history_that_never_rests_is_not_read_for_ever(archive: Archive) -> None:
    """After a few attempts whoever asks is told to ask for less."""
    archive.store.left = 10_000
    response = await archive.client.get("/v1/licenses/records", headers=AUTH)
    assert (await refusal(response))[:2] == (503, "busy")
    assert response.headers["Retry-After"] == "1"


async def test_without_etcd_there_is_no_history_to_read(archive: Archive) -> None:
    """503 and when to ask again: the history is nowhere else."""
    archive.cluster.offline()
    response = await archive.client.get("/v1/licenses/records", headers=AUTH)
    assert (await refusal(response))[:2] == (503, "store-unavailable")
    assert "Retry-After" in response.headers

"""Pages of the history over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cluster.memory import MemoryCluster, MemoryStore
from cluster.records import index_writes
from cluster.store import Entry, Put
from cluster.values import encode_value
from coordinator.board import Board
from coordinator.calls import Services
from coordinator.http import build_app
from coordinator.metrics import Metrics
from licensing.ledger import Ledger
from licensing.records import ChainHead, Content, ManagementType, append
from licensing.status import Validity
from tests.history import BEGINNING, content
from tests.unit.coordinator.serving import AUTH, TOKENS, Client, answer, body_of, refusal, services
from tests.unit.coordinator.stored import KEYS, A, B, Hands, at_rest, publish, stored_report

COUNT = 250
DAY = dt.timedelta(days=1)


def contents() -> list[Content]:
    """Return what the records say: issued in the opposite order; one in ten expires early and is of the trial."""
    return [
        content(
            n,
            issued_date=BEGINNING - n * DAY,
            expired_date=BEGINNING + (n if n % 10 == 0 else 999) * DAY,
            management_type=ManagementType.BUILT_IN if n % 10 == 0 else ManagementType.USB_KEY,
            status=Validity.EXPIRED if n % 20 == 0 else Validity.VALID,
            name=f"Straße {n}",
            who="Zoë" if n % 2 else "admin",
            node=B if n % 10 == 3 else A,
            key_id=None if n % 10 == 0 else f"Key-{n}",
            sentence="It was DISTURBED." if n == 7 else "Installed.",
        )
        for n in range(COUNT)
    ]


class Growing(MemoryStore):
    """A client of a store to which records are added while somebody reads; `left` says how often yet.

    `then`: what is written when somebody looks through the records.
    """

    head = ChainHead()
    left = 0
    entries_read = 0
    then: Put | None = None

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """Read, and count what is read; then something happens."""
        found = await super().page(start, end, limit)
        if self.then is not None:
            self.cluster.apply([self.then])
        self.entries_read += len(found)
        return found

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Add a record before records are read."""
        if self.left and len(keys) > 1:
            self.left -= 1
            self.add(content(self.head.count))
        return await super().read(keys)

    def add(self, told: Content) -> None:
        """Add a record to the history."""
        record, self.head = append(self.head, told)
        ledger = Ledger(record_count=self.head.count, record_hash=self.head.hash)
        self.cluster.apply([*index_writes(KEYS, record), Put(KEYS.ledger, encode_value(ledger))])


class Archive:
    """A node's HTTP interface over a store with 250 records."""

    def __init__(self) -> None:
        hands = Hands()
        board = Board(hands.boot)
        board.show(answer(publish(at_rest() | {KEYS.node(B): stored_report(B, name="Prague")})))
        self.cluster = MemoryCluster()
        self.store = Growing(self.cluster)
        for told in contents():
            self.store.add(told)
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


LATE = [n for n in ALL if n % 10]
FILTERED = {
    "managementType=built-in": (EARLY, 25),
    "managementType=built-in&limit=2&start=3": ([30, 40], 25),
    "managementType=built-in&sortDirection=desc&limit=2": ([240, 230], 25),
    "managementType=built-in&sortBy=issuedDate&limit=2": ([240, 230], 25),
    "managementType=built-in&sortBy=expiredDate&limit=2&start=24": ([240], 25),
    "managementType=usb-key&sortBy=expiredDate&sortDirection=desc&limit=2": (LATE[:-3:-1], 225),
    "managementType=usb-key": (LATE, 225),
    "managementType=request-key": ([], 0),
    "status=Expired": (list(range(0, COUNT, 20)), 13),
    "managementType=built-in&status=Valid": (list(range(10, COUNT, 20)), 12),
    "text=ZO%C3%8B&limit=1": ([1], 125),
    "text=strasse+17": ([17, *range(170, 180)], 11),
    "text=basic+edition&limit=0": ([], COUNT),
    "text=zo%C3%AB&managementType=built-in": ([], 0),
    "text=&limit=1": ([0], COUNT),
    "text=Installed&limit=1": ([0], COUNT - 1),
    "text=disturbed": ([7], 1),
    "text=key-17": ([17, *range(171, 180)], 10),
    "text=node-b&limit=3": ([3, 13, 23], 25),
    "text=pRAG&limit=3": ([3, 13, 23], 25),
    "text=pRAG&status=Expired": ([], 0),
    "text=nowhere": ([], 0),
    "status=Expired&count": ([], 13),
    "status=Expired&start=13": ([], 13),
}


@pytest.mark.parametrize(("query", "expected"), FILTERED.items(), ids=list(FILTERED))
async def test_only_what_is_wanted_is_told(archive: Archive, query: str, expected: tuple[list[int], int]) -> None:
    """Filters combine, go with every order and page, and the total is of what is wanted."""
    assert await archive.ask(f"?{query}") == expected


async def test_of_what_cannot_be_read_nobody_knows_whether_it_is_wanted(archive: Archive) -> None:
    """The answer says how many those are, and has the others."""
    archive.cluster.apply([Put(KEYS.record(20), b"?"), Put(KEYS.record(30), b'{"data":{},"version":1}')])
    body = await body_of(await archive.client.get("/v1/licenses/records?managementType=built-in&limit=3", headers=AUTH))
    assert [record["number"] for record in body["inventories"]] == [0, 10, 40]
    assert body["total"] == 23
    (reason,) = body["reasons"]
    assert "wanted: 2." in reason


@pytest.mark.parametrize("query", ["limit=5", "sortBy=issuedDate&start=100&limit=5", "count"], ids=range(3))
async def test_without_a_filter_the_history_is_not_looked_through(archive: Archive, query: str) -> None:
    """What is asked for often costs no more than its own page."""
    await archive.ask(f"?{query}")
    archive.store.entries_read = 0
    await archive.ask(f"?{query}")
    assert archive.store.entries_read == 0
    await archive.ask(f"?{query}&status=Valid")
    assert archive.store.entries_read == COUNT


@pytest.mark.parametrize("query", ["status=Expired&count", "status=Expired&start=13", "text=disturbed", "text=nowhere"])
async def test_a_search_in_two_histories_is_not_told(archive: Archive, query: str) -> None:
    """Also where no record of what was found is asked for, so that nothing more is read of it."""
    archive.store.then = Put(KEYS.ledger, encode_value(Ledger(record_count=COUNT, record_hash="f" * 64)))
    response = await archive.client.get(f"/v1/licenses/records?{query}", headers=AUTH)
    assert (await refusal(response))[:2] == (503, "busy")


async def test_a_search_does_not_mind_records_that_are_added_meanwhile(archive: Archive) -> None:
    """What was found is still there, and all that there was."""
    record, head = append(archive.store.head, content(COUNT, status=Validity.EXPIRED))
    archive.cluster.apply(index_writes(KEYS, record))
    archive.store.then = Put(KEYS.ledger, encode_value(Ledger(record_count=head.count, record_hash=head.hash)))
    assert await archive.ask("?status=Expired&count") == ([], 13)


async def test_a_search_without_etcd_is_told_so(archive: Archive) -> None:
    """503 like every other reading of the history."""
    archive.cluster.offline()
    response = await archive.client.get("/v1/licenses/records?text=x", headers=AUTH)
    assert (await refusal(response))[:2] == (503, "store-unavailable")


async def test_a_record_is_told_in_full(archive: Archive) -> None:
    """Every column of the history, in the names of the interface."""
    body = await body_of(await archive.client.get("/zstack/v1/licenses/records?limit=1", headers=AUTH))
    (record,) = body["inventories"]
    assert (record["managementType"], record["authorizationMethod"], record["item"]) == (
        "built-in",
        ["hosts"],
        "Basic Edition - Paid",
    )
    assert (record["quota"], record["status"], record["who"], record["node"]) == (
        {"hosts": 10},
        "Expired",
        "admin",
        A,
    )
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
    "managementType=",
    "managementType=usb",
    "status=valid",
    "status=",
    "text=" + "x" * 257,
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

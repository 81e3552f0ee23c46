"""The history for spreadsheets: every record in the order asked for, in a form that every program reads alike."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import ClientPayloadError, ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from cluster.memory import MemoryCluster, MemoryStore
from cluster.records import index_writes
from cluster.store import Entry, Put, Unavailable
from cluster.values import encode_value
from coordinator.board import Board
from coordinator.calls import Services
from coordinator.http import build_app
from coordinator.metrics import Metrics
from coordinator.records_csv import COLUMNS, QUOTA
from licensing.ledger import Ledger
from licensing.licence import Quota
from licensing.records import ChainHead, Content, ManagementType, Record, Unit, append
from tests.history import content, history
from tests.unit.coordinator.serving import AUTH, PLATFORM, TOKENS, Client, refusal, services
from tests.unit.coordinator.stored import KEYS, Hands

PATH = "/v1/licenses/records.csv"
COUNT = 230
ODD = {
    3: "=cmd|' /C calc'!A0",
    4: "+1",
    5: "-1",
    6: "@SUM(A1)",
    7: "\t=1",
    8: "\r=1",
    9: 'comma, "quote"',
    10: "two\nlines",
    11: "北京 Zoë",
    12: "a=b",
    13: "\N{FULLWIDTH EQUALS SIGN}1",
    14: "\N{FULLWIDTH PLUS SIGN}1",
    15: "\N{FULLWIDTH HYPHEN-MINUS}1",
    16: "\N{FULLWIDTH COMMERCIAL AT}SUM(A1)",
}

HARMLESS = (9, 10, 11, 12)


def contents() -> list[Content]:
    """Return what the records say; some have names that make trouble."""
    odd = [content(n, name=ODD.get(n, f"Licence {n}"), issued_date=content(-n).upload_date) for n in range(COUNT)]
    many = Quota(hosts=10, cpu_sockets=0)
    odd[0] = content(0, quota=many, authorization_method=(Unit.HOSTS, Unit.CPU_SOCKETS), replaced="L", key_id=None)
    odd[1] = content(1, management_type=ManagementType.BUILT_IN)
    return odd


RECORDS, HEAD = history(contents())


def ledger_of(head: ChainHead) -> Put:
    """Return the write of a ledger that knows of these records."""
    return Put(KEYS.ledger, encode_value(Ledger(record_count=head.count, record_hash=head.hash)))


class Failing(MemoryStore):
    """A client of a store that reads records so often before it fails, or before something else happens to it."""

    reads = 1000
    then: Put | None = None

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """Read, after which something may happen."""
        found = await super().page(start, end, limit)
        if self.reads <= 0 and self.then is not None:
            self.cluster.apply([self.then])
        return found

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Read, or fail."""
        self.reads -= len(keys) > 1
        if self.reads < 0 and self.then is None:
            raise Unavailable("it went away")
        if self.reads < 0 and self.then is not None:
            self.cluster.apply([self.then])
        return await super().read(keys)


class Archive:
    """A node's HTTP interface over a store with a history."""

    def __init__(self) -> None:
        hands = Hands()
        board = Board(hands.boot)
        self.cluster = MemoryCluster()
        self.cluster.apply([put for record in RECORDS for put in index_writes(KEYS, record)] + [ledger_of(HEAD)])
        self.store = Failing(self.cluster)
        plain = services(board, hands.clock())
        served = Services(board, plain.desk, plain.outlook, self.store, KEYS, plain.me, plain.keyring)
        app = build_app(served, TOKENS, lambda: False, Metrics(board, lambda: True, hands.clock()))
        self.client: Client = TestClient(TestServer(app))

    async def get(self, query: str = "") -> ClientResponse:
        """Ask for the file."""
        return await self.client.get(f"{PATH}{query}", headers=AUTH)

    async def rows(self, query: str = "") -> list[dict[str, str]]:
        """Return the rows of the file by the names in its first row."""
        text = (await (await self.get(query)).read()).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.fixture
async def archive() -> AsyncIterator[Archive]:
    """Give an archive that answers."""
    found = Archive()
    async with found.client:
        yield found


def test_every_member_of_a_record_has_a_column() -> None:
    """Nothing that a record says is left out; its quota has a column for each unit."""
    members = {field.encode_name for field in msgspec.structs.fields(Record)}
    assert set(COLUMNS) == (members - {"quota"}) | set(QUOTA)
    assert set(QUOTA) == {field.encode_name for field in msgspec.structs.fields(Quota)}
    assert len(set(COLUMNS)) == len(COLUMNS)


async def test_the_file_has_a_name_and_the_right_form(archive: Archive) -> None:
    """A browser keeps it as a file, in which Excel knows UTF-8, and rows that end as the standard says."""
    response = await archive.get()
    body = await response.read()
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == 'attachment; filename="licence-records-2026-03-01.csv"'
    assert body.startswith(b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + b"\r\n")
    assert body.count(b"\xef\xbb\xbf") == 1
    assert body.endswith(b"\r\n")
    assert body.count(b"\r\n") == COUNT + 1


async def test_a_row_has_what_the_record_says(archive: Archive) -> None:
    """In the words of the API; what is not there is empty, and nothing is not the same as 0."""
    row = (await archive.rows())[0]
    record: dict[str, Any] = msgspec.to_builtins(RECORDS[0])
    assert (row["hosts"], row["cpuSockets"], row["cpuCores"]) == ("10", "0", "")
    assert (row["authorizationMethod"], row["keyId"], row["replaced"]) == ("hosts cpuSockets", "", "L")
    for column in set(COLUMNS) - {*QUOTA, "authorizationMethod", "keyId"}:
        assert row[column] == str(record[column])


ORDERS = {
    "": list(range(COUNT)),
    "?sortDirection=desc": list(range(COUNT))[::-1],
    "?sortBy=issuedDate&text=licence+1&sortDirection=desc": [*range(17, 20), *range(100, 200)],
    "?managementType=built-in": [1],
    "?text=%E5%8C%97%E4%BA%AC": [11],
    "?status=Expired": [],
}


@pytest.mark.parametrize(("query", "numbers"), ORDERS.items(), ids=range(len(ORDERS)))
async def test_it_has_what_is_wanted_in_the_order_asked_for(archive: Archive, query: str, numbers: list[int]) -> None:
    """The filters and orders are those of the page, but all of it comes at once."""
    assert [int(row["number"]) for row in await archive.rows(query)] == numbers


async def test_no_cell_is_computed_by_a_spreadsheet(archive: Archive) -> None:
    """What looks like a formula gets an apostrophe; all else arrives as it was, whatever is in it."""
    names = {int(row["number"]): row["name"] for row in await archive.rows()}
    for number, name in ODD.items():
        assert names[number] == (name if number in HARMLESS else f"'{name}")


async def test_a_record_that_cannot_be_read_has_a_row_that_says_so(archive: Archive) -> None:
    """Nobody takes the rest for the whole, also where it is not known whether it is wanted."""
    archive.cluster.apply([Put(KEYS.record(1), b"?")])
    row = (await archive.rows())[1]
    assert (row["number"], row["hash"]) == ("1", "")
    assert row["sentence"].startswith("The record cannot be read: ")
    assert [row["number"] for row in await archive.rows("?text=licence+229")] == ["229", "1"]


async def test_a_file_that_is_cut_short_is_no_file(archive: Archive) -> None:
    """When etcd goes away in the middle the connection ends in a way that every client takes for a failure."""
    archive.store.reads = 1
    async with asyncio.timeout(5):
        response = await archive.get()
        assert response.status == 200
        with pytest.raises(ClientPayloadError):
            await response.read()


@pytest.mark.parametrize(("reads", "wanted"), [(1, "sortBy=issuedDate"), (0, "text=nowhere")], ids=["some", "nothing"])
async def test_no_file_is_of_two_histories(archive: Archive, reads: int, wanted: str) -> None:
    """When another history takes the place of the one that is sent, the connection ends so, empty file or not."""
    archive.store.reads, archive.store.then = reads, ledger_of(ChainHead(COUNT, "f" * 64))
    async with asyncio.timeout(5):
        response = await archive.get(f"?{wanted}")
        with pytest.raises(ClientPayloadError):
            await response.read()


async def test_records_that_are_added_meanwhile_are_not_in_the_file(archive: Archive) -> None:
    """It is the history as it was when somebody asked for it."""
    record, head = append(HEAD, content(COUNT))
    archive.cluster.apply(index_writes(KEYS, record))
    archive.store.reads, archive.store.then = 1, ledger_of(head)
    assert [int(row["number"]) for row in await archive.rows()] == list(range(COUNT))


async def test_without_etcd_there_is_no_file(archive: Archive) -> None:
    """503 as long as nothing has been sent."""
    archive.cluster.offline()
    assert (await refusal(await archive.get()))[:2] == (503, "store-unavailable")


@pytest.mark.parametrize("query", ["sortBy=x", "status=x", "managementType=x", "text=" + "x" * 257], ids=range(4))
async def test_a_bad_parameter_is_refused(archive: Archive, query: str) -> None:
    """400 before anything is read."""
    assert (await refusal(await archive.get(f"?{query}")))[:2] == (400, "bad-parameter")


async def test_only_readers_get_it(archive: Archive) -> None:
    """A token without that scope is refused."""
    response = await archive.client.get(PATH, headers={"Authorization": f"Bearer {PLATFORM}"})
    assert (await refusal(response))[:2] == (403, "forbidden")

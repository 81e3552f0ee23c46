"""The API's description: of every call and of nothing else, valid as OpenAPI, with every refusal that there is."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import coordinator
import licensing
from coordinator.calls import Call, as_json
from coordinator.errors import ApiError
from coordinator.http import CALLS, PREFIXES, ROOT_CALLS
from coordinator.openapi import document
from coordinator.ordering import refuse
from coordinator.orders import Outcome
from coordinator.probes import livez
from coordinator.telling_time import TIME
from tests.unit.coordinator.serving import Node

Document = dict[str, Any]
DOCUMENT: Document = msgspec.json.decode(document(CALLS, PREFIXES, ROOT_CALLS))
OPERATIONS = {
    (method.upper(), path): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "servers"
}
REFUSES_WITH = ("ApiError", "Outcome", "NotInstalled", "UploadRefused", "LicenceRefused")


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """Serve a node that shows nothing yet."""
    node = Node()
    async with node.client:
        yield node


def referred(value: Any) -> Iterator[str]:
    """Yield everything that a document refers to."""
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from referred(part)


async def test_the_document_is_served_to_everybody(node: Node) -> None:
    """Who has no token yet may read how to call."""
    response = await node.client.get("/openapi.json")
    assert (response.status, response.content_type) == (200, "application/json")
    assert await response.json() == DOCUMENT


def test_it_is_an_openapi_document() -> None:
    """It is valid by the meta-schema of OpenAPI 3.1, and every reference leads somewhere."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(DOCUMENT).validate()


async def test_every_route_is_described_and_nothing_else(node: Node) -> None:
    """The routes of the application are those of the document under its servers, one for one."""
    routes = {
        (route.method, route.resource.canonical)
        for route in node.app.router.routes()
        if route.method not in {"HEAD", "*"}  # the one comes along with GET, the other refuses what is no call
    }
    described = {
        (method, server["url"].rstrip("/") + path)
        for method, path in OPERATIONS
        for server in DOCUMENT["paths"][path].get("servers", DOCUMENT["servers"])
    }
    assert described == routes


def test_both_prefixes_are_servers() -> None:
    """Clients of the platform find the same calls under its own prefix."""
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/v1", "/zstack/v1"]


def test_every_call_says_which_scope_its_token_needs() -> None:
    """A token or a session with that scope does, or whichever is known; without a scope neither is needed."""
    for call in (*CALLS, *ROOT_CALLS):
        security = OPERATIONS[call.method, call.path]["security"]
        scopes = [] if call.scope == "any" else [call.scope]
        assert security == ([{"token": scopes}, {"session": scopes}] if call.scope else [])
    assert all(call.scope is None for call in ROOT_CALLS)


def test_every_call_is_told_in_one_sentence() -> None:
    """Summaries are sentences, and no two calls have the same name."""
    for operation in OPERATIONS.values():
        assert re.fullmatch(r"[A-Z][^.]*\.", operation["summary"]), operation["summary"]
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


def test_every_refusal_has_the_same_body() -> None:
    """Whatever is refused, the body is the shared error; only a probe says no in a word."""
    for (_, path), operation in OPERATIONS.items():
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert refusals
        for status, answer in refusals.items():
            if (path, status) != ("/leader", "503"):
                assert answer == {"$ref": f"#/components/responses/Refused{status}"}
    for answer in DOCUMENT["components"]["responses"].values():
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}


def test_an_order_that_is_put_off_says_until_when() -> None:
    """A leader that cannot carry an order out yet answers like everything else that is described with 503."""
    with pytest.raises(ApiError) as refused:
        refuse(Outcome(503, "not-ready", "Not yet.", "Ask again.", changed=False))
    described = set(DOCUMENT["components"]["responses"]["Refused503"]["headers"])
    assert described == {TIME, *refused.value.headers}


def test_every_status_that_a_refusal_can_have_is_described() -> None:
    """The code that refuses names no status that is not in the document, and the document none that nobody gives."""
    given = set(statuses_in_code())
    assert {400, 401, 404, 409, 413, 422, 429, 500, 503} <= given
    described = {int(status) for operation in OPERATIONS.values() for status in operation["responses"]}
    assert {status for status in described if status >= 400} == given


def statuses_in_code() -> Iterator[int]:
    """Yield the statuses with which the code refuses: where a refusal is made, and in tables of them."""
    for package in (coordinator, licensing):
        for path in Path(package.__file__ or "").parent.glob("*.py"):
            for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for word in refusing_words(part):
                    if isinstance(word, ast.Constant) and type(word.value) is int and 400 <= word.value < 600:
                        yield word.value


def refusing_words(part: ast.AST) -> list[ast.expr]:
    """Return what a refusal is made from."""
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in REFUSES_WITH:
        return part.args
    return part.elts if isinstance(part, ast.Tuple) else []


def test_no_schema_is_left_over_and_all_are_readable() -> None:
    """Every schema is used, and says nothing of Python."""
    schemas = DOCUMENT["components"]["schemas"]
    assert {f"#/components/schemas/{name}" for name in schemas} <= set(referred(DOCUMENT))
    for name, schema in schemas.items():
        assert not name.startswith("_")
        assert not re.search(r"\bNone\b|Raises:|\n ", schema.get("description", ""))


class Shape(Enum):
    """A type whose name is taken."""

    ROUND = "round"


def test_two_types_of_one_name_are_refused() -> None:
    """A type would otherwise be described by another's shape."""
    other = msgspec.defstruct("Shape", ["sides"])
    gives = {200: as_json(Shape), 202: as_json(other)}
    with pytest.raises(ValueError, match="called Shape"):
        document([Call("GET", "/shape", livez, "read", "Tell a shape.", gives)], PREFIXES)

"""docs/errors.md and the code agree: every code of a refusal is there with its statuses, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import coordinator
import licensing
from licensing.operations import CAPACITY_MISMATCH, EXPIRED, NOT_PERMITTED
from tests.unit.coordinator.serving import AUTH, Node, refusal

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"
ROW = re.compile(r"^\| `([^`]+)` \| (\d{3}) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
REFUSALS = ("ApiError", "Outcome", "NotInstalled", "UploadRefused")
VERDICTS = {(EXPIRED, 200), (NOT_PERMITTED, 200), (CAPACITY_MISMATCH, 200)}
"""What `authorize` answers: refusals of an operation, and none of the call."""
OF_HTTP = {("not-found", 404), ("method-not-allowed", 405)}
"""What is refused before any of our code is asked, by the words of the standard."""


def documented() -> list[tuple[str, int]]:
    """Return codes and statuses in the page's tables."""
    return [(code, int(status)) for code, status, _, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))]


def in_code() -> Iterator[tuple[str, int]]:
    """Yield codes and statuses where a refusal is made, and those of the table of refusals of licence files."""
    for package in (coordinator, licensing):
        for path in Path(package.__file__ or "").parent.glob("*.py"):
            for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield from pair_in(part)


def pair_in(part: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the code and the status that stand side by side, whichever comes first, where a refusal is made."""
    words: list[ast.expr] = []
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in REFUSALS:
        words = part.args[:2]
    elif isinstance(part, ast.Tuple):
        words = part.elts[:2]
    match [word.value for word in words if isinstance(word, ast.Constant)]:
        case [str(code), int(status)] | [int(status), str(code)] if code and 400 <= status < 600:
            yield code, status


def test_the_page_and_the_code_agree() -> None:
    """No code is left out, none is made up, and each has the status that it comes with."""
    assert set(documented()) == {*in_code(), *VERDICTS, *OF_HTTP}


def test_a_code_stands_once_and_in_order() -> None:
    """Whoever looks a code up finds it: once in all with one status, by the alphabet in its table."""
    assert len(set(documented())) == len(documented())
    for table in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        codes = [code for code, *_ in ROW.findall(table)]
        assert codes == sorted(codes)
        assert codes


async def test_http_itself_refuses_in_the_same_form() -> None:
    """A path or a method that there is none of is refused with the code that the page has."""
    node = Node()
    async with node.client:
        found = {
            (await refusal(await node.client.get("/v1/nothing", headers=AUTH)))[:2],
            (await refusal(await node.client.delete("/v1/status", headers=AUTH)))[:2],
        }
    assert {(code, status) for status, code in found} == OF_HTTP

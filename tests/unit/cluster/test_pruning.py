"""What a newer version added is left out of a value, however deep it is, and nothing else is."""

from __future__ import annotations

import msgspec
import pytest

from cluster.pruning import prune
from licensing.canonical import Malformed
from licensing.value import Name, Value


class Round(Value, frozen=True, tag_field="kind", tag="round"):
    """One of two shapes."""

    width: int


class Square(Value, frozen=True, tag_field="kind", tag="square"):
    """The other one."""

    side_length: int


class Box(Value, frozen=True, omit_defaults=True):
    """A value with others of its own kind in it."""

    name: Name
    parts: tuple[Box, ...] = ()


class Label(Value, frozen=True):
    """A value with nothing of its own kind in it."""

    text: str


class Crate(Value, frozen=True, omit_defaults=True):
    """A value of values."""

    shape: Round | Square | None = None
    labels: tuple[Label, ...] = ()
    by_place: dict[str, Label] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize(
    ("given", "kept", "left_out"),
    [
        pytest.param(b'{"labels":[{"text":"a"}]}', b'{"labels":[{"text":"a"}]}', (), id="nothing"),
        pytest.param(b'{"colour":1,"labels":[]}', b'{"labels":[]}', ("colour",), id="top"),
        pytest.param(
            b'{"labels":[{"text":"a"},{"size":2,"text":"b"}]}',
            b'{"labels":[{"text":"a"},{"text":"b"}]}',
            ("size",),
            id="list",
        ),
        pytest.param(
            b'{"byPlace":{"size":{"size":2,"text":"b"}}}', b'{"byPlace":{"size":{"text":"b"}}}', ("size",), id="map"
        ),
        pytest.param(
            b'{"shape":{"kind":"square","sideLength":3,"width":1}}',
            b'{"shape":{"kind":"square","sideLength":3}}',
            ("width",),
            id="alternative",
        ),
        pytest.param(b'{"shape":{"kind":"oval","x":1}}', b'{"shape":{"kind":"oval","x":1}}', (), id="no-alternative"),
        pytest.param(b'{"shape":null}', b'{"shape":null}', (), id="null"),
        pytest.param(b'{"labels":{"size":1}}', b'{"labels":{"size":1}}', (), id="another-shape"),
        pytest.param(b"[]", b"[]", (), id="no-object"),
    ],
)
def test_what_is_unknown_is_left_out(given: bytes, kept: bytes, left_out: tuple[str, ...]) -> None:
    """Members go where their object's type does not know them; names that are data, and wrong shapes, stay."""
    assert prune(given, Crate) == (kept, left_out)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{ "a":1}', b'{"a":1e999}', b"[" * 100_000],
    ids=["empty", "cut", "no-text", "order", "twice", "space", "infinite", "deep"],
)
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    """A newer version writes canonical JSON too; anything else is damage."""
    with pytest.raises(Malformed):
        prune(data, Crate)


def test_a_type_may_contain_itself() -> None:
    """Also then its members are known at every depth."""
    given = b'{"name":"a","new":1,"parts":[{"name":"b","new":1,"parts":[{"name":"c","new":2}]}]}'
    pruned = prune(given, Box)
    assert pruned.left_out == ("new",)
    assert msgspec.json.decode(pruned.data, type=Box) == Box("a", parts=(Box("b", parts=(Box("c"),)),))

"""What a type does not know, taken out of a value: how an older version reads what a newer one wrote.

Only whole members of objects can be left out. A name among alternatives that is unknown stays, and whoever decodes
refuses it. Knows nothing of the store.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import inspect

from licensing import canonical


class Pruned(NamedTuple):
    """Canonical JSON with nothing in it that the type does not know, and the names of the members left out."""

    data: bytes
    left_out: tuple[str, ...]


def prune(data: bytes, kind: type) -> Pruned:
    """Leave out of canonical JSON what `kind` does not know.

    Raises:
        Malformed: it is not canonical JSON.
    """
    try:
        tree = msgspec.json.decode(data)
        if canonical.encode(tree) != data:
            raise canonical.Malformed("not in canonical form")
    except (msgspec.DecodeError, msgspec.EncodeError, UnicodeError, OverflowError, RecursionError) as error:
        raise canonical.Malformed(str(error)) from error
    left_out = dict[str, None]()
    return Pruned(canonical.encode(_pruned(tree, inspect.type_info(kind), left_out)), tuple(left_out))


def _pruned(value: object, kind: inspect.Type, left_out: dict[str, None]) -> object:
    match kind, value:
        case inspect.Metadata(type=known), _:
            return _pruned(value, known, left_out)
        case inspect.UnionType(types=alternatives), _:
            fitting = next((each for each in alternatives if _fits(value, each)), None)
            return value if fitting is None else _pruned(value, fitting, left_out)
        case inspect.StructType(), dict():
            return _members(value, kind, left_out)
        case inspect.DictType(value_type=known), dict():
            return {name: _pruned(each, known, left_out) for name, each in value.items()}
        case inspect.VarTupleType(item_type=known), list():
            return [_pruned(each, known, left_out) for each in value]
    return value


def _members(value: dict[str, object], kind: inspect.StructType, left_out: dict[str, None]) -> dict[str, object]:
    known = {field.encode_name: field.type for field in kind.fields}
    unknown = sorted(name for name in value if name not in known and name != kind.tag_field)
    left_out.update(dict.fromkeys(unknown))
    kept = {name: each for name, each in value.items() if name not in unknown}
    return {name: _pruned(each, known[name], left_out) if name in known else each for name, each in kept.items()}


def _fits(value: object, kind: inspect.Type) -> bool:
    """Whether a value may be meant to be of this one of several types."""
    match kind, value:
        case inspect.Metadata(type=known), _:
            return _fits(value, known)
        case inspect.StructType(tag=tag, tag_field=field), dict():
            return field is None or value.get(field) == tag
        case inspect.DictType(), dict():
            return True
        case inspect.VarTupleType(), list():
            return True
    return False

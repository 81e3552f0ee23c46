"""Settings of a daemon: one TOML file plus the environment, parsed once into a frozen value.

A daemon declares its settings as a `Settings` struct; every member is `Annotated` with a `msgspec.Meta`
description, so that the documentation is made from the very declaration. This file knows how settings are read, not
what they mean.
"""

import difflib
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, inspect

T = TypeVar("T", bound=Struct)
ENVIRONMENT_PREFIX = "TWINKEY"


class BadSettings(ValueError):  # noqa: N818 - it says what the settings are
    """The settings cannot be used; the text has one line per mistake, with its place and what is allowed."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of a daemon's settings and of each table in them; `__post_init__` may raise ValueError."""


Endpoint = Annotated[
    str, Meta(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$", examples=["10.0.0.1:2379"])
]


class EtcdSettings(Settings, frozen=True):
    """The `[etcd]` table: where the store is and how to be let in."""

    endpoints: Annotated[
        tuple[Endpoint, ...],
        Meta(description="Every etcd member of the site as host:port, the nearest first.", min_length=1),
    ] = ("127.0.0.1:2379",)
    ca: Annotated[
        Path | None,
        Meta(description="Certificate authority of the etcd members (PEM); TLS is used when it is set."),
    ] = None
    cert: Annotated[Path | None, Meta(description="Client certificate for mutual TLS (PEM).")] = None
    key: Annotated[Path | None, Meta(description="Private key of the client certificate (PEM).")] = None
    user: Annotated[str | None, Meta(description="etcd user, where etcd asks for a password.")] = None
    password_file: Annotated[Path | None, Meta(description="File that holds the password of `user`.")] = None

    def __post_init__(self) -> None:
        """Refuse halves of pairs."""
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: set both or neither")
        if self.cert is not None and self.ca is None:
            raise ValueError("a client certificate needs TLS: set ca too")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together: set both or neither")


class Described(NamedTuple):
    """One setting as documentation shows it; `default` is "required" where there is none."""

    name: str
    variable: str
    kind: str
    default: str
    description: str


class _Leaf(NamedTuple):
    """One setting: its path through the tables and its declaration."""

    path: tuple[str, ...]
    field: msgspec.structs.FieldInfo

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return "_".join((ENVIRONMENT_PREFIX, *self.path)).upper()


def read_settings(path: Path | None, kind: type[T], environ: Mapping[str, str]) -> T:
    """Read the settings of one daemon.

    Args:
        path: the TOML file; None reads the environment alone.
        kind: the struct that declares the settings; a member that is a struct itself is a TOML table.
        environ: `TWINKEY_<TABLE>_<NAME>` wins over the file; lists are comma separated; variables that this
            daemon does not know are ignored, because they may be the other daemon's.

    Raises:
        BadSettings: with every mistake found, not only the first.
    """
    document = _load(path)
    problems = list(_unknown(document, kind, path))
    values: dict[tuple[str, ...], Any] = {}
    for leaf in _leaves(kind):
        try:
            if (found := _find(leaf, document, path, environ)) is not None:
                values[leaf.path] = found.value
        except BadSettings as problem:
            problems.append(str(problem))
    if problems:
        raise BadSettings("\n".join(problems))
    return _build(kind, (), values)


def describe(kind: type[Struct]) -> list[Described]:
    """List every setting of a daemon in the order of its declaration."""
    return [
        Described(
            leaf.name,
            leaf.variable,
            _kind_text(leaf.field.type),
            _default_text(leaf.field),
            _text(leaf.field),
        )
        for leaf in _leaves(kind)
    ]


class _Found(NamedTuple):
    """A setting that was given."""

    value: Any


def _load(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"{path}: cannot be read: {error.strerror}; name the file with --config") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise BadSettings(f"{path}: is not TOML: {error}") from error


def _table(field: msgspec.structs.FieldInfo) -> type[Struct] | None:
    return field.type if isinstance(field.type, type) and issubclass(field.type, Struct) else None


def _leaves(kind: type[Struct], above: tuple[str, ...] = ()) -> Iterator[_Leaf]:
    for field in msgspec.structs.fields(kind):
        table = _table(field)
        here = (*above, field.name)
        yield from _leaves(table, here) if table else (_Leaf(here, field),)


def _unknown(document: Mapping[str, Any], kind: type[Struct], path: Path | None) -> Iterator[str]:
    known = {leaf.name for leaf in _leaves(kind)}
    tables = {field.name: table for field in msgspec.structs.fields(kind) if (table := _table(field))}
    for name, value in document.items():
        if name in tables and isinstance(value, dict):
            given = [f"{name}.{member}" for member in value]
        elif name in tables:
            yield f"{path}: {name} is a table: write [{name}] and its settings below it"
            continue
        else:
            given = [name]
        yield from (f"{path}: unknown setting {each}{_hint(each, known)}" for each in given if each not in known)


def _hint(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    misplaced = [each for each in sorted(known) if each.rpartition(".")[2] == name.rpartition(".")[2]]
    best = (near or misplaced)[:1]
    return f"; did you mean {best[0]}?" if best else f"; known are {', '.join(sorted(known))}"


def _find(leaf: _Leaf, document: Mapping[str, Any], path: Path | None, environ: Mapping[str, str]) -> _Found | None:
    if leaf.variable in environ:
        raw: Any = environ[leaf.variable]
        if _is_list(leaf.field.type):
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        return _Found(_convert(leaf, raw, f"environment {leaf.variable}", strict=False))
    *tables, last = leaf.path
    where: Any = document
    for table in tables:
        where = where.get(table, {})
    if isinstance(where, dict) and last in where:
        return _Found(_convert(leaf, where[last], str(path), strict=True))
    if leaf.field.required:
        raise BadSettings(f"{leaf.name} is missing: set it in the settings file or as {leaf.variable}")
    return None


def _convert(leaf: _Leaf, raw: object, place: str, *, strict: bool) -> Any:
    if not raw and isinstance(raw, str) and type(None) in get_args(_bare(leaf.field.type)):
        return None  # an empty text is how a file or a variable says "none"
    try:
        return msgspec.convert(raw, leaf.field.type, strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        why = f"; allowed is {_kind_text(leaf.field.type)}"
        if "regex" not in str(error):  # a pattern is not something to show to an operator
            why = f": {error}{why}"
        raise BadSettings(f"{place}: {leaf.name} = {raw!r} is not allowed{why}") from error


def _path(kind: type, raw: object) -> object:
    if kind is Path and isinstance(raw, str) and raw:
        return Path(raw)
    raise ValueError("expected the path of a file or folder")


def _build(kind: type[T], above: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> T:
    members = {path[-1]: value for path, value in values.items() if path[:-1] == above}
    for field in msgspec.structs.fields(kind):
        if table := _table(field):
            members[field.name] = _build(table, (*above, field.name), values)
    try:
        return kind(**members)
    except ValueError as error:
        raise BadSettings(f"{'.'.join(above)}: {error}" if above else str(error)) from error


# --- what documentation says about a setting -----------------------------------------------------------------------


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_list(kind: Any) -> bool:
    return get_origin(_bare(kind)) in (tuple, list)


def _metas(kind: Any) -> list[Meta]:
    return [each for each in get_args(kind)[1:] if isinstance(each, Meta)] if get_origin(kind) is Annotated else []


def _text(field: msgspec.structs.FieldInfo) -> str:
    return next((meta.description for meta in reversed(_metas(field.type)) if meta.description), "")


def _default_text(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(default, tuple | list):
        return ", ".join(str(each) for each in default) or "none"
    return "none" if default in (None, "") else str(default)


def _kind_text(kind: Any) -> str:
    bare = _bare(kind)
    examples = [str(example) for meta in _metas(kind) for example in meta.examples or ()]
    if _is_list(kind):
        return f"list of {_kind_text(get_args(bare)[0])}"
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(bare))
    if get_origin(bare) is types.UnionType:
        return " or ".join(_kind_text(each) for each in get_args(bare) if each is not type(None))
    return _scalar_text(inspect.type_info(kind)) + (f" such as {examples[0]}" if examples else "")


def _scalar_text(info: inspect.Type) -> str:
    while isinstance(info, inspect.Metadata):
        info = info.type
    match info:
        case inspect.IntType() | inspect.FloatType():
            words = (("from", info.ge), ("above", info.gt), ("to", info.le), ("below", info.lt))
            limits = [f"{word} {limit:g}" for word, limit in words if limit is not None]
            return " ".join(["whole number" if isinstance(info, inspect.IntType) else "number", *limits])
        case inspect.BoolType():
            return "true or false"
        case inspect.CustomType():
            return "path"
        case _:
            return "text"

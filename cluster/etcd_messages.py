"""etcd's messages and the names of its calls, made from what the package `etcd3` says of them.

The generated modules of `etcd3` are not imported: they are of 2020, and of today's protobuf only its pure-Python kind
can run them, at ten times the cost for each message. But each holds the description of its messages as protoc wrote
it, and from that protobuf makes the same messages in its fast kind. Knows no channel and no call.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES = ("kv", "auth", "rpc")
"""In the order in which they import each other."""
_DESCRIPTION = re.compile(r"^  serialized_pb=_b\(('.*')\)$", re.MULTILINE)


class Method(NamedTuple):
    """One method of a service: its path, whether it is a stream both ways, and what makes bytes of messages."""

    name: str
    path: str
    streams: bool
    to_bytes: Callable[[Any], bytes]
    from_bytes: Callable[[bytes], Any]


def _folder(package: str = "etcd3") -> Path:
    """Return where the generated modules are, without importing anything of the package."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"the package {package} is not installed: etcd's messages are made from it", name=package)
    return Path(found.submodule_search_locations[0]) / "etcdrpc"


def _description(module: Path) -> bytes:
    """Return the serialized `FileDescriptorProto` that a generated module begins with."""
    found = _DESCRIPTION.search(module.read_text(encoding="utf-8"))
    if found is None:
        raise ImportError(f"{module} holds no description of messages: install etcd3 0.12.0", path=str(module))
    return str(ast.literal_eval(found[1])).encode("latin1")


def _load() -> dict[str, Any]:
    """Return the descriptors of the files; in a pool of their own, where they can clash with nobody's."""
    pool, folder = descriptor_pool.DescriptorPool(), _folder()
    for name in _FILES:
        pool.AddSerializedFile(_description(folder / f"{name}_pb2.py"))
    return {name: pool.FindFileByName(f"{name}.proto") for name in _FILES}


def _messages(file: Any) -> Any:
    """Return something that has the class of every message of the file as an attribute."""
    found = {name: message_factory.GetMessageClass(each) for name, each in file.message_types_by_name.items()}
    return SimpleNamespace(**found)


_DESCRIPTORS = _load()

rpc_pb2 = _messages(_DESCRIPTORS["rpc"])
auth_pb2 = _messages(_DESCRIPTORS["auth"])


def methods(service: str) -> list[Method]:
    """Return the methods of a service, for example of `KV`."""
    return [
        Method(
            each.name,
            f"/{each.containing_service.full_name}/{each.name}",
            each.client_streaming,
            message_factory.GetMessageClass(each.input_type).SerializeToString,
            message_factory.GetMessageClass(each.output_type).FromString,
        )
        for each in _DESCRIPTORS["rpc"].services_by_name[service].methods
    ]

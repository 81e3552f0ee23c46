"""etcd's messages are those of the package etcd3, made by the fast kind of protobuf."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from google.protobuf.internal import api_implementation

from cluster import etcd_messages
from cluster.etcd_messages import auth_pb2, methods, rpc_pb2

if TYPE_CHECKING:
    from pathlib import Path

GENERATED = """
import importlib
for name in ("kv", "auth", "rpc"):
    print(importlib.import_module(f"etcd3.etcdrpc.{name}_pb2").DESCRIPTOR.serialized_pb.hex())
"""
OUT_OF_USE = """
import sys
import cluster.etcd
print([name for name in sys.modules if name.startswith("etcd3")])
"""


def test_they_are_those_of_the_generated_modules() -> None:
    """What is read from the modules' text is what they themselves tell protobuf, in the kind that can run them."""
    slow = os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", GENERATED], env=slow, capture_output=True, check=True)
    ours = [etcd_messages._DESCRIPTORS[name].serialized_pb for name in ("kv", "auth", "rpc")]
    assert [bytes.fromhex(line) for line in told.stdout.decode().split()] == ours


def test_they_are_fast() -> None:
    """They are made by protobuf's compiled kind, and nothing of etcd3 is run for it."""
    assert api_implementation.Type() == "upb"
    told = subprocess.run([sys.executable, "-c", OUT_OF_USE], capture_output=True, check=True)
    assert told.stdout == b"[]\n"


def test_messages_hold_each_other_and_survive_the_wire() -> None:
    """Those of one file are parts of those of another, and names of enumerations are known."""
    right = auth_pb2.Permission(permType=auth_pb2.Permission.Type.Value("WRITE"), key=b"a")
    request = rpc_pb2.AuthRoleGrantPermissionRequest(name="writer", perm=right)
    again = rpc_pb2.AuthRoleGrantPermissionRequest.FromString(request.SerializeToString())
    assert (again.name, again.perm.key, again.perm.permType) == ("writer", b"a", auth_pb2.Permission.WRITE)


def test_a_service_tells_its_methods() -> None:
    """Path and kind of each, and how its messages become bytes and bytes become messages."""
    grant, revoke, renew, *_ = methods("Lease")
    assert (grant.path, grant.streams) == ("/etcdserverpb.Lease/LeaseGrant", False)
    assert (revoke.streams, renew.name, renew.streams) == (False, "LeaseKeepAlive", True)
    assert grant.to_bytes(rpc_pb2.LeaseGrantRequest(TTL=5)) == b"\x08\x05"
    assert renew.from_bytes(b"\x18\x05").TTL == 5


def test_a_package_that_is_missing_or_another_is_named(tmp_path: Path) -> None:
    """Whoever installed something else reads what is needed."""
    with pytest.raises(ImportError, match="no_such_package is not installed"):
        etcd_messages._folder("no_such_package")
    other = tmp_path / "rpc_pb2.py"
    other.write_text("DESCRIPTOR = _pool.AddSerializedFile(b'')\n")
    with pytest.raises(ImportError, match=r"install etcd3 0\.12\.0"):
        etcd_messages._description(other)

"""One etcd member as a bundle of calls, and the errors that they raise.

Knows nothing of choosing members or of what is stored.
"""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # an unreachable member is our business to report, in one line
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # children are other programs, and gRPC remarks on each

import grpc
import grpc.aio

from cluster.etcd_messages import auth_pb2, methods, rpc_pb2

__all__ = ["Member", "RpcError", "Status", "auth_pb2", "end_of_stream", "overdue", "rpc_pb2", "ssl_channel_credentials"]

RpcError = grpc.aio.AioRpcError
Status = grpc.StatusCode
end_of_stream = grpc.aio.EOF
ssl_channel_credentials = grpc.ssl_channel_credentials

_OPTIONS = (
    # etcd cuts clients that ping more often than every 5 s, and the time-out needs its own http2 option to be obeyed
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.http2.ping_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.http2.bdp_probe", 0),  # a ping after every answer, in search of a larger window that gains nothing here
    ("grpc.max_receive_message_length", -1),
)


def overdue(what: str) -> grpc.aio.AioRpcError:
    """Return the error of a call that has missed a deadline of ours; streams have none of gRPC's."""
    return RpcError(Status.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata(), what)


class Member:
    """One member: its channel, its calls, the token it gave us and what we think of its health.

    `answers` is whether its last call was answered. `gone` is set when the member is given up; whoever has a stream
    from it ends that.
    """

    def __init__(self, address: str, credentials: Any = None) -> None:
        self.address = address
        self.token: str | None = None
        self.answers = True
        self.bad_until = float("-inf")
        self.gone = asyncio.Event()
        self._channel = (
            grpc.aio.secure_channel(address, credentials, options=_OPTIONS)
            if credentials
            else grpc.aio.insecure_channel(address, options=_OPTIONS)
        )
        self.kv = _calls(self._channel, "KV")
        self.lease = _calls(self._channel, "Lease")
        self.streams = _calls(self._channel, "Watch")
        self.auth = _calls(self._channel, "Auth")
        self.cluster = _calls(self._channel, "Cluster")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call: refuse where no leader is known, and our token."""
        token = (("token", self.token),) if self.token else ()
        return (("hasleader", "true"), *token)

    def give_up(self, until: float) -> None:
        """Consider the member bad until then, and end its streams."""
        self.answers = False
        self.bad_until = until
        self.gone.set()
        self.gone = asyncio.Event()

    async def close(self, grace: float = 0) -> None:
        """End its streams, give calls under way `grace` seconds, and close the channel."""
        self.gone.set()
        await self._channel.close(grace)


def _calls(channel: Any, service: str) -> Any:
    """Return something that has every method of a service as an attribute, to be called as `grpc.aio` has it."""
    calls = {}
    for method in methods(service):
        kind = channel.stream_stream if method.streams else channel.unary_unary
        calls[method.name] = kind(
            method.path, request_serializer=method.to_bytes, response_deserializer=method.from_bytes
        )
    return SimpleNamespace(**calls)

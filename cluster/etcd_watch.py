"""A watch that survives the members it is read from, and leaves nothing out.

It resumes after the last *event* that was handed on, never after the revision in a header: a header may be ahead of
events that are still to come. Whether a mute member is alive is judged elsewhere, by the calls made to it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from cluster.etcd_members import Backoff, describe, is_stale_token, translate
from cluster.etcd_rpc import RpcError, Status, end_of_stream, rpc_pb2
from cluster.store import Changes, Compacted, Entry, Event, PermissionRefused, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from cluster.etcd_members import Members
    from cluster.etcd_rpc import Member

log = logging.getLogger(__name__)

_REFUSALS = 2


class _MemberFailed(Exception):  # noqa: N818 - it says what happened
    """The stream ended and says nothing about the watch."""


class _NotAllowed(Exception):  # noqa: N818 - it says what happened
    """The token is not good for this watch; a new one may be."""


async def watch(members: Members, prefix: str, after: int) -> AsyncGenerator[Changes, None]:
    """Yield all changes under `prefix` after that revision, and changes without events after an interruption.

    Raises:
        Compacted, PermissionRefused, Unavailable (the client is closed)
    """
    backoff, refusals, interrupted = Backoff(), 0, False
    while True:
        stream = _Stream(members, prefix, after)
        try:
            await stream.open()
            backoff.reset()
            refusals = 0
            if interrupted:
                yield Changes(after, ())
            while True:
                changes = await stream.read()
                if changes:
                    after = changes.revision
                    yield changes
        except _MemberFailed as error:
            members.fail(stream.member, f"watch: {error}")
        except _NotAllowed as error:
            stream.member.token = None
            refusals += 1
            if refusals >= _REFUSALS:
                raise PermissionRefused(f"etcd refuses to let {prefix} be watched: {error}") from error
        finally:
            await stream.close()
        interrupted = True
        await backoff.pause()


class _Stream:
    """One watch on one member."""

    def __init__(self, members: Members, prefix: str, after: int) -> None:
        self.member: Member = members.current()
        self._members = members
        self._request = rpc_pb2.WatchRequest(
            create_request=rpc_pb2.WatchCreateRequest(
                key=prefix.encode(), range_end=prefix_end(prefix), start_revision=after + 1
            )
        )
        self._call: Any = None
        self._gone = asyncio.create_task(self.member.gone.wait())

    async def open(self) -> None:
        """Return when the member has confirmed the watch."""
        limit = self._members.timings.attempt
        try:
            async with asyncio.timeout(limit):
                await self._members.authenticate(self.member, limit)
                self._call = self.member.streams.Watch(metadata=self.member.metadata)
                await self._call.write(self._request)
                self._gone.add_done_callback(lambda _: self._call.cancel())
                await self._receive()
        except TimeoutError as error:
            raise _MemberFailed("it is not confirmed in time") from error
        except RpcError as error:
            raise _verdict(error) from error

    async def read(self) -> Changes | None:
        """Return the next changes, or None for an answer without any."""
        response = await self._receive()
        if not response.events:
            return None
        return Changes(response.events[-1].kv.mod_revision, tuple(_event(event) for event in response.events))

    async def close(self) -> None:
        """End the stream."""
        self._gone.cancel()
        if self._call is not None:
            self._call.cancel()

    async def _receive(self) -> Any:
        try:
            response = await self._call.read()
        except asyncio.CancelledError as error:
            if not self._gone.done() or _is_cancelled():
                raise
            raise _MemberFailed("the member was given up") from error
        except RpcError as error:
            raise _verdict(error) from error
        if response is end_of_stream:
            raise _MemberFailed("it ended the stream")
        _check(response)
        return response


def _is_cancelled() -> bool:
    """Whether it is this task that was cancelled, and not only the call for which it waits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _check(response: Any) -> None:
    if response.compact_revision:
        raise Compacted(response.compact_revision)
    if response.canceled:
        reason = response.cancel_reason
        if "permission" in reason or "auth" in reason:
            raise _NotAllowed(reason)
        if "leader" in reason:
            raise _MemberFailed(reason)
        raise StoreError(f"etcd refuses the watch: {reason or 'no reason given'}")


def _verdict(error: Any) -> Exception:
    if is_stale_token(error) or error.code() is Status.PERMISSION_DENIED:
        return _NotAllowed(describe(error))
    refusal = translate(error)
    return refusal if isinstance(refusal, PermissionRefused) else _MemberFailed(describe(error))


def _event(event: Any) -> Event:
    key = _text(event.kv.key)
    return Event(key, None if event.type == event.DELETE else entry_of(event.kv))


def entry_of(pair: Any) -> Entry:
    """Return an entry made of etcd's own message."""
    return Entry(_text(pair.key), pair.value, pair.create_revision, pair.mod_revision, pair.lease)


def _text(key: bytes) -> str:
    """Return a key as text; one of ours is text, and a stranger's must not end a watch."""
    return key.decode(errors="backslashreplace")


def prefix_end(prefix: str) -> bytes:
    """Return the first key after all that begin with `prefix`; etcd's ranges exclude their end."""
    data = prefix.encode()
    return data[:-1] + bytes([data[-1] + 1])  # no byte of UTF-8 is 0xff

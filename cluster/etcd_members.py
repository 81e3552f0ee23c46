"""Choosing the member to talk to, and trying a call on one after the other within a deadline.

All traffic goes to the current member, so that its health is judged by all of it: when any call misses its deadline
the member is given up, its watches end and resume at the next one. Knows no call by name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.etcd_rpc import Member, RpcError, Status, rpc_pb2
from cluster.store import Compacted, LeaseLost, PermissionRefused, StoreError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cluster.etcd_access import Login, Tls
    from cluster.timings import Timings

T = TypeVar("T")

log = logging.getLogger(__name__)

_BAD_FOR = 3.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_AUTHENTICATIONS = 2
_FILES_EVERY = 1.0

_UNREACHABLE = {Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.CANCELLED, Status.UNKNOWN, Status.INTERNAL}
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")


class Members:
    """The members of one store as one client sees them."""

    def __init__(self, addresses: Sequence[str], timings: Timings, tls: Tls | None, login: Login | None) -> None:
        if not addresses:
            raise ValueError("name at least one etcd endpoint")
        self.timings = timings
        self.answered = float("-inf")
        self._addresses = tuple(address.removeprefix("http://").removeprefix("https://") for address in addresses)
        self._tls = tls
        self._login = login
        self._members: list[Member] = []
        self._current = 0
        self._files_due = 0.0
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> Member:
        """Return the member to talk to.

        Raises:
            Unavailable: the client is closed, or its certificates cannot be read.
        """
        if self._closed:
            raise Unavailable("this client of the store is closed")
        if not self._members or self._files_changed():
            self._renew_channels()
        return self._members[self._current]

    def fail(self, member: Member, why: str) -> None:
        """Give the member up for some seconds and turn to the next."""
        now = time.monotonic()
        log.log(logging.INFO if member.answers else logging.DEBUG, "etcd member %s: %s", member.address, why)
        member.give_up(now + _BAD_FOR)
        if self._members[self._current] is not member:
            return
        self.answered = float("-inf")
        count = len(self._members)
        order = [(self._current + step) % count for step in range(1, count + 1)]
        self._current = min(order, key=lambda index: max(self._members[index].bad_until, now))

    async def call(self, attempt: Callable[[Member, float], Awaitable[T]], *, once: bool = False) -> T:
        """Return what `attempt(member, seconds)` returns, tried on one member after the other unless `once`.

        Raises:
            Unavailable: nobody answered within the deadline; with `once`, the one attempt may have had its effect.
            PermissionRefused, LeaseLost, Compacted, StoreError: as etcd says.
        """
        end = time.monotonic() + self.timings.call_deadline
        backoff = Backoff(rounds_of=len(self._addresses))
        authentications = 0
        while True:
            member, sent = self.current(), time.monotonic()
            limit = end - sent if once else min(self.timings.attempt, end - sent)
            try:
                await self.authenticate(member, limit)
                answer = await attempt(member, limit)
            except RpcError as error:
                if is_stale_token(error) and authentications < _AUTHENTICATIONS:
                    member.token, authentications = None, authentications + 1
                    continue
                self._judge(member, error)
                if once or end - time.monotonic() <= backoff.next_pause:
                    raise Unavailable(f"etcd does not answer: {describe(error)} at {member.address}") from error
                await backoff.pause()
            else:
                self._answered(member, sent)
                return answer

    def _answered(self, member: Member, sent: float) -> None:
        self.answered = max(self.answered, sent)
        if not member.answers:
            member.answers = True
            log.info("etcd member %s: answers again", member.address)

    def _judge(self, member: Member, error: Any) -> None:
        """Give the member up, or raise what the error says about the request."""
        if error.code() not in _UNREACHABLE:
            raise translate(error) from error
        self.fail(member, describe(error))

    async def authenticate(self, member: Member, limit: float) -> None:
        """Make sure that the member has given us a token, where we log in with a password."""
        if self._login is None or member.token is not None:
            return
        try:
            request = rpc_pb2.AuthenticateRequest(name=self._login.user, password=self._login.password())
            answer = await member.auth.Authenticate(request, timeout=limit)
        except OSError as error:
            raise PermissionRefused(f"the etcd password cannot be read: {error}") from error
        except RpcError as error:
            if error.code() is not Status.FAILED_PRECONDITION:
                raise
            member.token = ""  # etcd asks for no password (yet)
        else:
            member.token = answer.token

    async def close(self) -> None:
        """Close all channels."""
        self._closed = True
        await asyncio.gather(*(member.close() for member in self._members), *self._closing)

    def _files_changed(self) -> bool:
        now = time.monotonic()
        if self._tls is None or now < self._files_due:
            return False
        self._files_due = now + _FILES_EVERY
        return self._tls.changed()

    def _renew_channels(self) -> None:
        try:
            credentials = self._tls.load() if self._tls else None
        except OSError as error:
            raise Unavailable(f"the certificates for etcd cannot be used: {error}") from error
        if self._members:
            log.info("the certificates for etcd have changed: connecting anew")
        for member in self._members:
            task = asyncio.create_task(member.close(self.timings.call_deadline))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._members = [Member(address, credentials) for address in self._addresses]


class Backoff:
    """Pauses between attempts: none until every member was tried once, then longer from round to round."""

    def __init__(self, rounds_of: int = 1) -> None:
        self._rounds_of = rounds_of
        self._tried = 0

    @property
    def next_pause(self) -> float:
        """How many seconds the next pause will take."""
        rounds, rest = divmod(self._tried + 1, self._rounds_of)
        return 0.0 if rest else min(_FIRST_PAUSE * 2 ** min(rounds - 1, 10), _LONGEST_PAUSE)

    async def pause(self) -> None:
        """Count one failure and wait."""
        seconds = self.next_pause
        self._tried += 1
        await asyncio.sleep(seconds)

    def reset(self) -> None:
        """Begin anew after a success."""
        self._tried = 0


def describe(error: Any) -> str:
    """Return code and the innermost cause of a gRPC error, in a few words."""
    return f"{error.code().name}: {(error.details() or 'no details').rpartition(': ')[2]}"


def is_stale_token(error: Any) -> bool:
    """Whether logging in again may help."""
    return error.code() is Status.UNAUTHENTICATED or any(text in (error.details() or "") for text in _STALE_TOKEN)


def translate(error: Any) -> StoreError:
    """Return our error for one that says something about the request, not about the member."""
    code, text = error.code(), error.details() or ""
    if code in (Status.PERMISSION_DENIED, Status.UNAUTHENTICATED) or "authentication failed" in text:
        return PermissionRefused(f"etcd refuses: {text}")
    if "user name is empty" in text:
        return PermissionRefused("etcd asks for a user and a password: set them")
    if code is Status.NOT_FOUND and "lease" in text:
        return LeaseLost(text)
    if code is Status.OUT_OF_RANGE and "compacted" in text:
        return Compacted(0)
    return StoreError(f"etcd refuses: {describe(error)}")

"""Asking other machines for the time: whom, what is made of their answers, and of their silence."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from cluster.member_clock import MemberClocks, is_ours
from cluster.settings import EtcdSettings

NOON = dt.datetime(2031, 3, 4, 12, 0, 7, tzinfo=dt.UTC)
ELSEWHERE = "192.0.2.1"
"""An address that is nobody's."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def member(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Run an HTTP server that answers `GET /version`; give its host:port."""
    app = web.Application()
    app.router.add_get("/version", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        yield f"{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def dated(value: str) -> Handler:
    """Return a handler whose answers carry this date."""

    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/version"
        return web.json_response({"etcdserver": "3.5.9"}, headers={"Date": value})

    return answer


def asking(*endpoints: str, deadline: float = 1.0, ca: Path | None = None) -> MemberClocks:
    """Return what asks these members as if they were on other machines."""
    return MemberClocks(EtcdSettings(endpoints=endpoints, ca=ca), deadline, ours=lambda _: False)


async def test_a_member_tells_what_its_machines_clock_shows() -> None:
    """The date of its answer, in UTC, by its address."""
    async with member(dated("Tue, 04 Mar 2031 12:00:07 GMT")) as endpoint:
        assert await asking(endpoint).read() == {"127.0.0.1": NOON}


async def test_two_members_on_one_machine_are_one_clock() -> None:
    """Each machine has one vote."""
    answer = dated("Tue, 04 Mar 2031 12:00:07 GMT")
    async with member(answer) as one, member(answer) as two, member(answer, "127.0.0.2") as other:
        assert await asking(one, two, other).read() == {"127.0.0.1": NOON, "127.0.0.2": NOON}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "Tue, 99 Mar 2031 12:00:07 GMT",
        "Tue, 04 Mar 2031 12:00:07 -0000",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -0100",
        "Thu, 01 Jan 0150 00:00:00 GMT",
        "Fri, 31 Dec 99999999999 23:59:59 GMT",
    ],
    ids=["none", "words", "no-such-day", "no-zone", "year-9999", "after-9999", "year-150", "no-such-year"],
)
async def test_an_answer_without_a_good_date_is_no_vote(value: str) -> None:
    """What cannot be understood says nothing."""
    async with member(dated(value)) as endpoint:
        assert await asking(endpoint).read() == {}


async def test_who_does_not_answer_has_no_vote_and_delays_nobody() -> None:
    """A frozen member, a closed port and a name that nobody knows: the others' answers come within the deadline."""
    silence = asyncio.Event()

    async def frozen(_: web.Request) -> web.Response:
        await silence.wait()
        return web.Response()

    with socket.socket() as closed:
        closed.bind(("127.0.0.3", 0))
        nobody = f"127.0.0.3:{closed.getsockname()[1]}"
        async with member(frozen, "127.0.0.2") as slow, member(dated("Tue, 04 Mar 2031 12:00:07 GMT")) as good:
            began = time.monotonic()
            read = await asking(slow, nobody, "nobody.invalid:2379", good, deadline=0.4).read()
            assert time.monotonic() - began < 1.5
            silence.set()
    assert read == {"127.0.0.1": NOON}


async def test_a_redirection_is_not_followed() -> None:
    """The date of whoever sends us away is that machine's all the same, and nobody else is asked."""
    asked = []

    async def away(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/other", "Date": "Tue, 04 Mar 2031 12:00:07 GMT"})

    async with member(away) as endpoint:
        assert await asking(endpoint).read() == {"127.0.0.1": NOON}
    assert asked == ["/version"]


async def test_a_machines_own_member_is_not_asked() -> None:
    """Its clock is the one in question."""
    async with member(dated("Tue, 04 Mar 2031 12:00:07 GMT")) as endpoint:
        own = MemberClocks(EtcdSettings(endpoints=(endpoint, endpoint.replace("127.0.0.1", "localhost"))))
        assert (await own.elsewhere(), await own.read()) == (False, {})
    assert await MemberClocks(EtcdSettings(endpoints=(endpoint, f"{ELSEWHERE}:2379"))).elsewhere()


async def test_certificates_that_cannot_be_read_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They stop nothing."""
    assert await asking("127.0.0.1:2379", ca=tmp_path / "ca.pem").read() == {}
    assert "certificates" in caplog.text


def test_an_address_of_this_machine_is_known_as_such() -> None:
    """Loopback in both families and all else that is ours, but no address of others and no name."""
    assert all(map(is_ours, ["127.0.0.1", "127.0.0.2", "::1"]))
    assert not any(map(is_ours, [ELSEWHERE, "2001:db8::1", "nobody.invalid"]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((ELSEWHERE, 9))
        except OSError:
            return  # a machine with no network has no more addresses
        assert is_ours(probe.getsockname()[0])

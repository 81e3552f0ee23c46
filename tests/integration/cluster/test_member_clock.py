"""Real etcd members as witnesses in questions of time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cluster.member_clock import MemberClocks
from cluster.settings import EtcdSettings
from tests.certificates import Authority
from tests.etcd_server import EtcdServer

if TYPE_CHECKING:
    from pathlib import Path

ROUNDING = dt.timedelta(seconds=2)


async def test_a_real_member_says_what_its_clock_shows(server: EtcdServer) -> None:
    """Every supported version of etcd dates its answers; one that is frozen has no vote, in good time."""
    clocks = MemberClocks(EtcdSettings(endpoints=server.endpoints), 0.5, ours=lambda _: False)
    (shown,) = (await clocks.read()).values()
    assert abs(shown - dt.datetime.now(dt.UTC)) < ROUNDING
    server.pause()
    try:
        assert await clocks.read() == {}
    finally:
        server.resume()


async def test_a_member_that_asks_for_certificates_is_asked_with_ours(tmp_path: Path) -> None:
    """The settings of the store are enough; without a client certificate there is no vote."""
    authority = Authority()
    authority.write(tmp_path, "server")
    ca, cert, key = authority.write(tmp_path, "client")
    options = ["--client-cert-auth", "--trusted-ca-file", str(ca)]
    options += ["--cert-file", f"{tmp_path}/server.pem", "--key-file", f"{tmp_path}/server.key"]
    server = EtcdServer(tmp_path, options=options, scheme="https")
    try:
        await server.start()
        settings = EtcdSettings(endpoints=server.endpoints, ca=ca, cert=cert, key=key)
        (shown,) = (await MemberClocks(settings, ours=lambda _: False).read()).values()
        assert abs(shown - dt.datetime.now(dt.UTC)) < ROUNDING
        nobody = EtcdSettings(endpoints=server.endpoints, ca=ca)
        assert await MemberClocks(nobody, ours=lambda _: False).read() == {}
    finally:
        server.stop()

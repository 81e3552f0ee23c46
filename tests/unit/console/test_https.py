"""The commands over HTTPS: whom they trust, and in which sentence a failure of TLS is told."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.connecting import DEFAULT_TLS_URLS, Connection
from console.main import main
from tests.certificates import HOUR, Authority
from tests.https_server import serving
from tests.unit.console.recorded_site import ENVIRONMENT, TOKEN, RecordedSite, recorded, recorded_site

UNREACHABLE = 5


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RecordedSite]:
    """Give a site of HTTPS, whose authority is in ca.pem."""
    _, cert, key = Authority().write(tmp_path, "http")
    async with recorded_site(context=serving(cert, key)) as found:
        found.gives("GET /v1/status", recorded("status", startAllowed=True))
        yield found


async def test_the_sites_authority_is_named_by_an_option_or_the_environment(site: RecordedSite, tmp_path: Path) -> None:
    """Either is enough."""
    ca = str(tmp_path / "ca.pem")
    assert (await site.run("keys", "--ca", ca)).exit_code == 0
    line = ["keys", "--url", site.url, "--token", TOKEN]
    ran = await asyncio.to_thread(CliRunner().invoke, main, line, env=ENVIRONMENT | {"TWINKEY_CA": ca})
    assert (ran.exit_code, len(site.asked)) == (0, 2)


async def test_a_site_of_another_authority_is_not_asked(site: RecordedSite, tmp_path: Path) -> None:
    """The token is not sent there, and the sentence says what to give; neither without an authority."""
    (tmp_path / "other").mkdir()
    other = Authority().write(tmp_path / "other", "http")[0]
    for words in (("--ca", str(other)), ()):
        ran = await site.run("keys", *words)
        assert (ran.exit_code, "give the authority of the site with --ca FILE" in ran.stderr) == (UNREACHABLE, True)
    assert not site.asked


@pytest.mark.parametrize(
    ("address", "ends_in", "expected"),
    [("127.0.0.1", -dt.timedelta(minutes=1), "has expired: renew it"), ("127.0.0.2", HOUR, "not for this address")],
    ids=["expired", "address"],
)
async def test_a_certificate_that_does_not_fit_is_told(
    tmp_path: Path, address: str, ends_in: dt.timedelta, expected: str
) -> None:
    """In a sentence that says what to do."""
    ca, cert, key = Authority().write(tmp_path, "http", address=address, ends_in=ends_in)
    async with recorded_site(context=serving(cert, key)) as site:
        ran = await site.run("keys", "--ca", str(ca))
    assert (ran.exit_code, expected in ran.stderr) == (UNREACHABLE, True), ran.stderr


async def test_the_other_scheme_is_told(site: RecordedSite, tmp_path: Path) -> None:
    """Whether HTTPS is asked of plain HTTP or the other way round, it is said what to write."""
    plain = site.url.replace("https:", "http:")
    ran = await site.run("keys", where=("--url", plain, "--token", TOKEN))
    assert (ran.exit_code, "write https://" in ran.stderr) == (UNREACHABLE, True), ran.stderr
    async with recorded_site() as other:
        secure = other.url.replace("http:", "https:")
        ca = str(tmp_path / "ca.pem")
        ran = await other.run("keys", where=("--url", secure, "--token", TOKEN, "--ca", ca))
    assert (ran.exit_code, "does not speak HTTPS" in ran.stderr) == (UNREACHABLE, True), ran.stderr


async def test_an_authority_that_cannot_be_read_is_told(site: RecordedSite, tmp_path: Path) -> None:
    """With its file."""
    ran = await site.run("keys", "--ca", str(tmp_path / "none.pem"))
    assert (ran.exit_code, "none.pem: cannot be read" in ran.stderr) == (UNREACHABLE, True)


def test_an_authority_alone_means_https_on_this_machine(tmp_path: Path) -> None:
    """Whoever names one does not want plain HTTP."""
    connection = Connection(None, None, "token", None, tmp_path / "ca.pem", as_json=False, scope="read")
    assert connection.api.urls == DEFAULT_TLS_URLS
    assert all(url.startswith("https://") for url in DEFAULT_TLS_URLS)


async def test_the_start_check_asks_over_https(site: RecordedSite, tmp_path: Path) -> None:
    """It knows the answer with the authority; without it a node may start all the same, with a warning."""
    ran = await site.run("start-check", "--ca", str(tmp_path / "ca.pem"))
    assert (ran.exit_code, ran.stderr) == (0, "")
    ran = await site.run("start-check")
    assert (ran.exit_code, "--ca FILE" in ran.stderr, "so it may" in ran.stderr) == (0, True, True)
    site.gives("GET /v1/status", recorded("status", startAllowed=False))
    assert (await site.run("start-check", "--ca", str(tmp_path / "ca.pem"))).exit_code == 4
    assert (await site.run("start-check", "--ca", str(tmp_path / "none.pem"))).exit_code == 0


async def test_the_start_check_asks_on_the_socket(tmp_path: Path) -> None:
    """Where no certificate is needed."""
    socket = tmp_path / "site.sock"
    async with recorded_site(socket) as site:
        site.gives("GET /v1/status", recorded("status", startAllowed=False))
        ran = await site.run("start-check", where=("--socket", str(socket)))
    assert (ran.exit_code, site.calls) == (4, ["GET /v1/status"])

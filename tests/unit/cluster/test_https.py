"""Whom HTTPS trusts, and what is said where it does not: against a real server."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import aiohttp
import pytest

from cluster.https import BadAuthority, tls_problem, trusting
from tests.certificates import HOUR, Authority
from tests.https_server import answering, serving

REMEDY = "name it"


async def problem_with(url: str, ca: Path | None) -> str:
    """Ask, trusting this authority, and return what is wrong; empty when it answers."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url, ssl=trusting(ca)) as answer:
                return "" if answer.ok else f"answers {answer.status}"
        except aiohttp.ClientError as error:
            return tls_problem(error, REMEDY) or f"no TLS problem: {error!r}"


async def test_a_certificate_of_the_authority_is_believed(tmp_path: Path) -> None:
    """For the address that it is for."""
    ca, cert, key = Authority().write(tmp_path, "http")
    async with answering(serving(cert, key)) as port:
        assert not await problem_with(f"https://127.0.0.1:{port}/", ca)


@pytest.mark.parametrize("named", [True, False], ids=["other", "system's"])
async def test_another_authority_is_not_believed(tmp_path: Path, *, named: bool) -> None:
    """Neither where another one is named nor where none is; it is said how the right one is named."""
    _, cert, key = Authority().write(tmp_path, "http")
    (tmp_path / "other").mkdir()
    ca = Authority().write(tmp_path / "other", "http")[0] if named else None
    async with answering(serving(cert, key)) as port:
        assert (await problem_with(f"https://127.0.0.1:{port}/", ca)).endswith("trusted here: name it")


@pytest.mark.parametrize(
    ("host", "address", "ends_in", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", -dt.timedelta(minutes=1), "has expired"),
        ("127.0.0.1", "127.0.0.2", HOUR, "not for this address"),
        ("localhost", "127.0.0.1", HOUR, "not for this name"),
    ],
    ids=["expired", "address", "name"],
)
async def test_a_certificate_that_does_not_fit_is_not_believed(
    tmp_path: Path, host: str, address: str, ends_in: dt.timedelta, expected: str
) -> None:
    """It is said what does not fit."""
    ca, cert, key = Authority().write(tmp_path, "http", address=address, ends_in=ends_in)
    async with answering(serving(cert, key)) as port:
        assert expected in await problem_with(f"https://{host}:{port}/", ca)


async def test_plain_http_on_the_other_side_is_told(tmp_path: Path) -> None:
    """The sentence says which scheme to write, not what OpenSSL found."""
    ca, _, _ = Authority().write(tmp_path, "http")
    async with answering(None) as port:
        assert "does not speak HTTPS" in await problem_with(f"https://127.0.0.1:{port}/", ca)


async def test_what_is_no_problem_of_tls_is_left_alone(tmp_path: Path) -> None:
    """Nobody there is for others to tell."""
    ca, _, _ = Authority().write(tmp_path, "http")
    assert "no TLS problem" in await problem_with("https://127.0.0.1:9/", ca)


@pytest.mark.parametrize("content", [None, b"no PEM"], ids=["missing", "other"])
def test_a_file_that_is_no_authority_is_told(tmp_path: Path, content: bytes | None) -> None:
    """The file is named."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadAuthority, match=r"ca\.pem: (cannot be read: No such file|is not the certificate)"):
        trusting(path)

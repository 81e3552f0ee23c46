"""`twinkey status`: what it shows, and the exit code that scripts look at."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from console.status import status
from console.status_table import remaining
from tests.unit.console.site_stub import STATUS, TOKEN, SiteStub, changed, site_stub

WIDE = {"COLUMNS": "200", "TWINKEY_URL": "", "TWINKEY_TOKEN": "", "TWINKEY_TOKEN_FILE": "", "TWINKEY_CA": ""}


async def run(stub: SiteStub, *arguments: str, token: str = TOKEN) -> Result:
    """Run the command against a stub; it has an event loop of its own, so it runs in a thread."""
    given = ["--url", stub.url, *(["--token", token] if token else []), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, status, given, env=WIDE)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, 0),
        ({"alerts": ["expiring", "key-abnormal"], "keyState": "Abnormal"}, 0),
        ({"stale": True, "leader": None}, 0),
        ({"license": {"status": "Expired"}, "alerts": ["expired"], "restricted": True}, 3),
        ({"license": {"status": "Expired"}, "alerts": ["expired", "quota-exceeded"], "restricted": True}, 3),
        ({"alerts": ["quota-exceeded"], "restricted": True, "startAllowed": False}, 4),
    ],
)
async def test_the_exit_code_says_how_the_licence_stands(members: dict[str, Any], code: int) -> None:
    """0 valid, 3 expired, 4 over quota; expired weighs more, and alerts alone change nothing."""
    async with site_stub() as stub:
        await stub.show(changed(**members))
        for arguments in ((), ("--json",)):
            assert (await run(stub, *arguments)).exit_code == code


async def test_the_table_says_everything_at_once() -> None:
    """Licence with days left, key state with its sentence, buffer, nodes, usage against quota, and the age."""
    async with site_stub() as stub:
        await stub.show(changed(buffer={"expires": "2026-05-03T00:00:00Z"}, alerts=["key-missing"]))
        output = (await run(stub)).stdout
    for part in (
        "Valid  K1 (Advanced Edition - Paid, on USB key K1)",
        "2027-05-01 00:00 UTC  363 days left",
        "2026-06-01 00:00 UTC  29 days left",
        "Normal (Ready)  One USB key is inserted and works.",
        "2026-05-03 00:00 UTC  23 hours left",
        "key-missing",
        "reachable  leader; virtual IP; keys: K1 (ok, proven)",
        "not reachable  no USB key; It stopped reporting.",
        "4 of 10 hosts",
        "2026-05-02 00:00:00 UTC, 3 s ago",
        "The licence of key K1 is valid.",
    ):
        assert part in output
    assert output.count("One USB key is inserted and works.") == 1


async def test_an_answer_that_was_published_long_ago_counts_from_now() -> None:
    """A status that stays true is not published again; the days left and the age look at the time of asking."""
    async with site_stub() as stub:
        stub.headers = {"Age": "0", "Date": "Sun, 09 Aug 2026 00:00:00 GMT"}
        output = (await run(stub)).stdout
    assert "2027-05-01 00:00 UTC  265 days left" in output
    assert "2026-06-01 00:00 UTC  69 days ago" in output
    assert "2026-08-09 00:00:00 UTC, 0 s ago" in output


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Sun, 99 Aug 2026 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -0100",
        "Fri, 31 Dec 99999999999 23:59:59 GMT",
    ],
    ids=["none", "words", "no-such-day", "after-9999", "no-such-year"],
)
async def test_a_date_that_is_none_does_no_harm(date: str) -> None:
    """A server between us and the node may say anything; then the clock here is taken."""
    async with site_stub() as stub:
        stub.headers = {"Date": date}
        assert (await run(stub)).exit_code == 0


@pytest.mark.parametrize("age", ["-1", "1e300", "inf", "nan", "old"])
async def test_an_age_that_is_none_does_no_harm(age: str) -> None:
    """It counts as none was told."""
    async with site_stub() as stub:
        stub.headers = {"Age": age}
        assert "0 s ago" in (await run(stub)).stdout


async def test_a_stale_answer_is_said_to_be_stale() -> None:
    """Nobody takes an old answer for a new one."""
    async with site_stub() as stub:
        stub.headers = {"Age": "90"}
        await stub.show(changed(stale=True, leader=None))
        assert "90 s ago; stale" in (await run(stub)).stdout


async def test_a_site_without_a_licence_shows_that() -> None:
    """No licence, no usage and a forbidden start read as such."""
    licence = {"name": None, "status": "Expired", "expires": None, "serviceExpires": None, "keyId": None}
    async with site_stub() as stub:
        await stub.show(changed(license=licence, usage=None, quota=None, startAllowed=False, keyState="None"))
        result = await run(stub)
    for part in ("Expired: no licence", "never reported", "may not start again", "no USB key has been used"):
        assert part in result.stdout


async def test_a_key_cannot_write_to_the_terminal() -> None:
    """A USB key names itself: control sequences and markup in its name come to nothing."""
    keys = [{"keyId": "\x1b[31mred [bold]", "reading": "ok", "reason": ""}]
    async with site_stub() as stub:
        await stub.show(changed(nodes=[STATUS["nodes"][0] | {"ukeys": keys}]))
        output = (await run(stub)).stdout
    assert "\N{REPLACEMENT CHARACTER}[31mred [bold] (ok)" in output
    assert "\x1b" not in output


@pytest.mark.parametrize(
    ("readers", "said"),
    [(1, "; 1 reader hangs: unplug the key it reads"), (3, "; 3 readers hang: unplug their keys")],
    ids=["one", "three"],
)
async def test_readers_that_hang_are_told(readers: int, said: str) -> None:
    """A process that even a kill does not end is shown with what ends it; none is not worth a word."""
    async with site_stub() as stub:
        assert "hang" not in (await run(stub)).stdout
        await stub.show(changed(nodes=[STATUS["nodes"][0] | {"abandonedReaders": readers}]))
        lines = [line.rstrip() for line in (await run(stub)).stdout.splitlines()]
    assert any(line.endswith(f"keys: K1 (ok, proven){said}") for line in lines)


async def test_versions_are_told_where_they_differ() -> None:
    """Both nodes are shown with theirs while a site is upgraded, and it is worth no word before and after."""
    first, second = STATUS["nodes"][0], STATUS["nodes"][0] | {"name": "other"}
    async with site_stub() as stub:
        await stub.show(changed(nodes=[first | {"version": "0.2.0"}, second | {"version": "0.2.0"}]))
        assert "version" not in (await run(stub)).stdout
        await stub.show(changed(nodes=[first | {"version": "0.2.0"}, second]))
        lines = [line.rstrip() for line in (await run(stub)).stdout.splitlines()]
    assert [line.rpartition("; ")[2] for line in lines if line.startswith("Node ")] == [
        "version 0.2.0",
        "version not known",
    ]


async def test_json_is_the_servers_own_body() -> None:
    """`--json` prints what the server sent, byte for byte, also what this version does not know."""
    async with site_stub() as stub:
        assert (await run(stub, "--json")).stdout_bytes == stub.body + b"\n"


async def test_a_missing_token_is_explained() -> None:
    """401 says what to give; it is an error and not a licence state."""
    async with site_stub() as stub:
        result = await run(stub, token="wrong")
        assert result.exit_code == 1
        assert "--token-file" in result.stderr
        result = await run(stub, "--json", token="wrong")
    assert "no token" in json.loads(result.stdout)["error"]["description"]


async def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    """The token file of the option is read, and one that cannot be read is named."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    async with site_stub() as stub:
        assert (await run(stub, "--token-file", str(path), token="")).exit_code == 0
        result = await run(stub, "--token-file", str(tmp_path / "none"), token="")
    assert (result.exit_code, str(tmp_path / "none") in result.stderr) == (1, True)


async def test_address_and_token_may_come_from_the_environment() -> None:
    """TWINKEY_URL and TWINKEY_TOKEN stand in for the options."""
    async with site_stub() as stub:
        environment = WIDE | {"TWINKEY_URL": stub.url, "TWINKEY_TOKEN": TOKEN}
        result = await asyncio.to_thread(CliRunner().invoke, status, [], env=environment)
    assert result.exit_code == 0


async def test_a_running_demo_is_found_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options the demo's token and nodes are used, and the second node when the first does not answer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "token").write_text(TOKEN)
    async with site_stub() as stub:
        monkeypatch.setattr("console.connecting.DEFAULT_URLS", (_nobody(), stub.url))
        result = await asyncio.to_thread(CliRunner().invoke, status, [], env=WIDE)
    assert (result.exit_code, result.stderr) == (0, "")


async def test_nobody_there_is_unreachable() -> None:
    """A refused connection and an address that is none are exit code 5, with what to check."""
    for url in (_nobody(), "http://127.0.0.1:99999", "nonsense"):
        result = await asyncio.to_thread(CliRunner().invoke, status, ["--url", url, "--json"], env=WIDE)
        assert result.exit_code == 5
        assert "unreachable" in json.loads(result.stdout)["error"]["description"]
        assert "coordinator" in result.stderr


async def test_a_site_that_cannot_tell_is_unreachable() -> None:
    """503 means that nobody knows the state, which is not the same as not licensed."""
    async with site_stub() as stub:
        stub.code, stub.body = 503, b'{"error": {"code": "x", "description": "No status yet.", "hint": "Wait."}}'
        result = await run(stub)
    assert (result.exit_code, "No status yet. Wait." in result.stderr) == (5, True)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"error": "x"}'])
@pytest.mark.parametrize("code", [200, 500])
async def test_another_program_on_the_port_is_an_error(code: int, body: bytes) -> None:
    """An answer that is no status is told as that."""
    async with site_stub() as stub:
        stub.code, stub.body = code, body
        result = await run(stub)
    assert (result.exit_code, "twinkey:" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("until", "text"),
    [
        ("2026-05-11T00:00:00+00:00", "10 days left"),
        ("2026-05-02T23:00:00+00:00", "47 hours left"),
        ("2026-05-01T01:30:00+00:00", "1 hour left"),
        ("2026-05-01T00:00:00+00:00", "0 hours ago"),
        ("2026-04-21T00:00:00+00:00", "10 days ago"),
    ],
)
def test_the_time_left_in_words(until: str, text: str) -> None:
    """Whole days, in the last two days hours; the moment of expiry itself is over."""
    now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    assert remaining(dt.datetime.fromisoformat(until), now) == text


def _nobody() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"

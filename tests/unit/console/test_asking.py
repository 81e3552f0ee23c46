"""The verbs that ask: request code, records, usage, alerts, keys, and whether a node may start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.console.recorded_site import RECORDED, TOKEN, Reply, nobody, recorded, recorded_site

STATUS = RECORDED["status"]["body"]
RECORDS = "/v1/licenses/records?start=0&limit=20&sortBy=uploadDate&sortDirection=desc"
UNAVAILABLE = recorded("unavailable")


async def test_the_request_code_is_printed_as_it_is_to_be_sent() -> None:
    """The text and nothing else, so that it can be redirected into a file; a new one is asked for first."""
    async with recorded_site() as site:
        site.gives("GET /v1/licenses/request-code", recorded("request code"))
        site.gives("POST /v1/licenses/request-code", recorded("request code"))
        assert (await site.run("request-code")).stdout == recorded("request code").body
        assert (await site.run("request-code", "--new")).stdout == recorded("request code").body
    assert [call.split()[0] for call in site.calls] == ["GET", "POST", "GET"]


async def test_the_records_are_shown_newest_first() -> None:
    """One row for each record with what happened, and how many there are."""
    async with recorded_site() as site:
        site.gives(f"GET {RECORDS}", recorded("records"))
        shown = (await site.run("records")).stdout
        told = (await site.run("records", "--json")).stdout
    for part in ("trial-ended", "trial-started", "installed", "Acme", "3 of 3 records."):
        assert part in shown
    assert json.loads(told) == recorded("records").body


async def test_a_page_of_records_can_be_chosen() -> None:
    """Start, limit and order are passed on."""
    wish = "/v1/licenses/records?start=40&limit=5&sortBy=expiredDate&sortDirection=asc"
    async with recorded_site() as site:
        site.gives(f"GET {wish}", recorded("records"))
        words = ("--start", "40", "--limit", "5", "--sort-by", "expiredDate", "--ascending")
        assert (await site.run("records", *words)).exit_code == 0


async def test_verifying_finds_an_altered_record() -> None:
    """An intact history is exit code 0; an altered one is 1 and names the first record that is not as written."""
    call = "GET /v1/licenses/records/verification"
    async with recorded_site() as site:
        site.gives(call, recorded("verified"))
        assert "All 3 records are as they were written." in (await site.run("records", "verify")).stdout
        site.gives(call, recorded("verified", intact=False, number=1, why="it was rewritten"))
        result = await site.run("records", "verify", "--json")
    assert (result.exit_code, json.loads(result.stdout)["number"]) == (1, 1)
    assert "record 1 was altered or is missing: it was rewritten" in result.stderr


async def test_options_before_verify_are_not_lost_in_silence() -> None:
    """An address that stands before the word would not be asked: that is a mistake in the usage."""
    async with recorded_site() as site:
        result = await site.run("records", "--url", site.url, "verify", where=())
    assert (result.exit_code, "after `verify`" in result.stderr) == (2, True)


async def test_usage_is_reported_unit_by_unit() -> None:
    """Only what is given is sent; nothing at all is a mistake in the usage."""
    async with recorded_site() as site:
        site.gives("PUT /v1/licenses/usage", recorded("usage reported"))
        assert (await site.run("usage", "set", "--hosts", "0", "--cpu-sockets", "8")).exit_code == 0
        assert json.loads(site.asked[-1].body) == {"hosts": 0, "cpuSockets": 8}
        assert (await site.run("usage", "set")).exit_code == 2


async def test_usage_is_shown_against_the_quota() -> None:
    """What was never reported is unknown and what is not limited is unlimited."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status"))
        shown = (await site.run("usage", "show")).stdout
        told = json.loads((await site.run("usage", "show", "--json")).stdout)
    assert [line.split() for line in shown.splitlines()[1:3]] == [
        ["hosts", "3", "5"],
        ["CPU", "sockets", "unknown", "unlimited"],
    ]
    assert told == {name: STATUS[name] for name in ("usage", "quota", "restricted", "asOf", "stale")}


async def test_alerts_come_with_their_reasons() -> None:
    """The alerts, the banner and the sentences that say why; without alerts that is said."""
    banner = {"level": "warning", "text": "Mind the key.", "redirect": False}
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status", banner=banner))
        shown = (await site.run("alerts")).stdout
        told = json.loads((await site.run("alerts", "--json")).stdout)
        site.gives("GET /v1/status", recorded("status", alerts=[]))
        assert "No alerts." in (await site.run("alerts")).stdout
    for part in ("key-fault", "Mind the key.", STATUS["reasons"][0]):
        assert part in shown
    assert (told["alerts"], told["banner"]) == (["key-fault"], banner)


async def test_keys_are_shown_node_by_node() -> None:
    """State, reading and reason of every key; `--json` is the site's own list of keys."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status"))
        site.gives("GET /v1/licenses/ukeys", recorded("keys"))
        shown = (await site.run("keys")).stdout
        told = json.loads((await site.run("keys", "--json")).stdout)
    assert shown.startswith(f"Fault: {STATUS['keyStateReason']}")
    assert any(line.split()[:3] == ["b", "K1", "faulty"] for line in shown.splitlines())
    assert told == recorded("keys").body


async def test_watching_shows_keys_again_when_they_change() -> None:
    """Other news of the site is not shown; the watch ends when the site cannot tell any more."""
    pulled = [node | {"ukeys": []} for node in STATUS["nodes"]]
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status"))
        polls = recorded("status", epoch=9), Reply(304, ""), recorded("status", nodes=pulled, keyState="Missing")
        site.gives("GET /v1/status?wait=30", *polls, UNAVAILABLE)
        result = await site.run("keys", "--watch")
    assert (result.exit_code, result.stdout.count("Node")) == (5, 2)
    assert "Removed (Missing)" in result.stdout


# --- start-check ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [False, True])
async def test_only_a_forbidden_start_is_an_error(*, stale: bool) -> None:
    """A site that says no, also by its last word, is exit code 4 with what to do; one that says yes is 0."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status", startAllowed=False, stale=stale))
        forbidden = await site.run("start-check")
        site.gives("GET /v1/status", recorded("status", stale=stale))
        allowed = await site.run("start-check", "--json")
    assert (forbidden.exit_code, "license install" in forbidden.stderr) == (4, True)
    assert (allowed.exit_code, json.loads(allowed.stdout)["startAllowed"]) == (0, True)
    assert ("stale" in forbidden.stderr, "stale" in allowed.stderr) == (stale, stale)


@pytest.mark.parametrize("reply", [UNAVAILABLE, Reply(401, {}), Reply(200, "<html>"), Reply(200, {}), Reply(500, "")])
async def test_a_start_is_allowed_where_nobody_can_tell(reply: Reply) -> None:
    """Whatever the site answers instead of a status lets the node start and warns."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", reply)
        result = await site.run("start-check", "--json")
    assert (result.exit_code, json.loads(result.stdout)["startAllowed"]) == (0, None)
    assert "warning" in result.stderr


async def test_a_start_is_allowed_where_nobody_can_be_asked(tmp_path: Path) -> None:
    """No coordinator, and no token to be read, let the node start and warn."""
    async with recorded_site() as site:
        for where in (
            ("--url", nobody()),
            ("--token-file", str(tmp_path / "none")),
            ("--socket", str(tmp_path / "no")),
        ):
            result = await site.run("start-check", where=where)
            assert (result.exit_code, "warning" in result.stderr) == (0, True)


# --- how the site is reached ---------------------------------------------------------------------------------------


async def test_the_root_only_socket_needs_no_token(tmp_path: Path) -> None:
    """All goes through the socket and without a token; an address beside it is a mistake in the usage."""
    socket = tmp_path / "s"
    async with recorded_site(socket) as site:
        site.gives("GET /v1/status", recorded("status"))
        assert (await site.run("alerts", where=("--socket", str(socket)))).exit_code == 0
        assert site.asked[-1].token == ""
        both = await site.run("alerts", where=("--socket", str(socket), "--url", site.url))
        assert both.exit_code == 2


async def test_the_socket_of_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options and without a demo here, the coordinator's own socket is used; a token asks for the address."""
    monkeypatch.chdir(tmp_path)
    socket = tmp_path / "s"
    monkeypatch.setattr("console.connecting.SOCKET", socket)
    async with recorded_site(socket) as site:
        monkeypatch.setattr("console.connecting.DEFAULT_URLS", (site.url,))
        site.gives("GET /v1/status", recorded("status"))
        for where, token in (((), ""), (("--token", TOKEN), f"Bearer {TOKEN}")):
            assert (await site.run("alerts", where=where)).exit_code == 0
            assert site.asked[-1].token == token


async def test_another_node_is_asked_where_one_cannot_take_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 means that nothing was changed, so the next address is tried, also for a change."""
    async with recorded_site() as away, recorded_site() as site:
        away.gives("POST /v1/licenses", UNAVAILABLE)
        site.gives("POST /v1/licenses", recorded("installed"))
        monkeypatch.setattr("console.connecting.DEFAULT_URLS", (nobody(), away.url, site.url))
        result = await site.run("license", "install", "-", data=b"x", where=("--token", TOKEN))
    assert (result.exit_code, len(away.asked), len(site.asked)) == (0, 1, 1)


async def test_a_token_without_the_scope_is_explained() -> None:
    """The scope that the verb needs is named."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", Reply(403, {"error": {"code": "forbidden", "description": "No."}}))
        result = await site.run("license", "install", "-", data=b"x")
    assert (result.exit_code, "scope `admin`" in result.stderr) == (1, True)

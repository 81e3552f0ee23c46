"""`twinkey license`: what it asks for, what it shows, and the exit codes that scripts look at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.console.recorded_site import RECORDED, TOKEN, Reply, nobody, recorded, recorded_site

LICENCE = RECORDED["licence"]["body"]["inventory"]
ACTIONS = f"/v1/licenses/mn/{RECORDED['status']['body']['nodes'][0]['managementNodeUuid']}/actions"
TAKEN = Reply(202, {"id": "order1", "location": "/v1/licenses/uploads/order1", "text": "", "hint": ""})
OUTCOME = "GET /v1/licenses/uploads/order1"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.installing.ASK_AGAIN", 0.0)


# --- get -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, 0),
        ({"usage": None}, 0),
        ({"usage": LICENCE["usage"] | {"hosts": 5}}, 0),
        ({"usage": LICENCE["usage"] | {"hosts": 6}}, 4),
        ({"expired": True, "usage": LICENCE["usage"] | {"hosts": 6}}, 3),
    ],
)
async def test_the_exit_code_says_how_the_licence_stands(members: dict[str, Any], code: int) -> None:
    """0 valid, 3 expired, 4 over quota; as many as the quota is not over it, and expired weighs more."""
    async with recorded_site() as site:
        site.gives("GET /v1/licenses", recorded("licence", inventory=LICENCE | members))
        for words in (("license", "get"), ("license", "get", "--json")):
            assert (await site.run(*words)).exit_code == code


async def test_the_licence_is_shown_in_words_and_as_the_site_told_it() -> None:
    """The table has name, quota with usage and dates; `--json` is the site's own body."""
    async with recorded_site() as site:
        site.gives("GET /v1/licenses", recorded("licence"))
        shown = (await site.run("license", "get")).stdout
        body = (await site.run("license", "get", "--json")).stdout
    for part in ("Acme", "Basic Edition - Paid", "3 of 5 hosts", "2099-01-01 00:00 UTC", LICENCE["uuid"]):
        assert part in shown
    assert json.loads(body) == recorded("licence").body


@pytest.mark.parametrize(
    ("assurance", "shown"),
    [("copyable", "USB key K1 (copyable)"), ("proven", "USB key K1 (proven)"), (None, "USB key K1")],
    ids=["copyable", "proven", "not-told"],
)
async def test_a_key_is_shown_with_its_assurance(assurance: str | None, shown: str) -> None:
    """Whether the key behind the licence could be a copy stands beside it; an older site does not say."""
    of_key = LICENCE | {"source": "usb-key", "keyId": "K1"} | ({"assurance": assurance} if assurance else {})
    async with recorded_site() as site:
        site.gives("GET /v1/licenses", recorded("licence", inventory=of_key))
        lines = (await site.run("license", "get")).stdout.splitlines()
    assert [line.split(None, 1)[1].strip() for line in lines if line.startswith("From ")] == [shown]


async def test_a_refusal_cannot_command_the_terminal() -> None:
    """What answers may be anything: control characters in its words come to nothing; programs get them as JSON."""
    error = {"error": {"code": "x", "description": "no\x1b[2J", "details": "", "hint": ""}}
    async with recorded_site() as site:
        site.gives("GET /v1/licenses", Reply(400, error))
        result = await site.run("license", "get", "--json")
    assert result.stderr == "twinkey: no\N{REPLACEMENT CHARACTER}[2J\n"
    assert ("\x1b" in result.stdout, json.loads(result.stdout)) == (False, error)


# --- inspect and install -------------------------------------------------------------------------------------------


async def test_inspecting_says_what_would_be() -> None:
    """A licence that would be installed is exit code 0, one that would be refused 1; both are shown."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses/inspect", recorded("inspected"))
        good = await site.run("license", "inspect", "-", data=b"the file")
        site.gives("POST /v1/licenses/inspect", recorded("inspected and refused"))
        bad = await site.run("license", "inspect", "-", data=b"nonsense")
    assert (good.exit_code, site.asked[0].body) == (0, b"the file")
    assert "Acme, Valid until 2099-01-01 00:00 UTC" in good.stdout
    assert (bad.exit_code, "This is not a licence file." in bad.stdout) == (1, True)


async def test_an_installed_licence_is_told() -> None:
    """The file is sent as it is with the token; the outcome names the licence and the node."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("installed", warnings=["More hosts are used."]))
        result = await site.run("license", "install", "-", data=b"\x00the file")
        told = await site.run("license", "install", "-", "--json", data=b"\x00the file")
    assert site.asked[0] == ("POST /v1/licenses", b"\x00the file", f"Bearer {TOKEN}")
    assert result.exit_code == 0
    for part in ("Installed Acme.", "More hosts are used.", RECORDED["installed"]["body"]["node"]):
        assert part in result.stdout
    assert json.loads(told.stdout)["changed"] is True


async def test_a_refusal_is_told_in_the_sites_words() -> None:
    """What is refused is exit code 1, with the reason and the next step; `--json` has the site's code."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("refused"))
        result = await site.run("license", "install", "-", "--json", data=b"nonsense")
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (1, "LICENSE.1006")
    assert "Check that this is the licence file the vendor sent." in result.stderr


async def test_what_no_site_would_take_is_not_sent() -> None:
    """A file that is far too large is refused here."""
    async with recorded_site() as site:
        result = await site.run("license", "install", "-", data=bytes(1024 * 1024))
    assert (result.exit_code, "more than" in result.stderr, site.calls) == (1, True, [])


async def test_an_order_that_was_only_taken_is_waited_for() -> None:
    """202 is no end: the outcome is asked for until it is known, and then told as if it had come at once."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", TAKEN)
        site.gives(OUTCOME, TAKEN, recorded("unavailable"), recorded("outcome"))
        result = await site.run("license", "install", "-", data=b"the file")
    assert (result.exit_code, site.calls.count(OUTCOME)) == (0, 3)
    assert "Installed Acme." in result.stdout


async def test_a_late_refusal_is_a_refusal() -> None:
    """A refusal that the leader decides on later is exit code 1 with its reason."""
    outcome = recorded("outcome").body["outcome"]
    late = outcome | {"code": "nonce-used", "http": 409, "text": "Used already.", "hint": "Ask for a new one."}
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", TAKEN)
        site.gives(OUTCOME, Reply(200, {"id": "order1", "outcome": late}))
        result = await site.run("license", "install", "-", data=b"the file")
    assert (result.exit_code, "Used already. Ask for a new one." in result.stderr) == (1, True)


async def test_what_no_leader_carries_out_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits long enough is told that the order stays, with exit code 5."""
    monkeypatch.setattr("console.installing.OUTCOME_WITHIN", 0.05)
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", TAKEN)
        site.gives(OUTCOME, TAKEN)
        result = await site.run("license", "install", "-", data=b"the file")
    assert (result.exit_code, "It is not lost" in result.stderr) == (5, True)


# --- delete and sync -----------------------------------------------------------------------------------------------


async def test_deleting_asks_first() -> None:
    """Without a yes nothing is sent; with `--yes` the licence is removed by its id."""
    call = f"DELETE {ACTIONS}?uuid=a/b"
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status"))
        site.gives(call, recorded("installed", text="The licence a/b is removed."))
        assert (await site.run("license", "delete", "a/b", data=b"n\n")).exit_code == 1
        assert site.calls == []
        result = await site.run("license", "delete", "a/b", "--yes")
    assert (result.exit_code, site.calls[-1]) == (0, call)
    assert "The licence a/b is removed." in result.stdout


async def test_synchronising_names_the_nodes() -> None:
    """A node goes by name or uuid; without one the site reads the keys of all; an unknown one is refused."""
    first, second = RECORDED["status"]["body"]["nodes"]
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status"))
        site.gives("PUT /v1/licenses/actions", recorded("synchronised", text="Synchronised K1."))
        assert "Synchronised K1." in (await site.run("license", "sync")).stdout
        assert json.loads(site.asked[-1].body) == {"reloadLicense": {}}
        words = ("--node", first["name"], "--node", second["managementNodeUuid"])
        assert (await site.run("license", "sync", *words)).exit_code == 0
        uuids = [node["managementNodeUuid"] for node in (first, second)]
        assert json.loads(site.asked[-1].body) == {"reloadLicense": {"managementNodeUuids": uuids}}
        wrong = await site.run("license", "sync", "--node", "z")
    assert (wrong.exit_code, "no node z; it has a, b" in wrong.stderr) == (1, True)


async def test_a_change_that_nobody_answers_is_exit_code_5() -> None:
    """Where no node is there, nothing was changed and the address is to be checked."""
    async with recorded_site() as site:
        where = ("--url", nobody(), "--token", TOKEN)
        result = await site.run("license", "install", "-", data=b"the file", where=where)
    assert (result.exit_code, "Check --url or --socket" in result.stderr) == (5, True)

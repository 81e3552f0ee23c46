"""`twinkey keys preview-removal`: the sentences that it makes of the site's answer."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from coordinator.published import Leader
from coordinator.removal_api import RemovalAnswer
from licensing.canonical import encode
from licensing.ledger import KeyState
from licensing.licence import Edition
from licensing.preview import RemovalPreview
from licensing.status import BufferStatus, LicenceStatus, Validity
from tests.unit.console.recorded_site import Reply, recorded, recorded_site
from tests.unit.licensing.signing import day

NOW, UNTIL = day("2026-11-24"), day("2026-12-24")
ASKED = "GET /v1/licenses/ukeys/removal?keyId="


def licence(status: Validity = Validity.VALID, name: str = "L") -> LicenceStatus:
    """Return a licence in force."""
    return LicenceStatus(name, status, day("2027-01-01"), Edition.BASIC_PAID, "usb-key", "K1", NOW, None)


def answer(*, stale: bool = False, **changes: Any) -> Reply:
    """Return the answer of a site where the removal of K1 brings thirty days of buffer, but for the changes."""
    told: dict[str, Any] = {
        "key_id": "K1",
        "at": NOW,
        "settled": NOW + dt.timedelta(seconds=60),
        "key_state": KeyState.MISSING,
        "key_state_reason": "No USB key is inserted.",
        "license": licence(),
        "buffer": BufferStatus(UNTIL),
        "days_left": 30,
        "after_buffer": licence(Validity.EXPIRED),
        "alerts": (),
        "reason": "First removal.",
    }
    removal = RemovalPreview(**told | changes)
    body = RemovalAnswer(removal=removal, as_of=NOW, stale=stale, leader=Leader("u-a", "a"), reasons=())
    return Reply(200, json.loads(encode(body)))


def with_keys(*inserted: str, reachable: tuple[bool, bool] = (True, True)) -> Reply:
    """Return the status of a site in whose first node these keys are, in the second the first of them."""
    keys = [{"keyId": key, "reading": "ok", "reason": "", "assurance": "copyable"} for key in inserted]
    nodes = zip(recorded("status").body["nodes"], (keys, keys[:1]), reachable, strict=True)
    return recorded("status", nodes=[node | {"ukeys": held, "reachable": live} for node, held, live in nodes])


SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "buffer": (
        {},
        "30 days of buffer, until 2026-12-24 00:00 UTC. After that the licence cannot be used.",
    ),
    "one-day": (
        {"days_left": 1},
        "1 day of buffer, until 2026-12-24 00:00 UTC. After that the licence cannot be used.",
    ),
    "hours": (
        {"days_left": 0},
        "less than a day of buffer, until 2026-12-24 00:00 UTC. After that the licence cannot be used.",
    ),
    "another-after": (
        {"after_buffer": licence(name="R")},
        "30 days of buffer, until 2026-12-24 00:00 UTC. After that the licence R is in force.",
    ),
    "not-affected": (
        {"buffer": None, "days_left": None, "after_buffer": None, "key_state": KeyState.READY},
        "the licence L is in force, without a buffer. The key state is Normal (Ready).",
    ),
    "no-buffer": (
        {"buffer": None, "days_left": None, "after_buffer": None, "license": licence(Validity.EXPIRED)},
        "no licence can be used then.",
    ),
    "buffer-ended": (
        {"days_left": 0, "license": licence(Validity.EXPIRED)},
        "no licence can be used then. The buffer ended on 2026-12-24 00:00 UTC.",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
async def test_the_answer_is_told_in_two_sentences(name: str) -> None:
    """What comes, and why."""
    changes, sentence = SENTENCES[name]
    async with recorded_site() as site:
        site.gives("GET /v1/status", with_keys("K1"))
        site.gives(f"{ASKED}K1", answer(**changes))
        result = await site.run("keys", "preview-removal", "K1")
    assert (result.exit_code, result.stdout) == (0, f"Unplug K1 now: {sentence}\nFirst removal.\n")


NOBODY_SEES = "Nobody sees the key go: nothing changes before its node reports again."


async def test_a_pull_that_nobody_sees_reads_like_no_permission() -> None:
    """A key in a node that does not report: that is said first, and not what is in force meanwhile."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", with_keys("K1", reachable=(False, False)))
        site.gives(f"{ASKED}K1", answer(buffer=None, days_left=None, after_buffer=None, reason=NOBODY_SEES))
        said = (await site.run("keys", "preview-removal", "K1")).stdout
    start = "K1 is in a node that does not report (a and b): pulling it out counts only when that is seen."
    assert said == f"{start}\n{NOBODY_SEES}\n"


@pytest.mark.parametrize("reachable", [(True, False), (False, True)], ids=["first", "second"])
async def test_one_node_that_reports_sees_the_key_go(reachable: tuple[bool, bool]) -> None:
    """What comes of the pull is told as long as one node with the key reports."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", with_keys("K1", reachable=reachable))
        site.gives(f"{ASKED}K1", answer())
        assert (await site.run("keys", "preview-removal", "K1")).stdout.startswith("Unplug K1 now: 30 days")


async def test_without_an_id_it_is_the_one_key_that_is_inserted() -> None:
    """Also where a copy of it is in the other node."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", with_keys("K1"))
        site.gives(f"{ASKED}K1", answer())
        assert (await site.run("keys", "preview-removal")).stdout.startswith("Unplug K1 now: 30 days")


@pytest.mark.parametrize(("inserted", "said"), [((), "no USB key is inserted"), (("K1", "K2"), "one of them: K1, K2")])
async def test_without_an_id_more_or_less_than_one_key_is_an_error(inserted: tuple[str, ...], said: str) -> None:
    """Nothing is asked on a guess; the keys to choose from are named."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", with_keys(*inserted))
        result = await site.run("keys", "preview-removal", "--json")
        assert site.calls == ["GET /v1/status"]
    assert (result.exit_code, said in result.stderr) == (1, True)
    assert said in json.loads(result.stdout)["error"]["description"]


async def test_an_id_is_sent_as_it_is() -> None:
    """Whatever stands in it, it is no part of the address."""
    async with recorded_site() as site:
        await site.run("keys", "preview-removal", "../a&b=c d")
    (call,) = site.calls
    assert parse_qs(call.partition("?")[2]) == {"keyId": ["../a&b=c d"]}


async def test_json_is_the_sites_own_answer() -> None:
    """As it was told, and nothing else on stdout, also where it is stale."""
    async with recorded_site() as site:
        site.gives("GET /v1/status", with_keys("K1"))
        site.gives(f"{ASKED}K1", answer(stale=True))
        told = await site.run("keys", "preview-removal", "K1", "--json")
        shown = await site.run("keys", "preview-removal", "K1")
    assert json.loads(told.stdout) == answer(stale=True).body
    assert ("stale" in shown.stderr, shown.exit_code) == (True, 0)


async def test_a_refusal_is_told_in_the_sites_words() -> None:
    """A key that is not inserted ends with exit code 1 and the hint."""
    error = {"error": {"code": "not-inserted", "description": "K9 is not inserted.", "details": "", "hint": "K1"}}
    async with recorded_site() as site:
        site.gives(f"{ASKED}K9", Reply(404, error))
        result = await site.run("keys", "preview-removal", "K9")
    assert (result.exit_code, "K9 is not inserted. K1" in result.stderr) == (1, True)


async def test_options_before_the_word_are_not_lost_in_silence() -> None:
    """An address or `--watch` that stands before the word would not count: that is a mistake in the usage."""
    async with recorded_site() as site:
        for options in (("--url", site.url), ("--watch",)):
            result = await site.run("keys", *options, "preview-removal", "K1")
            assert (result.exit_code, "after `preview-removal`" in result.stderr) == (2, True)
        assert site.calls == []


async def test_a_key_cannot_write_to_the_terminal() -> None:
    """Control characters in an id come to nothing."""
    async with recorded_site() as site:
        for inserted, reachable in (("K1", (True, True)), ("\x1b[31m", (False, False))):
            site.gives("GET /v1/status", with_keys(inserted, reachable=reachable))
            site.gives(f"{ASKED}K1", answer(key_id="\x1b[31m", reason="\x1b"))
            said = (await site.run("keys", "preview-removal", "K1")).stdout
            assert ("\N{REPLACEMENT CHARACTER}[31m" in said, "\x1b" in said) == (True, False)


async def test_the_table_of_keys_says_what_a_reading_is_worth() -> None:
    """Proven, copyable, or nothing where the site does not say."""
    (node, *_) = recorded("status").body["nodes"]
    keys = [
        {"keyId": "K1", "reading": "ok", "reason": "", "assurance": "proven"},
        {"keyId": "K2", "reading": "ok", "reason": "", "assurance": "copyable"},
        {"keyId": "K3", "reading": "pending", "reason": "", "assurance": None},
        {"keyId": "K4", "reading": "ok", "reason": ""},
    ]
    async with recorded_site() as site:
        site.gives("GET /v1/status", recorded("status", nodes=[node | {"ukeys": keys}]))
        shown = (await site.run("keys")).stdout.splitlines()
    assert "Assurance" in shown[1]
    assert [line.split()[1:4] for line in shown[2:]] == [
        ["K1", "ok", "proven"],
        ["K2", "ok", "copyable"],
        ["K3", "pending", "-"],
        ["K4", "ok", "-"],
    ]

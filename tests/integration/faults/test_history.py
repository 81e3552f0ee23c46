"""A random story leaves a history in which everything was kept, and the checks find every kind of change to it.

`TWINKEY_HISTORY_SECONDS` says how long the random story is, `TWINKEY_HISTORY_SEED` which one; `make history` plays
more.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from msgspec import structs

from cluster.values import decode_value, encode_value
from licensing.ledger import Ledger
from licensing.policy import DAY
from tests.netsite.history import CHECKS, History, UsageReport, faults_of, timeline, wrong_removal
from tests.netsite.netsite import NetSite
from tests.netsite.readers import Reading
from tests.netsite.story import play
from tests.site import KEYS
from tests.unit.coordinator.stored import history as remembered
from tests.unit.licensing.signing import day

SECONDS = float(os.environ.get("TWINKEY_HISTORY_SECONDS", "120"))
SEED = int(os.environ.get("TWINKEY_HISTORY_SEED", str(secrets.randbelow(10**6))))

pytestmark = pytest.mark.timeout(SECONDS + 120)  # whichever test comes first plays the story


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Give the history of a random story."""
    site = NetSite(tmp_path_factory.mktemp("site"))
    try:
        site.start()
        return play(site, SEED, SECONDS)
    finally:
        site.close()


def test_a_random_story_keeps_everything(recorded: History) -> None:
    """Whatever breaks: no upload is lost or doubled, nothing goes back, and nobody is told "Expired"."""
    assert len(recorded.published) > 3
    assert any(each.http == 200 for each in recorded.uploads)
    found = faults_of(recorded)
    assert not found, timeline(recorded, found)


def statuses(history: History) -> list[int]:
    """Return which of the versions are publications."""
    return [n for n, version in enumerate(history.versions) if version.key == KEYS.status]


def with_status(history: History, place: int, old: bytes, new: bytes) -> History:
    """Return the history with other words in one publication."""
    version = history.versions[place]
    assert old in version.value
    changed = version._replace(value=version.value.replace(old, new, 1))
    return replace(history, versions=[*history.versions[:place], changed, *history.versions[place + 1 :]])


def without_the_last(history: History) -> History:
    """Return the history without its last publication."""
    last = statuses(history)[-1]
    return replace(history, versions=[*history.versions[:last], *history.versions[last + 1 :]])


def published_again(history: History) -> History:
    """Return the history in which the last publication was written twice."""
    again = history.versions[statuses(history)[-1]]._replace(revision=10**9)
    return replace(history, versions=[*history.versions, again])


def without_a_ledger(history: History) -> History:
    """Return the history without one ledger in the midst of it."""
    places = [n for n, version in enumerate(history.versions) if version.key == KEYS.ledger]
    middle = places[len(places) // 2]
    return replace(history, versions=[*history.versions[:middle], *history.versions[middle + 1 :]])


def with_readings(history: History, readings: Sequence[Reading]) -> History:
    """Return the history with other readings of node a."""
    return replace(history, readings={**history.readings, "a": readings})


def told_expired(history: History) -> History:
    """Return the history in which node a told once that the licence has expired."""
    last = [each for each in history.readings["a"] if each.http == 200][-1]
    licence = {**last.status["license"], "status": "Expired"}
    return with_readings(history, [replace(last, status={**last.status, "license": licence})])


def with_answers(history: History, http: int) -> History:
    """Return the history in which every upload was answered in the same way."""
    return replace(history, uploads=[replace(each, http=http) for each in history.uploads])


def with_a_lost_upload(history: History) -> History:
    """Return the history with an upload that was accepted, of which nothing is stored."""
    return replace(history, uploads=[replace(history.uploads[0], http=200, name="lost")])


def led_by_another(history: History) -> History:
    """Return the history in which a publication names another leader than the one before it in the same epoch."""
    pairs = enumerate(pairwise(history.published), 1)
    number, node = next(
        (n, after.leader.management_node_uuid) for n, (before, after) in pairs if before.epoch == after.epoch
    )
    named = b'"leader":{"managementNodeUuid":"'
    return with_status(history, statuses(history)[number], named + node[:8].encode(), named + b"00000000")


def lasting_longer(history: History) -> History:
    """Return the history in which the last publication shows a licence or a buffer that lasts for another century."""
    return with_status(history, statuses(history)[-1], b'"expires":"20', b'"expires":"21')


def with_another_buffer(history: History) -> History:
    """Return the history in which the last ledger has another end of the buffer of a key that was not removed then."""
    place = [n for n, version in enumerate(history.versions) if version.key == KEYS.ledger][-1]
    version = history.versions[place]
    ledger = decode_value(version.key, version.value, Ledger)
    key = structs.replace(ledger.keys[0], buffer_until=day("2026-01-01"))
    changed = version._replace(value=encode_value(structs.replace(ledger, keys=(key, *ledger.keys[1:]))))
    return replace(history, versions=[*history.versions[:place], changed, *history.versions[place + 1 :]])


def without_reports(history: History) -> History:
    """Return the history in which no node ever reported."""
    return replace(history, changes=[change for change in history.changes if change.key == KEYS.site])


TAMPERINGS: dict[str, Callable[[History], History]] = {
    "uploads_are_kept": with_a_lost_upload,
    "usage_is_kept": lambda history: replace(history, usage=[UsageReport(10**9, 0.0, 0.0, 200)]),
    "publications_rise": published_again,
    "ledgers_rise": without_a_ledger,
    "one_leader_in_an_epoch": led_by_another,
    "readers_go_forward": lambda history: with_readings(history, history.readings["a"][::-1]),
    "readers_are_told_what_was_published": without_the_last,
    "nobody_is_told_expired": told_expired,
    "licences_last_as_the_law_says": lasting_longer,
    "removals_grant_what_the_law_says": with_another_buffer,
    "decisions_follow_from_the_reports": without_reports,
    "records_are_chained": lambda history: replace(history, records=history.records[:-1]),
}


@pytest.mark.parametrize("check", [pytest.param(check.__name__, id=check.__name__) for check in CHECKS])
def test_a_history_that_was_tampered_with_is_found(recorded: History, check: str) -> None:
    """Every check finds what it is for in a good history that was changed in one place."""
    assert check in faults_of(TAMPERINGS[check](recorded))


def test_an_upload_that_was_refused_and_is_installed_is_found(recorded: History) -> None:
    """An upload that is installed although the caller was told that it was refused is found."""
    assert "uploads_are_kept" in faults_of(with_answers(recorded, 409))


def test_an_upload_that_was_taken_and_of_which_nobody_knows_is_found(recorded: History) -> None:
    """An upload that was answered with 202, is not installed, and has no outcome is found."""
    lost = replace(recorded.uploads[0], http=202, name="lost")
    assert "uploads_are_kept" in faults_of(replace(recorded, uploads=[lost]))


@pytest.mark.parametrize(
    ("last", "granted", "removed", "until"),
    [
        pytest.param(None, None, "2026-03-01", "2026-03-31", id="first"),
        pytest.param("2026-01-01", "2026-01-31", "2026-03-01", "2026-01-31", id="59 days later"),
        pytest.param("2026-01-01", "2026-01-31", "2026-03-02", "2026-05-01", id="60 days later"),
        pytest.param("2026-01-01", "2026-01-31", "2027-02-01", "2026-01-31", id="expired"),
    ],
)
def test_a_removal_that_grants_anything_else_is_found(
    last: str | None, granted: str | None, removed: str, until: str
) -> None:
    """Of a removal, what the rules grant is right, and what any other of them would grant is found."""
    before = remembered(last_removal=last and day(last), buffer_until=granted and day(granted), out_since=day(removed))
    others = (granted and day(granted), day(removed) + 30 * DAY, day(removed) + 60 * DAY)
    for end in {day(until), *others}:
        after = structs.replace(before, last_removal=day(removed), buffer_until=end)
        assert bool([*wrong_removal(before, after, day(removed))]) == (end != day(until))


@pytest.mark.parametrize(
    ("out", "removed", "settled"),
    [
        pytest.param("2026-03-01", "2026-03-02", "2026-03-09", id="another time"),
        pytest.param("2026-03-01", "2026-03-01", "2026-02-28", id="too early"),
        pytest.param("2026-03-01", None, "2026-03-09", id="forgotten"),
    ],
)
def test_a_removal_at_a_wrong_time_is_found(out: str, removed: str | None, settled: str) -> None:
    """A removal begins when the key went out of service, counts when that has lasted, and is not forgotten."""
    before = remembered(last_removal=day("2026-02-01"), buffer_until=day("2026-03-03"), out_since=day(out))
    after = structs.replace(before, last_removal=removed and day(removed))
    assert [*wrong_removal(before, after, day(settled))]

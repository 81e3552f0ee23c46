"""Founding: the trial begins once, whatever is wiped."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.report import Fingerprint
from cluster.store import Absent, ModifiedAt, View
from cluster.values import decode_value, encode_value
from coordinator.founding import FILE, Founding, FoundingError, fresh_nonce
from licensing.ledger import Ledger, Lineage, Site
from licensing.request_code import parse
from tests.unit.coordinator.stored import (
    DAY,
    KEYS,
    NOW,
    SITE,
    TRIAL_START,
    A,
    B,
    facts_of,
    stored_report,
    view_of,
    written,
)

EARLY, LATE = Site(SITE, (A, B), TRIAL_START), Site(SITE, (A, B), NOW)


def founding(folder: Path) -> Founding:
    """Return a node's founding, as after a start."""
    return Founding(KEYS, (A, B), folder)


def kept(folder: Path) -> Site:
    """Return what a node's disk holds."""
    return decode_value(FILE, (folder / FILE).read_bytes(), Site)


def test_an_empty_store_is_founded_once(tmp_path: Path) -> None:
    """Where etcd and the disk know nothing, the trial starts now, provided that nobody was faster."""
    view = view_of({})
    plan = founding(tmp_path).plan(facts_of(view), view, NOW)
    assert plan is not None
    assert plan.conditions == (Absent(KEYS.site),)
    assert written(plan.writes) == {KEYS.site: encode_value(LATE)}
    assert plan.changes


def test_a_founded_site_is_left_alone(tmp_path: Path) -> None:
    """Nothing is to be written about a site that is there."""
    here = founding(tmp_path)
    here.keep(EARLY)
    view = view_of({KEYS.site: encode_value(EARLY)})
    assert here.plan(facts_of(view), view, NOW) is None


def test_the_trial_survives_the_loss_of_etcd(tmp_path: Path) -> None:
    """A node that kept the site's identity founds it again with the start it had."""
    founding(tmp_path).keep(EARLY)
    view = view_of({})
    plan = founding(tmp_path).plan(facts_of(view), view, NOW)
    assert plan is not None
    assert written(plan.writes) == {KEYS.site: encode_value(EARLY)}


def test_the_trial_survives_the_loss_of_a_disk(tmp_path: Path) -> None:
    """A node without its disk takes the start from etcd and keeps it again."""
    here = founding(tmp_path)
    here.keep(EARLY)
    (tmp_path / FILE).unlink()
    founding(tmp_path).keep(EARLY)
    assert kept(tmp_path) == EARLY


def test_a_node_that_remembers_an_earlier_start_corrects_etcd(tmp_path: Path) -> None:
    """The earliest start that any leader knows counts, if etcd still says what was read."""
    founding(tmp_path).keep(EARLY)
    view = view_of({KEYS.site: encode_value(LATE)}, revision=31)
    here = founding(tmp_path)
    here.keep(LATE)
    plan = here.plan(facts_of(view), view, NOW)
    assert plan is not None
    assert plan.conditions == (ModifiedAt(KEYS.site, 31),)
    assert written(plan.writes) == {KEYS.site: encode_value(EARLY)}
    assert kept(tmp_path) == EARLY


def test_a_start_in_the_future_is_not_believed(tmp_path: Path) -> None:
    """A disk that remembers a later start than now does not lengthen the trial."""
    founding(tmp_path).keep(Site(SITE, (A, B), NOW + DAY))
    view = view_of({})
    plan = founding(tmp_path).plan(facts_of(view), view, NOW)
    assert plan is not None
    assert written(plan.writes) == {KEYS.site: encode_value(LATE)}


def test_what_is_kept_is_private_and_whole(tmp_path: Path) -> None:
    """The file is for its owner alone, and nothing else is left in the folder."""
    folder = tmp_path / "state"
    founding(folder).keep(EARLY)
    assert [(each.name, oct(each.stat().st_mode)[-3:]) for each in folder.iterdir()] == [(FILE, "600")]


def test_a_disk_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full or read-only disk is no reason to stop publishing; the site is kept as soon as there is room."""
    here = founding(tmp_path)
    (tmp_path / FILE).mkdir()
    with caplog.at_level(logging.ERROR):
        here.keep(EARLY)
        here.keep(EARLY)
    assert [record.message for record in caplog.records] == ["site not kept on disk"]
    (tmp_path / FILE).rmdir()
    here.keep(EARLY)
    assert kept(tmp_path) == EARLY


def test_a_file_that_was_removed_is_written_again(tmp_path: Path) -> None:
    """With the earliest start that the node knows, whatever etcd says by then."""
    here = founding(tmp_path)
    here.keep(EARLY)
    (tmp_path / FILE).unlink()
    here.keep(LATE)
    assert kept(tmp_path) == EARLY


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Restore the file"),
        (encode_value(EARLY)[:-3], "Restore the file"),
        (b"\xff\xfe", "Restore the file"),
        (encode_value(Site("site-2", (A, B), TRIAL_START)), "belongs to site site-2"),
    ],
    ids=["empty", "cut short", "not text", "of another site"],
)
def test_a_file_that_is_not_ours_stops_the_start(tmp_path: Path, content: bytes, why: str) -> None:
    """A damaged or foreign identity is for a person to look at, and the text says what to do."""
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(FoundingError, match=why):
        founding(tmp_path)


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """Not being able to read is not the same as having nothing."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(FoundingError, match="Restore the file"):
        founding(tmp_path)


# --- the first request code ----------------------------------------------------------------------------------------


def reported(*nodes: str, site: Site = EARLY) -> View:
    """Return what is stored when these nodes have reported, under revision 31."""
    return view_of(
        {KEYS.site: encode_value(site)}
        | {
            KEYS.last_seen(node): stored_report(node, fingerprint=Fingerprint(f"machine-of-{node}", ("x",)))
            for node in nodes
        },
        revision=31,
    )


def coded(folder: Path, view: View, ledger: Ledger | None = None) -> Site | None:
    """Return the site with its request code as it is to be written, None for nothing to write."""
    facts = facts_of(view)
    here = Founding(KEYS, (A, B), folder, lambda: "n-0")
    plan = here.plan(facts if ledger is None else replace(facts, ledger=ledger), view, NOW)
    if plan is None:
        return None
    assert plan.conditions == (ModifiedAt(KEYS.site, 31),)
    return decode_value(KEYS.site, written(plan.writes)[KEYS.site], Site)


def test_there_is_a_request_code_as_soon_as_every_node_has_reported(tmp_path: Path) -> None:
    """It names both machines, also one that does not report just now, and the licence's sequence."""
    assert coded(tmp_path, reported(A)) is None
    ledger = Ledger(lineages=(Lineage("C-1", 3, NOW), Lineage("C-2", 2, NOW)))
    site = coded(tmp_path, reported(A, B), ledger)
    assert site is not None
    code = parse(site.request)
    assert (code.site_id, code.fingerprints, code.nonce, code.sequence) == (
        SITE,
        (f"machine-of-{A}", f"machine-of-{B}"),
        "n-0",
        3,
    )
    assert (site.nonces, site.trial_start) == (("n-0",), TRIAL_START)
    assert coded(tmp_path, reported(A, B, site=site)) is None


def test_there_is_no_request_code_while_the_ledger_cannot_be_read(tmp_path: Path) -> None:
    """It would say the wrong sequence."""
    view = reported(A, B)
    facts = replace(facts_of(view), ledger=None)
    assert Founding(KEYS, (A, B), tmp_path).plan(facts, view, NOW) is None


def test_an_earlier_trial_start_leaves_the_request_code_alone(tmp_path: Path) -> None:
    """The two are corrected independently."""
    site = coded(tmp_path, reported(A, B, site=LATE))
    assert site is not None
    founding(tmp_path).keep(EARLY)
    assert coded(tmp_path, reported(A, B, site=site)) == replace(site, trial_start=TRIAL_START)


def test_nonces_cannot_be_guessed_and_are_never_the_same() -> None:
    """They tell one request from the next."""
    nonces = {fresh_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert {len(nonce) for nonce in nonces} == {32}


def test_a_site_that_the_store_lost_is_founded_as_it_is_remembered(tmp_path: Path) -> None:
    """Its members, request code and nonces are those that this node knew, and the trial starts no later."""
    known = Site(SITE, (B, A), NOW, "code", ("n-1",))
    founding(tmp_path).keep(EARLY)
    view = view_of({})
    plan = founding(tmp_path).plan(facts_of(view), view, NOW, known)
    assert plan is not None
    assert written(plan.writes) == {KEYS.site: encode_value(replace(known, trial_start=TRIAL_START))}

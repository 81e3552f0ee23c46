"""Installing and removing: what is accepted, what is refused and why, and that a refusal is only a value."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from licensing.inforce import in_force
from licensing.install import Circumstances, Installed, NotInstalled, install, remove, synchronise
from licensing.ledger import KeyHistory, Ledger
from licensing.licence import SignedLicence
from licensing.pending import ripen
from licensing.policy import Policy
from licensing.presence import Presence, observe
from licensing.seen import InsertedKey, NodeView
from licensing.value import Time
from tests.unit.licensing.asked import LATER, NEXT_YEAR, NOW, SITE, asked
from tests.unit.licensing.signing import AT_SITE, day
from tests.unit.licensing.sites import broken, live, reading, signed, works

MACHINES = ("node-a", "node-b")
"""The fingerprints of the site's nodes."""
NEWER = {"sequence": 2, "issued": day("2026-02-01")}


def seen(*views: NodeView) -> Presence:
    """Return which keys are there."""
    return observe(views, Ledger(), NOW, Policy())


NONE = Ledger()
EMPTY = seen(live("a"), live("b"))
K1_IN = seen(live("a", works("K1")), live("b"))
ALONE = Circumstances(SITE, EMPTY, MACHINES, NOW)
WITH_K1 = replace(ALONE, presence=K1_IN)


def after(ledger: Ledger, *licences: SignedLicence, at: Circumstances = ALONE) -> Ledger:
    """Return the ledger after these were installed one by one."""
    for each in licences:
        done = install(each, ledger, at)
        assert isinstance(done, Installed), done
        ledger = done.ledger
    return ledger


def refused(each: SignedLicence, ledger: Ledger = NONE, at: Circumstances = ALONE) -> tuple[str, int]:
    """Return the code and the HTTP status with which it is refused."""
    done = install(each, ledger, at)
    assert isinstance(done, NotInstalled), done
    assert done.text
    assert done.hint
    return done.code, done.http


def installed(ledger: Ledger) -> list[str]:
    """Return the ids of the site's licences."""
    return [each.licence.licence_id for each in ledger.installed]


# --- for the site --------------------------------------------------------------------------------------------------


def test_a_first_licence_is_installed_and_uses_its_nonce() -> None:
    """The ledger holds the licence, its place in its lineage, and the nonce that it used."""
    ledger = after(Ledger(), asked())
    assert installed(ledger) == ["L-1"]
    assert [(each.lineage, each.sequence) for each in ledger.lineages] == [("C-1", 1)]
    assert [(each.nonce, each.licence_id) for each in ledger.spent] == [("n-1", "L-1")]


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"binding": replace(AT_SITE, site_id="site-2")}, ("LICENSE.1002", 422)),
        ({"binding": replace(AT_SITE, fingerprints=("x", "y"))}, ("LICENSE.1002", 422)),
        ({"binding": replace(AT_SITE, nonce="never")}, ("LICENSE.1002", 422)),
        ({"expires": NOW}, ("LICENSE.1000", 422)),
    ],
    ids=["another site", "other machines", "a nonce that was not given out", "expired this moment"],
)
def test_a_licence_for_something_else_or_expired_is_refused(changes: dict[str, Any], answer: tuple[str, int]) -> None:
    """What was issued for another site, other machines or another time is not installed."""
    assert refused(asked(**changes)) == answer


def test_an_expired_licence_is_told_with_its_dates() -> None:
    """The reason names both dates, so that nobody has to open the file."""
    done = install(asked(expires=day("2026-02-28")), Ledger(), ALONE)
    assert isinstance(done, NotInstalled)
    assert "2026-01-01" in done.text
    assert "2026-02-28" in done.text


def test_one_of_two_nodes_may_have_been_replaced() -> None:
    """One machine that the licence was asked for with is enough; none is too few."""
    assert installed(after(Ledger(), asked(), at=replace(ALONE, fingerprints=("new", "node-b")))) == ["L-1"]
    assert refused(asked(), at=replace(ALONE, fingerprints=("new", "newer"))) == ("LICENSE.1002", 422)
    assert refused(asked(), at=replace(ALONE, fingerprints=())) == ("LICENSE.1002", 422)


def test_the_same_file_again_changes_nothing() -> None:
    """Installing twice is no error, and the ledger is the very same."""
    ledger = after(Ledger(), asked())
    assert install(asked(), ledger, ALONE) == Installed(ledger, changed=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"licence_id": "L-0", "sequence": 0, "issued": day("2026-02-20")},
        {"licence_id": "L-0", "sequence": 1, "issued": day("2025-12-31")},
        {"licence_id": "L-0", "sequence": 1},
        {"sequence": 1, "name": "other terms"},
    ],
    ids=["lower sequence", "older", "same place, another id", "same place and id, other terms"],
)
def test_what_is_not_newer_in_its_lineage_is_refused(changes: dict[str, Any]) -> None:
    """Within a lineage only the higher sequence, or the later issue of the same sequence, is installed."""
    assert refused(asked("n-2", **changes), after(Ledger(), asked())) == ("LICENSE.1004", 409)


def test_a_newer_licence_takes_the_place_of_its_predecessor() -> None:
    """There is one of a lineage, and the answer says which one went."""
    done = install(asked("n-2", **LATER), after(Ledger(), asked()), ALONE)
    assert isinstance(done, Installed)
    assert installed(done.ledger) == ["L-2"]
    assert done.replaced == asked().licence
    assert len(done.ledger.lineages) == 1


def test_another_lineage_stands_beside() -> None:
    """Licences of different contracts do not replace each other."""
    assert installed(after(Ledger(), asked(), asked("n-2", licence_id="L-9", lineage="C-9"))) == ["L-1", "L-9"]


def test_a_used_nonce_is_refused_in_a_new_file() -> None:
    """One request code is one answer."""
    ledger = after(Ledger(), asked())
    assert refused(asked("n-1", **LATER), ledger) == ("nonce-used", 409)
    assert refused(asked("n-1", licence_id="L-9", lineage="C-9"), ledger) == ("nonce-used", 409)


def test_licences_that_came_together_may_answer_one_request_code() -> None:
    """What was used by the others of the same upload does not count as used."""
    ledger = after(Ledger(), asked())
    both = after(ledger, asked(licence_id="L-9", lineage="C-9"), at=replace(ALONE, spent=ledger.spent))
    assert installed(both) == ["L-1", "L-9"]
    assert [each.licence_id for each in both.spent] == ["L-1", "L-9"]
    assert refused(asked(licence_id="L-8", lineage="C-8"), both) == ("nonce-used", 409)


def deleted(ledger: Ledger, licence_id: str = "L-1") -> Ledger:
    """Return the ledger without a licence."""
    done = remove(licence_id, ledger)
    assert isinstance(done, Installed)
    assert done.changed
    return done.ledger


def test_the_very_same_licence_comes_back_after_a_deletion() -> None:
    """Also when its request code is no longer among those that can be used."""
    ledger = deleted(after(Ledger(), asked()))
    assert installed(ledger) == []
    again = after(ledger, asked(), at=replace(ALONE, site=replace(SITE, nonces=("n-9",))))
    assert installed(again) == ["L-1"]
    assert len(again.spent) == 1


def test_it_does_not_come_back_once_a_newer_one_was_installed() -> None:
    """Also where the newer one is deleted too."""
    ledger = deleted(after(Ledger(), asked(), asked("n-2", **LATER)), "L-2")
    assert refused(asked(), ledger) == ("LICENSE.1004", 409)
    assert installed(after(ledger, asked("n-2", **LATER))) == ["L-2"]


def test_only_the_very_same_comes_back() -> None:
    """Another file with the same id and place in the lineage is not the one that was deleted."""
    ledger = deleted(after(Ledger(), asked()))
    assert refused(asked("n-2"), ledger) == ("LICENSE.1004", 409)
    assert refused(asked("n-1", name="other terms"), ledger) == ("LICENSE.1004", 409)


# --- licences that wait --------------------------------------------------------------------------------------------


def name_in_force(ledger: Ledger, now: Time) -> str | None:
    """Return the id of the licence that can be used."""
    found = in_force(SITE, replace(ledger, trial_over=True), now)
    return found.licence.licence_id if found and found.usable else None


def test_an_early_renewal_leaves_the_running_licence_alone() -> None:
    """It waits, and takes over at the very moment that its time comes, with or without a decision in between."""
    ledger = after(Ledger(), asked(), asked("n-2", **NEXT_YEAR))
    assert installed(ledger) == ["L-1", "L-2"]
    begins = day("2027-01-01")
    assert [name_in_force(ledger, at) for at in (NOW, begins)] == ["L-1", "L-2"]
    assert installed(ripen(ledger, begins)) == ["L-2"]
    assert ripen(ledger, NOW) == ledger


def test_a_licence_that_waits_is_not_replaced_by_an_older_one() -> None:
    """The newest of a lineage is the newest, waiting or not; a newer one that has begun replaces both."""
    ledger = after(Ledger(), asked(), asked("n-2", **NEXT_YEAR))
    assert refused(asked("n-3", licence_id="L-0", sequence=1, issued=day("2026-01-15")), ledger) == (
        "LICENSE.1004",
        409,
    )
    assert installed(after(ledger, asked("n-3", licence_id="L-3", sequence=3))) == ["L-3"]
    assert installed(after(ledger, asked("n-3", **(NEXT_YEAR | {"licence_id": "L-3", "sequence": 3})))) == [
        "L-1",
        "L-3",
    ]


def test_a_renewal_of_a_usb_keys_licence_waits_too() -> None:
    """The key goes on with the licence it has until the time of the next one comes."""
    ledger = synchronise(replace(Ledger(), in_use="K1"), K1_IN, NOW)
    renewal = signed("K1", **(NEXT_YEAR | {"licence_id": "K1-next"}))
    done = install(renewal, ledger, WITH_K1)
    assert isinstance(done, Installed)
    assert done.replaced is None
    assert [name_in_force(done.ledger, at) for at in (NOW, day("2027-01-01"))] == ["K1", "K1-next"]
    assert install(renewal, done.ledger, WITH_K1) == Installed(done.ledger, changed=False)
    assert refused(signed("K1", licence_id="K1-x", **NEWER), done.ledger, WITH_K1) == ("LICENSE.1004", 409)


# --- for a USB key -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "node",
    [live("a"), live("a", broken("K1")), live("a", reading("K1")), live("a", works("K2"))],
    ids=["out", "broken", "being read", "another key is in"],
)
def test_a_keys_licence_is_refused_without_its_key(node: NodeView) -> None:
    """It takes effect with the key, so the key must be there and work; also one that is known."""
    at = replace(ALONE, presence=seen(node, live("b")))
    assert refused(signed("K1", **NEWER), at=at) == ("LICENSE.1002", 422)
    assert refused(signed("K1", **NEWER), synchronise(Ledger(), K1_IN, NOW), at) == ("LICENSE.1002", 422)


def test_a_keys_newer_licence_takes_the_place_of_what_it_carries() -> None:
    """It is kept with the history of its key, which stays, and uses no nonce."""
    known = KeyHistory("K1", signed("K1"), "a", last_removal=day("2026-02-01"))
    newer = signed("K1", licence_id="K1-2", **NEWER)
    done = install(newer, Ledger(keys=(known,)), WITH_K1)
    assert done == Installed(Ledger(keys=(replace(known, signed=newer),)), changed=True, replaced=known.signed.licence)


def test_a_keys_own_licence_again_changes_nothing() -> None:
    """What the key carries and was synchronised is installed; an older one is refused."""
    ledger = synchronise(Ledger(), K1_IN, NOW)
    assert install(signed("K1"), ledger, WITH_K1) == Installed(ledger, changed=False)
    assert refused(signed("K1", sequence=0), ledger, WITH_K1) == ("LICENSE.1004", 409)
    assert refused(signed("K1", sequence=0), Ledger(), WITH_K1) == ("LICENSE.1004", 409)


def test_a_keys_own_licence_can_be_uploaded_where_the_key_was_never_synchronised() -> None:
    """Where keys are not synchronised by themselves, its upload installs it."""
    done = install(signed("K1"), Ledger(), WITH_K1)
    assert done == Installed(Ledger(keys=(KeyHistory("K1", signed("K1"), "a"),)), changed=True)


# --- removing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("licence_id", "answer"),
    [("K1", ("LICENSE.1001", 409)), ("K1-next", ("LICENSE.1001", 409)), ("L-0", ("not-found", 404))],
)
def test_what_cannot_be_removed(licence_id: str, answer: tuple[str, int]) -> None:
    """A USB key's licence goes with its key, and what is not there cannot go."""
    waiting = signed("K1", **(NEXT_YEAR | {"licence_id": "K1-next"}))
    ledger = after(synchronise(Ledger(), K1_IN, NOW), waiting, at=WITH_K1)
    done = remove(licence_id, ledger)
    assert isinstance(done, NotInstalled)
    assert (done.code, done.http) == answer


def test_a_licence_that_waits_can_be_removed_alone() -> None:
    """The one that runs stays."""
    assert installed(deleted(after(Ledger(), asked(), asked("n-2", **NEXT_YEAR)), "L-2")) == ["L-1"]


# --- synchronising -------------------------------------------------------------------------------------------------


def test_synchronising_takes_over_what_working_keys_carry() -> None:
    """Every working key is known after it, with the time and its node; a broken or pending one is not."""
    presence = seen(live("a", works("K2"), broken("K3")), live("b", works("K1"), reading("K4")))
    ledger = synchronise(Ledger(), presence, NOW)
    assert [(key.key_id, key.node, key.signed.uploaded_at) for key in ledger.keys] == [
        ("K1", "b", NOW),
        ("K2", "a", NOW),
    ]


@pytest.mark.parametrize(
    ("carried", "newest"),
    [
        (works("K1", licence_id="K1-2", **NEWER), "K1-2"),
        (works("K1", licence_id="K1-0", sequence=0), "K1"),
        (works("K1"), "K1"),
    ],
    ids=["newer", "older", "the same"],
)
def test_synchronising_never_goes_back(carried: InsertedKey, newest: str) -> None:
    """Only a newer licence on the key counts."""
    ledger = synchronise(synchronise(Ledger(), K1_IN, NOW), seen(live("a", carried), live("b")), NOW)
    assert [key.signed.licence.licence_id for key in ledger.keys] == [newest]


def test_synchronising_a_key_that_carries_its_renewal_does_not_end_the_running_licence() -> None:
    """The renewal on the key waits for its time."""
    carried = works("K1", **(NEXT_YEAR | {"licence_id": "K1-next"}))
    (key,) = synchronise(synchronise(Ledger(), K1_IN, NOW), seen(live("a", carried), live("b")), NOW).keys
    assert key.signed.licence.licence_id == "K1"
    assert key.pending is not None
    assert key.pending.licence.licence_id == "K1-next"

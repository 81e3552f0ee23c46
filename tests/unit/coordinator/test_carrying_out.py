"""Carrying out orders: all or nothing, for which node, with which warnings; a refusal leaves everything as it was."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from coordinator.carrying_out import KEPT_NONCES, Scene, carry_out
from coordinator.orders import Remove, RenewRequestCode, Synchronise
from licensing.envelope import seal
from licensing.ledger import Usage
from licensing.licence import SignedLicence
from licensing.request_code import parse
from licensing.seen import NodeView, Visibility
from tests.unit.coordinator.ordered import (
    BOTH,
    FRESH,
    accepted,
    install,
    licensed,
    node,
    order,
    refusal,
    scene,
)
from tests.unit.coordinator.stored import NOW, A, B
from tests.unit.licensing.asked import LATER, NEXT_YEAR, SITE, asked
from tests.unit.licensing.signing import AT_SITE, licence, private_key
from tests.unit.licensing.sites import broken, signed, works

LAST = replace(SITE, request="old", nonces=("n-2", "n-1"))
"""A site whose newest request code has the nonce n-1."""
ALONE = replace(SITE, members=(A,))
SECOND_LINEAGE: dict[str, Any] = {"licence_id": "L-9", "lineage": "C-9"}


def file(nonce: str = "n-1", **changes: Any) -> bytes:
    """Return the file of a licence for the site."""
    return asked(nonce, **changes).file


# --- for which node ------------------------------------------------------------------------------------------------


def test_a_first_licence_is_installed_for_the_holder_of_the_virtual_ip() -> None:
    """Whichever node received it, and the licence remembers for whom, when and by whom."""
    done = install(file(), node=B)
    assert accepted(done).node == A
    assert done.ledger.installed == (replace(asked(), uploaded_at=NOW, node=A, who="admin"),)


@pytest.mark.parametrize(
    ("views", "code"),
    [
        ((node(A), node(B)), "no-vip-holder"),
        ((node(A, vip=True, visibility=Visibility.STALE), node(B)), "no-vip-holder"),
        ((node(A, vip=True), node(B, vip=True)), "two-vip-holders"),
    ],
    ids=["nobody", "only one that no longer reports", "both"],
)
def test_a_first_licence_needs_one_live_holder(views: tuple[NodeView, ...], code: str) -> None:
    """Without exactly one it is not clear to whom it belongs."""
    met = scene(views)
    assert refusal(met, install(file(), met=met)) == (code, 409)


def test_the_console_needs_no_holder_but_does_not_settle_a_conflict() -> None:
    """A platform that is down may have no virtual IP; two of them are a fault all the same."""
    assert accepted(install(file(), met=scene((node(A), node(B))), console=True)).node == B
    conflict = scene((node(A, vip=True), node(B, vip=True)))
    assert refusal(conflict, install(file(), met=conflict, console=True)) == ("two-vip-holders", 409)


def test_a_single_node_is_its_own_holder() -> None:
    """It needs no virtual IP."""
    assert accepted(install(file(), met=scene((node(A),), site=ALONE), node=A)).node == A


def test_a_later_licence_is_installed_for_the_node_that_received_it() -> None:
    """Without a look at the virtual IP."""
    met = replace(licensed(), views=(node(A), node(B)))
    assert accepted(install(file("n-2", **LATER), met=met, node=B)).node == B


def test_a_usb_keys_licence_needs_no_virtual_ip() -> None:
    """It belongs to its key."""
    met = scene((node(A), node(B, works("K1"))))
    assert accepted(install(signed("K1").file, met=met, node=A)).node == A


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        (file().replace(b"C-1", b"C-2"), ("bad-signature", 422)),
        (seal(licence(binding=AT_SITE), "0" * 16, private_key(9)), ("unknown-key-id", 422)),
        (file(binding=replace(AT_SITE, site_id="site-2")), ("LICENSE.1002", 422)),
        (signed("K1").file, ("LICENSE.1002", 422)),
        (file(expires=NOW), ("LICENSE.1000", 422)),
        (b"", ("LICENSE.1006", 400)),
    ],
    ids=["altered", "unknown signer", "another site", "a key that is out", "expired", "empty"],
)
@pytest.mark.parametrize("good", [(), (file(**SECOND_LINEAGE),)], ids=["alone", "with a good one"])
def test_a_bad_licence_refuses_everything(bad: bytes, answer: tuple[str, int], good: tuple[bytes, ...]) -> None:
    """One bad licence of several refuses all, wherever it stands."""
    met = scene()
    assert refusal(met, install(*good, bad, met=met)) == answer
    assert refusal(met, install(bad, *good, met=met)) == answer


@pytest.mark.parametrize(
    ("late", "answer"),
    [
        (file("n-1", **LATER), ("nonce-used", 409)),
        (file("n-2", licence_id="L-0", sequence=0), ("LICENSE.1004", 409)),
        (file("n-2", licence_id="L-2"), ("LICENSE.1004", 409)),
    ],
    ids=["same nonce", "older", "same sequence"],
)
def test_of_two_at_once_the_second_is_refused(late: bytes, answer: tuple[str, int]) -> None:
    """Orders are carried out one after the other, each on what the one before left."""
    met = licensed()
    assert refusal(met, install(late, met=met)) == answer


@pytest.mark.parametrize("views", [BOTH, (node(A, broken("K1")), node(B))], ids=["out", "broken"])
def test_a_usb_keys_licence_needs_its_key(views: tuple[NodeView, ...]) -> None:
    """A key that is out or broken takes no licence."""
    met = scene(views)
    assert refusal(met, install(signed("K1").file, met=met)) == ("LICENSE.1002", 422)


# --- what is installed ---------------------------------------------------------------------------------------------


def test_the_same_file_again_is_said_to_change_nothing() -> None:
    """The answer is 200, the ledger and the request code stay, and no other node is said to have it now."""
    met = licensed()
    done = install(file(), met=met, node=B)
    assert (accepted(done).changed, accepted(done).node, done.ledger, done.site) == (False, "", met.ledger, met.site)


def test_an_archive_may_hold_several_answers_to_one_request_code() -> None:
    """All of them are bound to the nonce of the one request that was sent."""
    done = install(file(), file(**SECOND_LINEAGE))
    assert accepted(done).licences == ("L-1", "L-9")
    assert len(done.ledger.installed) == 2


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_in_an_archive_does_not_matter(reverse: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A licence and its renewal are both installed, whichever comes first."""
    files = [file(), file(**NEXT_YEAR)]
    done = install(*(files[::-1] if reverse else files))
    assert accepted(done).licences == ("L-1", "L-2")
    assert [each.licence.licence_id for each in done.ledger.installed] == ["L-1", "L-2"]


def test_a_licence_that_begins_later_is_stored_with_a_warning() -> None:
    """It waits, and the answer says until when."""
    outcome = accepted(install(file(**NEXT_YEAR)))
    assert outcome.changed
    assert [warning for warning in outcome.warnings if "2027-01-01" in warning]


def test_a_licence_for_less_than_is_used_is_installed_with_a_warning() -> None:
    """It is the customer's right to buy less; the answer says what follows."""
    outcome = accepted(install(file(), met=scene(usage=Usage(NOW, hosts=11))))
    assert (outcome.changed, len(outcome.warnings)) == (True, 1)
    assert "hosts" in outcome.warnings[0]
    assert outcome.hint
    assert accepted(install(file(), met=scene(usage=Usage(NOW, hosts=10)))).warnings == ()


def test_the_answer_names_what_was_replaced() -> None:
    """Nobody should have to compare two states to see it."""
    outcome = accepted(install(file("n-2", name="New", **LATER), met=licensed()))
    assert outcome.text == f"Installed New. It takes the place of {licence().name}."


# --- removing and synchronising ------------------------------------------------------------------------------------


def test_a_removed_licence_can_be_installed_again() -> None:
    """The very same, with the nonce that it used."""
    met = licensed()
    done = carry_out(order(Remove("L-1")), met)
    assert accepted(done).changed
    assert done.ledger.installed == ()
    again = install(file(), met=replace(met, ledger=done.ledger))
    assert accepted(again).changed
    assert again.ledger == met.ledger


def with_key(**policy: Any) -> Scene:
    """Return a site with a key in node a."""
    return scene((node(A, works("K1"), vip=True), node(B)), **policy)


def test_a_usb_keys_licence_cannot_be_removed() -> None:
    """Only the key itself can be."""
    met = with_key()
    met = replace(met, ledger=carry_out(order(Synchronise()), met).ledger)
    assert refusal(met, carry_out(order(Remove("K1")), met)) == ("LICENSE.1001", 409)
    assert refusal(met, carry_out(order(Remove("L-1")), met)) == ("not-found", 404)


def test_synchronising_installs_what_keys_carry_and_says_which() -> None:
    """Where keys are not synchronised by themselves it is the only way; the second time nothing changes."""
    met = with_key(auto_synchronize=False)
    done = carry_out(order(Synchronise()), met)
    assert (accepted(done).changed, done.outcome.licences) == (True, ("K1",))
    again = carry_out(order(Synchronise()), replace(met, ledger=done.ledger))
    assert (accepted(again).changed, again.ledger) == (False, done.ledger)
    assert not accepted(carry_out(order(Synchronise()), scene())).changed


# --- the request code ----------------------------------------------------------------------------------------------


def test_a_used_request_code_is_replaced_by_itself() -> None:
    """An answer to the used one would be refused, so there is a new one, with the licence's sequence."""
    done = install(file(), met=scene(site=LAST))
    code = parse(done.site.request)
    assert (code.site_id, code.fingerprints, code.nonce, code.sequence) == ("site-1", (A, B), FRESH, 1)
    assert done.site.nonces == ("n-2", "n-1", FRESH)


def test_an_older_request_code_leaves_the_one_given_out_alone() -> None:
    """It is the same text until it is used or somebody asks for a new one."""
    assert install(file("n-2"), met=scene(site=LAST)).site == LAST


def test_a_new_request_code_keeps_the_last_eight_usable() -> None:
    """The ninth makes the first useless."""
    met = scene(site=replace(SITE, nonces=()))
    for number in range(1, KEPT_NONCES + 2):
        done = carry_out(order(RenewRequestCode(), fresh=f"n-{number}"), met)
        accepted(done)
        met = replace(met, site=done.site)
        assert parse(done.site.request).nonce == f"n-{number}"
    assert accepted(install(file("n-2"), met=met)).changed
    assert refusal(met, install(file("n-1"), met=met)) == ("LICENSE.1002", 422)


def test_there_is_no_request_code_for_a_site_that_nobody_saw() -> None:
    """It would name no machine."""
    met = scene((node(A, fingerprint=""), node(B, fingerprint="")))
    assert refusal(met, carry_out(order(RenewRequestCode()), met)) == ("not-ready", 503)


def test_a_licence_for_a_site_one_of_whose_nodes_was_replaced_is_accepted() -> None:
    """One of the machines is enough."""
    met = scene((node(A, vip=True, fingerprint="new"), node(B)))
    assert accepted(install(file(), met=met)).changed


def test_what_was_opened_is_what_is_kept() -> None:
    """The bytes in the ledger are those that were signed."""
    (kept,) = install(file()).ledger.installed
    assert isinstance(kept, SignedLicence)
    assert kept.file == file()

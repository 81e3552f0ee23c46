"""The judgement of an inserted USB key, from what was read of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from licensing.envelope import open_licence, seal
from licensing.genuine import Judgement, device_key_of, judge_key, nonce_of, proof_message
from licensing.keyring import key_id
from licensing.licence import KeyBinding
from licensing.seen import Challenge, Reading
from tests.unit.licensing.signing import AT_SITE, KEYRING, KID, VENDOR, licence, private_key, public_key

DEVICE = private_key(7)
CHALLENGE = Challenge("site-1", 7, 40, bytes(range(32)))
NONCE = nonce_of(CHALLENGE)
PLAIN = seal(licence(), KID, VENDOR)
PROVABLE = seal(licence(binding=KeyBinding("K1", public_key(7))), KID, VENDOR)
PROOF = DEVICE.sign(proof_message("K1", NONCE))


@pytest.mark.parametrize(
    ("blob", "challenge", "proof", "assurance"),
    [
        (PLAIN, None, None, "copyable"),
        (PLAIN, CHALLENGE, None, "copyable"),
        (PLAIN, CHALLENGE, b"whatever", "copyable"),
        (PROVABLE, CHALLENGE, PROOF, "proven"),
    ],
    ids=["no device key", "no device key, asked", "no device key, answered", "proven"],
)
def test_a_key_with_its_own_licence_is_ok(
    blob: bytes, challenge: Challenge | None, proof: bytes | None, assurance: str
) -> None:
    """A key is OK when its licence is bound to it; only where the licence names a device key is that proven."""
    judged = judge_key(KEYRING, "K1", blob, challenge, proof)
    assert judged == Judgement(Reading.OK, "", open_licence(blob, KEYRING))
    assert judged.assurance == assurance


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "blank"),
        (bytes(512), "blank"),
        (b"\xff" * 512, "blank"),
        (b"FAT16   ", "not a licence file"),
        (PLAIN[:-30], "cut short"),
        (PLAIN[30:], "beginning"),
        (PLAIN.replace(b'"hosts":10', b'"hosts":11'), "altered"),
        (PLAIN.replace(b"LICENCE 1", b"LICENCE 2"), "version 2"),
        (seal(licence(), key_id(public_key(9)), private_key(9)), key_id(public_key(9))),
        (PLAIN + bytes(70_000), "at most"),
    ],
)
def test_a_key_without_a_valid_licence_is_faulty(blob: bytes, why: str) -> None:
    """Blank, damaged and unsigned keys are faulty, with the reason and a next step in words."""
    judged = judge_key(KEYRING, "K1", blob, CHALLENGE, PROOF)
    assert (judged.reading, judged.signed, judged.assurance) == (Reading.FAULTY, None, None)
    assert judged.reason.startswith("The USB key holds no valid licence: ")
    assert why in judged.reason
    assert judged.reason.endswith(".")


@pytest.mark.parametrize(
    ("blob", "key", "challenge", "proof", "why"),
    [
        (PLAIN, "K2", None, None, "licence of key K1"),
        (PLAIN, "k1", None, None, "licence of key K1"),
        (PROVABLE, "K2", CHALLENGE, DEVICE.sign(proof_message("K2", NONCE)), "licence of key K1"),
        (seal(licence(binding=AT_SITE), KID, VENDOR), "K1", None, None, "bound to a site"),
        (PROVABLE, "K1", None, None, "did not prove"),
        (PROVABLE, "K1", CHALLENGE, None, "did not prove"),
        (PROVABLE, "K1", None, PROOF, "did not prove"),
        (PROVABLE, "K1", CHALLENGE, DEVICE.sign(NONCE), "proof is wrong"),
        (PROVABLE, "K1", CHALLENGE, DEVICE.sign(proof_message("K2", NONCE)), "proof is wrong"),
        (PROVABLE, "K1", CHALLENGE, private_key(8).sign(proof_message("K1", NONCE)), "proof is wrong"),
        (PROVABLE, "K1", CHALLENGE, b"", "proof is wrong"),
        (PROVABLE, "K1", CHALLENGE, PROOF + b"\x00", "proof is wrong"),
        (seal(licence(binding=KeyBinding("K1", b"\xff" * 32)), KID, VENDOR), "K1", CHALLENGE, PROOF, "proof is wrong"),
    ],
)
def test_a_key_that_is_not_the_original_is_not_genuine(
    blob: bytes, key: str, challenge: Challenge | None, proof: bytes | None, why: str
) -> None:
    """A well-signed licence in the wrong key, or without the key's own proof, is not genuine."""
    judged = judge_key(KEYRING, key, blob, challenge, proof)
    assert (judged.reading, judged.signed) == (Reading.NOT_GENUINE, None)
    assert why in judged.reason


@pytest.mark.parametrize(
    "changed",
    [{"site_id": "site-2"}, {"epoch": 8}, {"index": 41}, {"random": bytes(32)}],
    ids=["another site", "another leader", "another answer", "another time"],
)
def test_a_proof_is_good_for_one_challenge_only(changed: dict[str, Any]) -> None:
    """A proof does not prove anything to another site or leader, nor at another time."""
    judged = judge_key(KEYRING, "K1", PROVABLE, replace(CHALLENGE, **changed), PROOF)
    assert (judged.reading, "proof is wrong" in judged.reason) == (Reading.NOT_GENUINE, True)


def test_the_members_of_a_challenge_cannot_be_shifted() -> None:
    """What ends one member never begins the next one."""
    one, other = (nonce_of(Challenge(site, epoch, 0, bytes(32))) for site, epoch in (("s1", 1), ("s", 0x31)))
    assert one != other
    assert len(one) == len(other) == 32


def test_the_device_key_is_what_the_licence_names() -> None:
    """Only a licence that is bound to a USB key with a device key has one."""
    named = {
        blob: device_key_of(open_licence(blob, KEYRING))
        for blob in (PLAIN, PROVABLE, seal(licence(binding=AT_SITE), KID, VENDOR))
    }
    assert list(named.values()) == [None, public_key(7), None]


def test_what_is_proven_cannot_be_shifted_between_key_and_nonce() -> None:
    """Key id and nonce are told apart in the message, and the nonce has one length."""
    assert proof_message("K1", b"2" + bytes(31)) != proof_message("K12", bytes(32))
    for length in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            proof_message("K1", bytes(length))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(max_size=20), st.binary(max_size=100) | st.just(PROVABLE), st.none() | st.binary(max_size=70))
def test_no_key_does_worse_than_be_refused(key: str, blob: bytes, proof: bytes | None) -> None:
    """Whatever a device answers, the outcome is a judgement with a reason."""
    judged = judge_key(KEYRING, key, blob, CHALLENGE, proof)
    assert judged.reading in {Reading.FAULTY, Reading.NOT_GENUINE}
    assert judged.reason

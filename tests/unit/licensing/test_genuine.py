"""The judgement of an inserted USB key, from what was read of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licensing.envelope import open_licence, seal
from licensing.genuine import Judgement, judge_key, proof_message
from licensing.keyring import key_id
from licensing.model import KeyBinding, Reading
from tests.unit.licensing.signing import AT_SITE, KEYRING, KID, VENDOR, licence, private_key, public_key

DEVICE = private_key(7)
NONCE = bytes(range(32))
PLAIN = seal(licence(), KID, VENDOR)
PROVABLE = seal(licence(binding=KeyBinding("K1", public_key(7))), KID, VENDOR)
PROOF = DEVICE.sign(proof_message("K1", NONCE))


@pytest.mark.parametrize(
    ("blob", "nonce", "proof"),
    [(PLAIN, None, None), (PLAIN, NONCE, None), (PLAIN, NONCE, b"whatever"), (PROVABLE, NONCE, PROOF)],
    ids=["no device key", "no device key, asked", "no device key, answered", "proven"],
)
def test_a_key_with_its_own_licence_is_ok(blob: bytes, nonce: bytes | None, proof: bytes | None) -> None:
    """A key is OK when its licence is bound to it and, where the licence names a device key, it proves itself."""
    expected = Judgement(Reading.OK, "", open_licence(blob, KEYRING))
    assert judge_key(KEYRING, "K1", blob, nonce, proof) == expected


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
    judged = judge_key(KEYRING, "K1", blob, NONCE, PROOF)
    assert (judged.reading, judged.signed) == (Reading.FAULTY, None)
    assert judged.reason.startswith("The USB key holds no valid licence: ")
    assert why in judged.reason
    assert judged.reason.endswith(".")


@pytest.mark.parametrize(
    ("blob", "key", "nonce", "proof", "why"),
    [
        (PLAIN, "K2", None, None, "licence of key K1"),
        (PLAIN, "k1", None, None, "licence of key K1"),
        (PROVABLE, "K2", NONCE, DEVICE.sign(proof_message("K2", NONCE)), "licence of key K1"),
        (seal(licence(binding=AT_SITE), KID, VENDOR), "K1", None, None, "bound to a site"),
        (PROVABLE, "K1", None, None, "did not prove"),
        (PROVABLE, "K1", NONCE, None, "did not prove"),
        (PROVABLE, "K1", None, PROOF, "did not prove"),
        (PROVABLE, "K1", NONCE[::-1], PROOF, "proof is wrong"),
        (PROVABLE, "K1", NONCE, DEVICE.sign(NONCE), "proof is wrong"),
        (PROVABLE, "K1", NONCE, DEVICE.sign(proof_message("K2", NONCE)), "proof is wrong"),
        (PROVABLE, "K1", NONCE, private_key(8).sign(proof_message("K1", NONCE)), "proof is wrong"),
        (PROVABLE, "K1", NONCE, b"", "proof is wrong"),
        (PROVABLE, "K1", NONCE, PROOF + b"\x00", "proof is wrong"),
        (seal(licence(binding=KeyBinding("K1", b"\xff" * 32)), KID, VENDOR), "K1", NONCE, PROOF, "proof is wrong"),
    ],
)
def test_a_key_that_is_not_the_original_is_not_genuine(
    blob: bytes, key: str, nonce: bytes | None, proof: bytes | None, why: str
) -> None:
    """A well-signed licence in the wrong key, or without the key's own proof, is not genuine."""
    judged = judge_key(KEYRING, key, blob, nonce, proof)
    assert (judged.reading, judged.signed) == (Reading.NOT_GENUINE, None)
    assert why in judged.reason


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
    judged = judge_key(KEYRING, key, blob, NONCE, proof)
    assert judged.reading in {Reading.FAULTY, Reading.NOT_GENUINE}
    assert judged.reason

"""What every driver's open key must do: the suite for a driver's tests.

A test class inherits `DriverContract` and provides the fixture `specimen`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licensing.genuine import NONCE_BYTES, proof_message
from usbwatch.driver import Deadline, KeyFault, OpenKey, sane_id

PAST = Deadline(0.0)
NONCE = bytes(range(NONCE_BYTES))
OPERATIONS: dict[str, Callable[[OpenKey, Deadline], object]] = {
    "id": lambda key, deadline: key.key_id(deadline),
    "read": lambda key, deadline: key.read(1000, deadline),
    "prove": lambda key, deadline: key.prove(NONCE, deadline),
}


@dataclass(frozen=True)
class Specimen:
    """A key to try a driver on: how the driver opens it, the licence on it, its device public key if it has one."""

    open: Callable[[Deadline], AbstractContextManager[OpenKey]]
    licence: bytes
    device_public_key: bytes | None


def soon() -> Deadline:
    """Return a deadline that leaves enough time."""
    return Deadline.after(10)


class DriverContract:
    """The contract."""

    def test_the_id_is_sane_and_stays(self, specimen: Specimen) -> None:
        """A key has one identity that can be shown, whenever it is asked, and after it was opened again."""
        ids = []
        for _ in range(2):
            with specimen.open(soon()) as key:
                ids += [sane_id(key.key_id(soon())) for _ in range(2)]
        assert len(set(ids)) == 1

    def test_a_licence_as_large_as_the_limit_is_read(self, specimen: Specimen) -> None:
        """The licence is read whole, as often as it is asked for."""
        with specimen.open(soon()) as key:
            assert [key.read(len(specimen.licence), soon()) for _ in range(2)] == [specimen.licence] * 2

    def test_a_licence_beyond_the_limit_is_a_fault(self, specimen: Specimen) -> None:
        """A key that holds too much is refused and not cut off."""
        with specimen.open(soon()) as key, pytest.raises(KeyFault):
            key.read(len(specimen.licence) - 1, soon())

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_deadline_that_has_passed_is_a_fault(self, specimen: Specimen, operation: str) -> None:
        """Whoever has no time left is not kept waiting."""
        began = time.monotonic()
        with specimen.open(soon()) as key, pytest.raises(KeyFault):
            OPERATIONS[operation](key, PAST)
        assert time.monotonic() - began < 1

    def test_a_proof_is_over_the_message_that_the_law_checks(self, specimen: Specimen) -> None:
        """A key that can prove itself signs its id and the nonce; another one says that it cannot."""
        with specimen.open(soon()) as key:
            key_id, proof = key.key_id(soon()), key.prove(NONCE, soon())
        if specimen.device_public_key is None:
            assert proof is None
        else:
            assert proof is not None
            public_key = Ed25519PublicKey.from_public_bytes(specimen.device_public_key)
            public_key.verify(proof, proof_message(key_id, NONCE))

"""The vendor's keyring as it is pinned on a node: a file that both daemons read when they start."""

from __future__ import annotations

from pathlib import Path

from cluster.lifetime import CannotStart
from licensing.keyring import Keyring, KeyringInvalid, parse_keyring


def load_keyring(path: Path) -> Keyring:
    """Read the pinned keyring.

    Raises:
        CannotStart: it is missing or damaged.
    """
    try:
        return parse_keyring(path.read_bytes())
    except OSError as error:
        raise CannotStart(
            f"{path}: {error.strerror}: put the vendor's keyring there, or say where it is (setting keyring)"
        ) from error
    except KeyringInvalid as error:
        raise CannotStart(f"{path}: {error}") from error

"""Certificate files are read again when they change, and not before they fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cluster.etcd_access import Tls
from tests.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path


def test_files_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    """Loading settles it until a file changes."""
    tls = Tls(*Authority().write(tmp_path, "client"))
    assert tls.changed()
    tls.load()
    assert not tls.changed()


def test_a_certificate_waits_for_its_key(tmp_path: Path) -> None:
    """Half a replacement is not used; the whole one is."""
    authority = Authority()
    ca, cert, key = authority.write(tmp_path, "client")
    tls = Tls(ca, cert, key)
    tls.load()
    old_key = key.read_bytes()
    authority.write(tmp_path, "client")
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    assert not tls.changed()
    key.unlink()
    assert not tls.changed()
    key.write_bytes(new_key)
    assert tls.changed()


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    """Loading says what is wrong."""
    ca, cert, key = Authority().write(tmp_path, "client")
    key.write_text("half written")
    with pytest.raises(OSError, match=r"PEM|SSL|key"):
        Tls(ca, cert, key).load()

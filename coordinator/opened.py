"""The licences that were verified, so that the same file in another value is not verified again.

A licence file comes in a report, goes into the ledger, and comes again with every report of its key; to verify it takes
longer than all else that is done with it. Whether a file is the vendor's depends on nothing but the file and the
keyring, so what was found does not grow old. It is kept as long as what is stored holds the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from licensing.envelope import open_licence
from licensing.keyring import Keyring
from licensing.ledger import Ledger
from licensing.licence import SignedLicence
from licensing.seen import NodeView


class OpenedLicences:
    """Opens licence files with one keyring, and remembers those that `keep` was told of last."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._kept: dict[bytes, SignedLicence] = {}

    def open(self, file: bytes) -> SignedLicence:
        """Return the licence in a file whose signature is good.

        Raises:
            LicenceRefused: anything else; a file that is refused is not remembered.
        """
        return self._kept.get(file) or open_licence(file, self._keyring)

    def known(self, file: bytes) -> SignedLicence | None:
        """Return the licence in a file that is remembered."""
        return self._kept.get(file)

    def keep(self, ledger: Ledger | None, views: Iterable[NodeView]) -> None:
        """Remember the licences of a ledger and of reports that were verified, and forget all others."""
        licences = (*(_of_ledger(ledger) if ledger else ()), *_of_reports(views))
        self._kept = {signed.file: SignedLicence(licence=signed.licence, file=signed.file) for signed in licences}


def _of_ledger(ledger: Ledger) -> Iterator[SignedLicence]:
    yield from ledger.installed
    for history in ledger.keys:
        yield history.signed
        if history.pending is not None:
            yield history.pending


def _of_reports(views: Iterable[NodeView]) -> Iterator[SignedLicence]:
    for view in views:
        yield from (key.licence for key in view.keys if key.licence is not None)

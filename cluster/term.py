"""Which answer was published last, for those who need only its place in the order of answers.

The rest of an answer is of no concern here and may be of a newer version than this one.
"""

from __future__ import annotations

import msgspec

from cluster.store import Entry
from licensing.ledger_version import NO_LEDGER, LedgerVersion
from licensing.value import Epoch, Index


class Term(msgspec.Struct, frozen=True):
    """The leader's epoch, and the index that its last answer has; 0 and 0 where nothing was published."""

    epoch: Epoch
    index: Index


NOBODY = Term(0, 0)


class _Stored(msgspec.Struct, frozen=True):
    data: Term


class _Ledger(msgspec.Struct, frozen=True):
    ledger: LedgerVersion = NO_LEDGER


class _MadeFrom(msgspec.Struct, frozen=True):
    data: _Ledger


_decode = msgspec.json.Decoder(_Stored).decode
_decode_ledger = msgspec.json.Decoder(_MadeFrom).decode


def read_term(entry: Entry | None) -> Term:
    """Return the term of the published answer that is stored; `NOBODY` where there is none or it cannot be read."""
    try:
        return NOBODY if entry is None else _decode(entry.value).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOBODY


def read_ledger_version(entry: Entry | None) -> LedgerVersion:
    """Return from which ledger the published answer was made; `NO_LEDGER` where that is not known."""
    try:
        return NO_LEDGER if entry is None else _decode_ledger(entry.value).data.ledger
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NO_LEDGER

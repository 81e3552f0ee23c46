"""Which of two ledgers counts: the later one in an order that is the same on every node.

Within one history ledgers have different sequences. Two of the same sequence come about only where the store was put
back to an old copy and a leader who knew nothing newer went on from there. Then the one with more records counts, for
more has happened in it; of two with as many, the one with the greater hash: any rule would do that both nodes follow,
whoever leads.
"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from licensing import canonical
from licensing.ledger import Ledger
from licensing.value import Count, Value


class LedgerVersion(Value, frozen=True, order=True, omit_defaults=True):
    """The place of a ledger in the order of all that there ever were of its site; the greater one counts."""

    sequence: Count = 0
    record_count: Count = 0
    hash: str = ""


NO_LEDGER = LedgerVersion()


def version_of(ledger: Ledger) -> LedgerVersion:
    """Return the version of a ledger; usage is not a part of it."""
    content = canonical.encode(replace(ledger, usage=None))
    return LedgerVersion(ledger.sequence, ledger.record_count, hashlib.sha256(content).hexdigest())

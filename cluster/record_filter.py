"""Which records of the history somebody wants to see, decided by a quick look at what is stored.

Looking through a long history must be cheap, so nothing is verified here; what is shown is read properly afterwards.
"""

from __future__ import annotations

import msgspec

from cluster.values import VERSION
from licensing.records import ManagementType
from licensing.status import Validity
from licensing.value import Value


class RecordFilter(msgspec.Struct, frozen=True):
    """What a record must be like; what is left out does not matter.

    `text` is looked for, in capitals or not, in the sentence, the item, the licence's name, the key, in who did it and
    in the node. `nodes`: those that people know by a name with this text; records have their uuids.
    """

    management_type: ManagementType | None = None
    status: Validity | None = None
    text: str = ""
    nodes: frozenset[str] = frozenset()

    @property
    def wants_all(self) -> bool:
        """Whether every record will do."""
        return self == RecordFilter()

    def accepts(self, stored: bytes) -> bool | None:
        """Return whether a record as it is stored is wanted; None when it cannot be read."""
        try:
            seen = msgspec.json.decode(stored, type=_Stored)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if seen.version != VERSION:
            return None
        return (
            self.management_type in {None, seen.data.management_type}
            and self.status in {None, seen.data.status}
            and self._has_text(seen.data)
        )

    def _has_text(self, seen: _Glance) -> bool:
        text = self.text.casefold()
        told = (seen.sentence, seen.item, seen.name, seen.key_id or "", seen.who, seen.node)
        return not text or seen.node in self.nodes or any(text in each.casefold() for each in told)


class _Glance(Value, frozen=True, forbid_unknown_fields=False):
    management_type: ManagementType
    status: Validity
    item: str
    who: str
    node: str
    name: str
    key_id: str | None
    sentence: str


class _Stored(msgspec.Struct, frozen=True):
    data: _Glance
    version: int

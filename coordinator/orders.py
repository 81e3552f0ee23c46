"""Orders to the leader and what becomes of them: the values under `inbox/` and `outcome/`.

Whoever receives an order checks it and puts it into the inbox; only the leader carries it out, in the one transaction
that also publishes what follows from it. An order that was accepted is never lost: it stays until a leader answers it.
"""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from msgspec import Meta

from coordinator.published import Snapshot
from licensing.history import Cause
from licensing.ledger import Staged
from licensing.request_code import Word
from licensing.value import Count, Name, Time, Value


class Origin(Value, frozen=True):
    """Who gave an order, to which node, when, and whether at its console (the root-only socket)."""

    who: Name
    node: Name
    at: Time
    console: bool


class Install(Value, frozen=True, tag_field="kind", tag="install"):
    """Install these licence files, all or none."""

    files: Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=16)]


class Remove(Value, frozen=True, tag_field="kind", tag="remove"):
    """Remove an installed request-key licence."""

    licence_id: Name


class Synchronise(Value, frozen=True, tag_field="kind", tag="synchronise"):
    """Install what the inserted USB keys carry; the agents have read them again before."""


class RenewRequestCode(Value, frozen=True, tag_field="kind", tag="renew-request-code"):
    """Give out a new request code; earlier ones stay usable for a while."""


class AddNode(Value, frozen=True, tag_field="kind", tag="add-node"):
    """Make a management node the second member of the site."""

    node: Name


class Restore(Value, frozen=True, tag_field="kind", tag="restore"):
    """Put a backup in the place of what is stored, if that is still the ledger of the sequence `expected`.

    Its history is in the store already, `staged` from the first record on that is another one than at present.
    `before`: the hash of the record before that.
    """

    snapshot: Snapshot
    expected: Count
    staged: Staged
    before: str


Errand = Install | Remove | Synchronise | RenewRequestCode | AddNode
"""What is carried out on the site as it is; a `Restore` takes the place of that."""

E = TypeVar("E", bound=Errand | Restore)


class Order(Value, Generic[E], frozen=True):
    """One order in the inbox. `fresh`: a random text, the nonce of the next request code if one is due."""

    origin: Origin
    errand: E
    fresh: Word

    @property
    def cause(self) -> Cause:
        """Whom the history names."""
        return Cause(self.origin.who, self.origin.node)


class Outcome(Value, frozen=True):
    """What became of an order: `http` and, for a refusal, `code`; what changed in words, and what to do next.

    `node`: the node for which a licence was installed, empty where none was. `licences`: the ids of the licences that
    were meant.
    """

    http: int
    code: str
    text: str
    hint: str
    changed: bool
    node: str = ""
    licences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether the order was refused, so that nothing changed."""
        return bool(self.code)

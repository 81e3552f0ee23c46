"""What another shell may ask of a running demo, and what it is answered: the words of the control socket."""

from __future__ import annotations

from enum import Enum

from licensing.value import Value

LONGEST_NAME = 256


class Verb(Enum):
    """What can be done to the demo's site."""

    PLUG = "plug"
    UNPLUG = "unplug"
    BREAK = "break"
    REPAIR = "repair"
    STOP_NODE = "stop-node"
    START_NODE = "start-node"
    MOVE_VIP = "move-vip"


WITH_KEY = frozenset({Verb.PLUG, Verb.UNPLUG, Verb.BREAK, Verb.REPAIR})
"""The verbs that name a USB key."""


class Order(Value, frozen=True):
    """One thing to do; `node` and `key` are given where the verb needs them. `kill`: stop without a warning."""

    verb: Verb
    node: str = ""
    key: str = ""
    kill: bool = False


class Done(Value, frozen=True):
    """It was done. `seen`: the agents concerned have seen it; false where they do not run. `text` is for people."""

    verb: Verb
    node: str
    key: str
    seen: bool
    text: str


class Cannot(Exception):  # noqa: N818 - it says what happened
    """The order was refused or did not work out; the text says why and what to do."""


def checked_name(name: str) -> str:
    """Return the name of a USB key.

    Raises:
        Cannot: not 1 to 256 printable characters without a space at either end.
    """
    if not 0 < len(name) <= LONGEST_NAME:
        raise Cannot(f"a key's name has 1 to {LONGEST_NAME} characters; this one has {len(name)}.")
    if not name.isprintable() or name != name.strip():
        raise Cannot(f"{name!a} cannot be a key's name: use printable characters, with no space at either end.")
    return name

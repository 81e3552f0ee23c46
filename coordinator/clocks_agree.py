"""Which of several clocks to believe: two of three, on different machines.

Pure: what each clock shows at one moment goes in, effective time comes out. Where the figures come from is of no
concern here.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import NamedTuple

from licensing.value import Time


class Shown(NamedTuple):
    """What the clocks show at the same moment.

    `held`: effective time as it goes on without any wall clock; None before there is a mark. `own`: this node's clock.
    `other`: that of the other node, as its agent reports it. `members`: those of the etcd members on other machines,
    one for each machine; one of them may be the other node's. `alone`: nobody can be asked, and this machine was
    switched on since the mark was written.
    """

    held: Time | None
    own: Time
    other: Time | None = None
    members: tuple[Time, ...] = ()
    alone: bool = False


def effective(shown: Shown, threshold: dt.timedelta) -> Time:
    """Return how late it is: never before `held`.

    The own clock is followed as long as it is not ahead by more than `threshold`. Further ahead it is believed when a
    clock of another machine agrees with it to within `threshold`, or where nobody can be asked and the machine was
    off: that is what a site looks like that was switched off for weeks. Two other machines that agree with each other
    are believed against the own clock.
    """
    held, own = shown.held, shown.own
    others = _two_of(shown.members, threshold)
    if held is None:
        return others if others is not None and abs(own - others) > threshold else own
    if held < own and (own - held <= threshold or _confirmed(shown, threshold)):
        held = own
    return others if others is not None and others - held > threshold else held


def _confirmed(shown: Shown, threshold: dt.timedelta) -> bool:
    clocks = shown.members if shown.other is None else (shown.other, *shown.members)
    return shown.alone or any(abs(clock - shown.own) <= threshold for clock in clocks)


def _two_of(members: tuple[Time, ...], threshold: dt.timedelta) -> Time | None:
    """Return what at least two of the members' clocks agree upon; the earliest that can be said."""
    agreeing = (earlier for earlier, later in pairwise(sorted(members)) if later - earlier <= threshold)
    return next(agreeing, None)

"""What to tell of a site whose nodes run different versions, as they do while it is upgraded.

Each node finds it out for itself and shows it beside the answer; nothing of it is stored. Pure.
"""

from __future__ import annotations

import re

from coordinator.facts import Facts
from coordinator.notices import Notice
from coordinator.roles import NodeRole, Roles
from licensing.status import Alert

OLDEST = "a version before 0.2.0"
"""What runs on a node whose reports do not say it."""


def version_notices(facts: Facts, name: str) -> tuple[Notice, ...]:
    """Return what the node called `name` has to tell: the nodes differ, or it cannot read what a newer one stored."""
    return (*_older_nodes(facts.roles), *_unreadable(facts, name))


def _older_nodes(roles: Roles) -> tuple[Notice, ...]:
    live = [role for role in roles.nodes if role.live]
    if len({role.version for role in live}) < 2:  # noqa: PLR2004 - one alone differs from nobody
        return ()
    newest = max(live, key=lambda role: _rank(role.version))
    older = [role for role in live if _rank(role.version) < _rank(newest.version)]
    if not older:  # as two builds of the same release
        told = " and ".join(f"{role.name} {_named(role)}" for role in live)
        return (Notice(Alert.UPGRADE_NEEDED, f"The nodes run different builds: {told}. Install the same one on both."),)
    return tuple(
        Notice(
            Alert.UPGRADE_NEEDED,
            f"Node {role.name} runs {_named(role)}, older than {_named(newest)} on node {newest.name}: upgrade it.",
        )
        for role in older
    )


def _unreadable(facts: Facts, name: str) -> tuple[Notice, ...]:
    if not facts.newer:
        return ()
    sentence = f"Node {name} cannot read what a newer version stored: upgrade it. {'; '.join(facts.newer)}."
    return (Notice(Alert.UPGRADE_NEEDED, sentence),)


def _named(role: NodeRole) -> str:
    return role.version or OLDEST


def _rank(version: str) -> tuple[int, ...]:
    """Return the numbers of a release by which versions are in order; none for a version that is not known."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()

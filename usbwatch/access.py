"""Whether a user may open a device node, worked out from its owner, group and mode: nothing is opened to find out.

Access lists are not looked at; they are what a desktop gives to who sits in front of it, and no daemon has that.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass

ROOT = 0


@dataclass(frozen=True)
class User:
    """Somebody, with the ids of all groups that they are in."""

    name: str
    uid: int
    groups: frozenset[int]


def this_user() -> User:
    """Return who runs this process."""
    uid = os.geteuid()
    return User(_user_name(uid), uid, frozenset((os.getegid(), *os.getgroups())))


def user_named(name: str) -> User:
    """Return the user of this name.

    Raises:
        LookupError: there is none on this machine.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise LookupError(f"There is no user {name} on this machine.") from error
    return User(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))


def may_open(user: User, node: os.stat_result) -> bool:
    """Whether the user may read and write what has this owner, group and mode."""
    if user.uid == ROOT:
        return True
    if user.uid == node.st_uid:
        needed = stat.S_IRUSR | stat.S_IWUSR
    elif node.st_gid in user.groups:
        needed = stat.S_IRGRP | stat.S_IWGRP
    else:
        needed = stat.S_IROTH | stat.S_IWOTH
    return node.st_mode & needed == needed


def owner_text(node: os.stat_result) -> str:
    """Return owner, group and mode as people read them: `root:twinkey 0660`."""
    return f"{_user_name(node.st_uid)}:{_group_name(node.st_gid)} {stat.S_IMODE(node.st_mode):04o}"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)

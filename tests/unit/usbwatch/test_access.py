"""Who may open a device node, by the rules of file modes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from usbwatch.access import User, may_open, owner_text, this_user, user_named

OWNER, GROUP, OTHER = 1001, 2001, 4242


def node(mode: int, uid: int = OWNER, gid: int = GROUP) -> os.stat_result:
    """Return the status of a character device."""
    return os.stat_result((stat.S_IFCHR | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


def user(uid: int, *groups: int) -> User:
    """Return a user."""
    return User("somebody", uid, frozenset(groups))


@pytest.mark.parametrize(
    ("mode", "who", "may"),
    [
        (0o000, user(0), True),
        (0o600, user(OWNER), True),
        (0o600, user(OTHER, GROUP), False),
        (0o660, user(OTHER, 7, GROUP), True),
        (0o660, user(OTHER, 7), False),
        (0o664, user(OTHER), False),
        (0o666, user(OTHER), True),
        (0o640, user(OTHER, GROUP), False),
        (0o066, user(OWNER, GROUP), False),
        (0o606, user(OTHER, GROUP), False),
    ],
    ids=lambda value: oct(value) if type(value) is int else "" if type(value) is bool else f"{value.uid}",
)
def test_reading_and_writing_are_both_needed_of_the_class_that_applies(mode: int, who: User, *, may: bool) -> None:
    """The owner's bits count for the owner, the group's for its members, the others' for the rest; root may always."""
    assert may_open(who, node(mode)) is may


def test_the_kernel_agrees_about_a_file_of_ours(tmp_path: Path) -> None:
    """What is worked out is what happens: whoever runs the tests may open what they own, if the mode allows it."""
    file = tmp_path / "node"
    file.touch()
    for mode in (0o600, 0o400):
        file.chmod(mode)
        assert may_open(this_user(), file.stat()) is os.access(file, os.R_OK | os.W_OK)


def test_who_owns_a_node_is_told_as_people_read_it() -> None:
    """Names where there are some, numbers where not, and the mode in four digits."""
    assert owner_text(node(0o660, 0, 0)) == "root:root 0660"
    assert owner_text(node(0o4, 54_321, 54_322)) == "54321:54322 0004"


def test_a_user_comes_with_their_groups() -> None:
    """By name, with the group that they are in by themselves."""
    assert user_named("root") == User("root", 0, user_named("root").groups)
    assert 0 in user_named("root").groups
    assert this_user().uid == os.geteuid()
    assert os.getegid() in this_user().groups


def test_a_user_that_is_not_here_is_named() -> None:
    """The error says who."""
    with pytest.raises(LookupError, match="no-such-user"):
        user_named("no-such-user")

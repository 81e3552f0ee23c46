"""The udev rules, read by the grammar of udev(7): udev itself says nothing of a line that it ignores."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from usbwatch.driver import DRIVERS, claims_of
from usbwatch.udev_rules import FILE, GROUP, render, without_rule

KEY, STICK, OTHER_STICK = (0x1209, 0xA1A1), (0x0781, 0x5567), (0x0951, 0x1666)
_PART = re.compile(
    r'(?P<name>[A-Z]+)(?:\{(?P<attribute>[A-Za-z_]+)\})?(?P<operator>==|!=|=|\+=|:=)"(?P<value>[^"\\]*)"'
)
MATCHES = {"SUBSYSTEM", "SUBSYSTEMS", "ATTR", "ATTRS", "ENV"}
ASSIGNS = {"GROUP", "MODE", "ENV"}


class Part(NamedTuple):
    """One key of a rule, with its operator and value."""

    name: str
    operator: str
    value: str


def parsed(text: str) -> list[list[Part]]:
    """Return the rules in a file; fail where a line is none."""
    return [[part_of(text) for text in line.split(", ")] for line in text.splitlines() if line and line[0] != "#"]


def part_of(text: str) -> Part:
    """Return one part, which must be a match or an assignment that udev knows."""
    match = _PART.fullmatch(text)
    assert match, text
    assert match["name"] in (MATCHES if match["operator"] in {"==", "!="} else ASSIGNS), text
    attribute = f"{{{match['attribute']}}}" if match["attribute"] else ""
    return Part(match["name"] + attribute, match["operator"], match["value"])


def access(ids: tuple[int, int]) -> list[Part]:
    """Return the rule that gives the group access to one kind of device, and nobody else."""
    return [
        Part("SUBSYSTEM", "==", "usb"),
        Part("ENV{DEVTYPE}", "==", "usb_device"),
        Part("ATTR{idVendor}", "==", f"{ids[0]:04x}"),
        Part("ATTR{idProduct}", "==", f"{ids[1]:04x}"),
        Part("GROUP", "=", GROUP),
        Part("MODE", "=", "0660"),
    ]


def unmounted(ids: tuple[int, int]) -> list[Part]:
    """Return the rule that keeps automounters away from the disks of one kind of stick; all parents' keys match one."""
    return [
        Part("SUBSYSTEM", "==", "block"),
        Part("SUBSYSTEMS", "==", "usb"),
        Part("ATTRS{idVendor}", "==", f"{ids[0]:04x}"),
        Part("ATTRS{idProduct}", "==", f"{ids[1]:04x}"),
        Part("ENV{UDISKS_IGNORE}", "=", "1"),
    ]


def test_every_kind_of_key_has_a_rule_and_nothing_else() -> None:
    """The rules follow from what the drivers claim."""
    assert parsed(render()) == [access(ids) for ids in sorted(claims_of(DRIVERS))]
    assert access(KEY) in parsed(render())


def test_sticks_are_given_to_the_agent_and_kept_from_automounters() -> None:
    """Only those of the setting, each once."""
    rules = parsed(render([OTHER_STICK, STICK, STICK]))
    assert rules == [access(STICK), access(OTHER_STICK), access(KEY), unmounted(STICK), unmounted(OTHER_STICK)]


def test_a_key_is_not_taken_for_a_stick() -> None:
    """What another driver claims cannot be a stick."""
    with pytest.raises(ValueError, match="1209:a1a1"):
        render([KEY])


def test_the_comments_say_where_to_put_the_rules_and_how_to_load_them() -> None:
    """The group, the file, and udev's two commands stand in comments before the first rule."""
    head = render().partition("SUBSYSTEM")[0]
    for part in (f"groupadd --system {GROUP}", FILE, "udevadm control --reload", "udevadm trigger"):
        assert part in head
    assert all(line.startswith("#") for line in head.splitlines() if line)


def test_a_device_that_the_rules_name_is_not_missed() -> None:
    """What was printed is found again, wherever it was put; with nothing installed all are missed."""
    assert without_rule({KEY, STICK}, ["", render([STICK])]) == ()
    assert without_rule({KEY, STICK}, [render()]) == (STICK,)
    assert without_rule({KEY, STICK}, []) == (STICK, KEY)


ACCESS = 'ATTR{idVendor}=="1209", ATTR{idProduct}=="a1a1"'


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        (f'SUBSYSTEM=="usb", {ACCESS}, MODE="0666"', True),
        (f'SUBSYSTEM=="usb", {ACCESS}, MODE="0600"', False),
        (f'SUBSYSTEM=="usb", {ACCESS}, MODE="0644"', False),
        (f'SUBSYSTEM=="usb", {ACCESS}, MODE:="660"', True),
        (f'SUBSYSTEM=="usb", {ACCESS}, OWNER="keys", MODE="0600"', True),
        (f'SUBSYSTEM=="usb", {ACCESS}, GROUP=="keys"', False),
        (f'SUBSYSTEM=="usb", {ACCESS}, TAG+="uaccess"', True),
        (f'SUBSYSTEM=="usb", {ACCESS}, TAG+="systemd"', False),
        ('ATTRS{idVendor}=="1209", \\\n  ATTRS{idProduct}=="A1A1", GROUP:="keys"', True),
        (f'# SUBSYSTEM=="usb", {ACCESS}, MODE="0666"', False),
        (f'{ACCESS}, ENV{{UDISKS_IGNORE}}="1"', False),
        (f'{ACCESS}, GOTO="end"', False),
        ('ATTR{idVendor}=="1209", MODE="0666"\nATTR{idProduct}=="a1a1", MODE="0666"', False),
        ('ATTR{idVendor}=="1209", ATTR{idProduct}=="a1a2", MODE="0666"', False),
    ],
    ids=[
        "mode",
        "root-mode",
        "readable",
        "group-mode",
        "owner",
        "matched-group",
        "tag",
        "other-tag",
        "two-lines",
        "comment",
        "no-access",
        "goto",
        "apart",
        "other",
    ],
)
def test_only_a_rule_that_gives_access_counts(line: str, *, counts: bool) -> None:
    """A distribution's own way of giving access counts too; a line that gives none does not."""
    assert without_rule({KEY}, [line]) == (() if counts else (KEY,))

"""The udev rules that let the agent open USB licence keys without being root, and let nobody else near them.

Made from what the drivers claim, so that rules and drivers cannot differ. Reads and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from usbwatch.driver import Ids, claims_of, drivers_with

GROUP = "twinkey"
FILE = "/etc/udev/rules.d/70-twinkey.rules"

_HEAD = f"""\
# Lets the group `{GROUP}` open USB licence keys. No other device is named here, and no other is ever opened.
#
# Made by `twinkey udev-rules`. Once, where the agent does not run as root, make the group and a user in it:
#     groupadd --system {GROUP}
#     useradd --system --gid {GROUP} --no-create-home {GROUP}
# Then put these lines into {FILE} and let udev read them and look at what is plugged in:
#     udevadm control --reload
#     udevadm trigger --action=change --subsystem-match=usb --subsystem-match=block
# Make the file again when the setting `stick_ids` has changed. `twinkey doctor` says whether all is well.
"""
_STICKS = """\
# USB sticks that are licence keys, by the setting `stick_ids`: desktops shall not mount them by themselves.
"""


def render(stick_ids: Iterable[Ids] = ()) -> str:
    """Return the file of rules, with the sticks of these kinds.

    Raises:
        ValueError: what is named as a stick is a key of another kind.
    """
    sticks = sorted(set(stick_ids))
    lines = [_HEAD, *(_access(ids) for ids in sorted(claims_of(drivers_with(sticks))))]
    if sticks:
        lines += ["", _STICKS.rstrip(), *(_not_mounted(ids) for ids in sticks)]
    return "\n".join(lines) + "\n"


def without_rule(claims: Iterable[Ids], texts: Iterable[str]) -> tuple[Ids, ...]:
    """Return those of the claimed devices that no line of these files of rules names, in order."""
    named = {ids for text in texts for ids in _named(text)}
    return tuple(sorted(set(claims) - named))


def _access(ids: Ids) -> str:
    return (
        'SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", '
        f'ATTR{{idVendor}}=="{ids[0]:04x}", ATTR{{idProduct}}=="{ids[1]:04x}", GROUP="{GROUP}", MODE="0660"'
    )


def _not_mounted(ids: Ids) -> str:
    return (
        'SUBSYSTEM=="block", SUBSYSTEMS=="usb", '
        f'ATTRS{{idVendor}}=="{ids[0]:04x}", ATTRS{{idProduct}}=="{ids[1]:04x}", ENV{{UDISKS_IGNORE}}="1"'
    )


_LINE_ENDS_ON = re.compile(r"\\\n")
_VENDOR = re.compile(r'ATTRS?\{idVendor\}=="([0-9a-fA-F]{4})"')
_PRODUCT = re.compile(r'ATTRS?\{idProduct\}=="([0-9a-fA-F]{4})"')
_OWNER = re.compile(r'\b(?:GROUP|OWNER)\s*:?=\s*"')
_SEAT = re.compile(r'\bTAG\s*[+:]?=\s*"uaccess"')
_MODE = re.compile(r'\bMODE\s*:?=\s*"([0-7]{3,4})"')
_OTHERS_MAY_WRITE = 0o022


def _named(text: str) -> Iterator[Ids]:
    """Yield the devices to which the rules in a file give somebody access."""
    for line in _LINE_ENDS_ON.sub("", text).splitlines():
        vendor, product = _VENDOR.search(line), _PRODUCT.search(line)
        if vendor and product and _gives_access(line) and not line.lstrip().startswith("#"):
            yield int(vendor[1], 16), int(product[1], 16)


def _gives_access(line: str) -> bool:
    """Whether the rule names an owner or a group, leaves the device to who sits there, or lets others than root write.

    A mode alone that shuts everybody out gives none.
    """
    mode = _MODE.search(line)
    return bool(_OWNER.search(line) or _SEAT.search(line) or (mode and int(mode[1], 8) & _OTHERS_MAY_WRITE))

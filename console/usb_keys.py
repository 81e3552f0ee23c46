"""`twinkey issuer usb-keys`: which USB keys are plugged in here, and what a licence for them must name.

A licence for a key that can prove itself names the key's own public key, which only the key can tell. A stick is asked
nothing: what the kernel knows of it is enough, and its disk stays there to be written.
"""

from __future__ import annotations

import base64
from typing import Any

import click
import msgspec

from console.terminal import print_facts
from usbwatch.block_device import Machine
from usbwatch.desk import PluggedKey, plugged_keys
from usbwatch.driver import Ids, drivers_with, parse_ids
from usbwatch.messages import Described
from usbwatch.stick_list import PluggedStick, plugged_sticks

_STICK_KIND = "mass-storage"


def _ids(text: str) -> Ids:
    try:
        return parse_ids(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("usb-keys")
@click.option(
    "--stick", "stick_ids", type=_ids, metavar="VID:PID", multiple=True, help="List USB sticks of this kind too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def usb_keys(stick_ids: tuple[Ids, ...], *, as_json: bool) -> None:
    """List the USB keys that are plugged in here, with what `issue` must be told of them.

    Sticks are not opened, so that `write-key --stick` finds them as they are.
    """
    try:
        drivers_with(stick_ids)  # refuses what is no stick
        keys: list[PluggedKey | PluggedStick] = [*plugged_keys(), *plugged_sticks(stick_ids, Machine())]
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode([facts_of(key) for key in keys]).decode())
        return
    if not keys:
        click.echo("No USB key is plugged in here.")
    for number, key in enumerate(keys):
        click.echo("\n" * bool(number), nl=False)
        print_facts(lines_of(key))


def facts_of(key: PluggedKey | PluggedStick) -> dict[str, Any]:
    """Return what is known of a key, for machines; sizes in bytes, null where the key does not say.

    `disks` are the device nodes of a stick's disks.
    """
    described = None if isinstance(key, PluggedStick) else key.described
    return {
        "place": key.device.place,
        "kind": _kind(key),
        "keyId": key.key_id,
        "size": described and described.size,
        "capacity": described and described.capacity,
        "devicePublicKey": described and _public_key(described),
        "disks": key.disks if isinstance(key, PluggedStick) else (),
        "trouble": key.trouble or None,
    }


def lines_of(key: PluggedKey | PluggedStick) -> list[tuple[str, str]]:
    """Return what is known of a key, for people: one under the other, so that nothing is cut that is to be copied."""
    lines = [("Place", key.device.place), ("Kind", _kind(key)), ("Key", key.key_id or "unknown")]
    if isinstance(key, PluggedStick):
        return [*lines, *_of_stick(key)]
    if key.described is None:
        return [*lines, ("Trouble", key.trouble)]
    on_it = f"{key.described.size} of {key.described.capacity} bytes"
    return [*lines, ("On it", on_it), ("Device public key", _public_key(key.described) or "none: it can be copied")]


def _of_stick(stick: PluggedStick) -> list[tuple[str, str]]:
    disks = [("Disk", ", ".join(stick.disks) or "none")]
    if stick.trouble:
        return [*disks, ("Trouble", stick.trouble)]
    return [
        *disks,
        ("Device public key", "none: it can be copied"),
        ("Next", f"Write it with --stick {stick.disks[0]}."),
    ]


def _kind(key: PluggedKey | PluggedStick) -> str:
    return _STICK_KIND if isinstance(key, PluggedStick) else key.kind


def _public_key(described: Described) -> str | None:
    return None if described.device_public_key is None else base64.b64encode(described.device_public_key).decode()

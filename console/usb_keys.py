"""`twinkey issuer usb-keys`: which USB keys are plugged in here, and what a licence for them must name.

A licence for a key that can prove itself names the key's own public key, which only the key can tell.
"""

from __future__ import annotations

import base64
from typing import Any

import click
import msgspec

from console.terminal import print_facts
from usbwatch.desk import PluggedKey, plugged_keys
from usbwatch.driver import Ids, drivers_with, parse_ids


def _ids(text: str) -> Ids:
    try:
        return parse_ids(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("usb-keys")
@click.option(
    "--stick", "stick_ids", type=_ids, metavar="VID:PID", multiple=True, help="Read USB sticks of this kind too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def usb_keys(stick_ids: tuple[Ids, ...], *, as_json: bool) -> None:
    """List the USB keys that are plugged in here, with what `issue` must be told of them."""
    try:
        keys = plugged_keys(drivers_with(stick_ids))
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


def facts_of(key: PluggedKey) -> dict[str, Any]:
    """Return what is known of a key, for machines; sizes in bytes, null where the key does not say."""
    described = key.described
    return {
        "place": key.device.place,
        "kind": key.kind,
        "keyId": key.key_id,
        "size": described and described.size,
        "capacity": described and described.capacity,
        "devicePublicKey": _public_key(key),
        "trouble": key.trouble or None,
    }


def lines_of(key: PluggedKey) -> list[tuple[str, str]]:
    """Return what is known of a key, for people: one under the other, so that nothing is cut that is to be copied."""
    described = key.described
    lines = [("Place", key.device.place), ("Kind", key.kind), ("Key", key.key_id or "unknown")]
    if described is None:
        return [*lines, ("Trouble", key.trouble)]
    on_it = f"{described.size} of {described.capacity} bytes"
    return [*lines, ("On it", on_it), ("Device public key", _public_key(key) or "none: it can be copied")]


def _public_key(key: PluggedKey) -> str | None:
    if key.described is None or key.described.device_public_key is None:
        return None
    return base64.b64encode(key.described.device_public_key).decode()

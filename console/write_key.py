"""`twinkey issuer write-key`: load a licence file onto a USB key, real or simulated.

Refuses what the key could not use: a licence of another key, or one whose device key this key does not have.
Whether the signature is good is not looked at: the nodes will.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licensing.envelope import LicenceRefused, peek
from licensing.model import KeyBinding
from usbwatch.desk import DeskError, find_key
from usbwatch.desk import write_key as write_usb_key
from usbwatch.simulated_key import SimulatedKey, parse_key_file, write_key_file

_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True)
class _Target:
    """A key that can be written: its id, its device public key if it can prove itself, and the bytes on it."""

    key_id: str
    device_public_key: bytes | None
    size: int
    write: Callable[[bytes], None]


@click.command("write-key")
@click.argument("licence_file", type=_FILE)
@click.option("--simulated", type=_FILE, help="The file of a simulated key; made where it is missing.")
@click.option("--usb", "key_id", metavar="KEYID", help="The id of a USB key that is plugged in here.")
@click.option("--yes", is_flag=True, help="Overwrite the licence on the key without asking.")
def write_key(licence_file: Path, simulated: Path | None, key_id: str | None, *, yes: bool) -> None:
    """Load LICENCE_FILE onto a USB key.

    The key is read back to check that the licence is on it.
    """
    if (simulated is None) == (key_id is None):
        raise click.UsageError("Name the key to write: either --simulated FILE or --usb KEYID.")
    data, binding = _licence(licence_file)
    target = _simulated(simulated, binding.key_id) if simulated else _usb(key_id or "")
    _check(binding, target)
    if target.size and not yes:
        click.confirm(f"The key {target.key_id} holds a licence. Overwrite it?", abort=True)
    _write(target, data)
    click.echo(f"The licence is on the key {target.key_id}.")


def _licence(path: Path) -> tuple[bytes, KeyBinding]:
    try:
        data = path.read_bytes()
        binding = peek(data).licence.binding
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}.") from error
    except LicenceRefused as refused:
        raise click.ClickException(f"{path}: {refused.text} {refused.hint}") from refused
    if not isinstance(binding, KeyBinding):
        raise click.ClickException(f"{path} is bound to a site. Upload it there, or issue one with --usb-key.")
    return data, binding


def _check(binding: KeyBinding, target: _Target) -> None:
    if binding.key_id != target.key_id:
        raise click.ClickException(
            f"The licence is bound to the key {binding.key_id}, and this is {target.key_id}. Nothing was written."
        )
    if binding.device_public_key not in {None, target.device_public_key}:
        raise click.ClickException(
            f"The licence names a device key that this USB key does not have. Issue it again {_advice(target)}."
        )


def _advice(target: _Target) -> str:
    if target.device_public_key is None:
        return "without --device-public-key"
    return f"with --device-public-key {base64.b64encode(target.device_public_key).decode()}"


def _write(target: _Target, data: bytes) -> None:
    try:
        target.write(data)
    except (DeskError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _usb(key_id: str) -> _Target:
    try:
        device, described = find_key(key_id)
    except (DeskError, OSError) as error:
        raise click.ClickException(str(error)) from error
    write = lambda data: write_usb_key(device, key_id, data)  # noqa: E731
    return _Target(key_id, described.device_public_key, described.size, write)


def _simulated(path: Path, key_id: str) -> _Target:
    key = _read_simulated(path) if path.exists() else SimulatedKey(key_id=key_id)

    def write(data: bytes) -> None:
        written = msgspec.structs.replace(key, licence_file=data)
        write_key_file(path, written)
        if parse_key_file(path.read_bytes()) != written:
            raise DeskError(f"{path} holds something else than was written to it.")

    return _Target(key.key_id, _public_key(key), len(key.licence_file), write)


def _read_simulated(path: Path) -> SimulatedKey:
    try:
        key = parse_key_file(path.read_bytes())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}.") from error
    if isinstance(key, str):
        raise click.ClickException(f"{path} is not the file of a simulated key: {key}")
    return key


def _public_key(key: SimulatedKey) -> bytes | None:
    if key.device_private_key is None:
        return None
    private = Ed25519PrivateKey.from_private_bytes(key.device_private_key)
    return private.public_key().public_bytes_raw()

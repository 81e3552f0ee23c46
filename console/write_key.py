"""`twinkey issuer write-key`: load a licence file onto a USB key, an ordinary USB stick, or a simulated key.

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

from console.terminal import printable
from licensing.envelope import LicenceRefused, peek
from licensing.licence import KeyBinding
from usbwatch.block_device import Machine
from usbwatch.desk import DeskError, find_key
from usbwatch.desk import write_key as write_usb_key
from usbwatch.driver import KeyFault, sane_id
from usbwatch.simulated_key import SimulatedKey, parse_key_file, write_key_file
from usbwatch.stick_check import StickError, examine
from usbwatch.stick_writer import write_stick

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Target:
    """A key that can be written: its id, its device public key if it can prove itself, and what would be lost."""

    key_id: str
    device_public_key: bytes | None
    loss: str
    write: Callable[[bytes], None]


@click.command("write-key")
@click.argument("licence_file", type=_FILE)
@click.option("--simulated", type=_FILE, help="The file of a simulated key; made where it is missing.")
@click.option("--usb", "key_id", metavar="KEYID", help="The id of a USB key that is plugged in here.")
@click.option("--stick", type=_PATH, metavar="DEVICE", help="The device of an ordinary USB stick, as /dev/sdb.")
@click.option("--yes", is_flag=True, help="Overwrite what is on the key without asking.")
def write_key(licence_file: Path, simulated: Path | None, key_id: str | None, stick: Path | None, *, yes: bool) -> None:
    """Load LICENCE_FILE onto a USB key.

    The key is read back to check that the licence is on it. A stick is partitioned anew: all that is on it is lost,
    and the licence must be bound to its serial number.
    """
    if sum(place is not None for place in (simulated, key_id, stick)) != 1:
        raise click.UsageError("Name one key to write: --simulated FILE, --usb KEYID or --stick DEVICE.")
    data, binding = _licence(licence_file)
    target = _target(simulated, key_id, stick, binding)
    _check(binding, target)
    if target.loss and not yes:
        click.confirm(f"{target.loss} Overwrite it?", abort=True)
    _write(target, data)
    click.echo(f"The licence is on the key {printable(target.key_id)}.")


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


def _target(simulated: Path | None, key_id: str | None, stick: Path | None, binding: KeyBinding) -> _Target:
    if simulated is not None:
        return _simulated(simulated, binding.key_id)
    if stick is not None:
        return _stick(stick)
    return _usb(key_id or "")


def _check(binding: KeyBinding, target: _Target) -> None:
    if binding.key_id != target.key_id:
        bound_to, this = printable(binding.key_id), printable(target.key_id)
        raise click.ClickException(
            f"The licence is bound to the key {bound_to}, and this is {this}. Nothing was written."
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
    except (DeskError, StickError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _usb(key_id: str) -> _Target:
    try:
        device, described = find_key(key_id)
    except (DeskError, OSError) as error:
        raise click.ClickException(str(error)) from error
    write = lambda data: write_usb_key(device, key_id, data)  # noqa: E731
    return _Target(key_id, described.device_public_key, _loss(key_id, described.size), write)


def _stick(path: Path) -> _Target:
    machine = Machine()
    try:
        stick = examine(path, machine)
        key_id = sane_id(stick.key_id)
    except (StickError, KeyFault, OSError) as error:
        raise click.ClickException(str(error)) from error
    loss = f"{stick}.\nEverything on it will be lost."
    return _Target(key_id, None, loss, lambda data: write_stick(stick, data, machine))


def _simulated(path: Path, key_id: str) -> _Target:
    key = _read_simulated(path) if path.exists() else SimulatedKey(key_id=key_id)

    def write(data: bytes) -> None:
        written = msgspec.structs.replace(key, licence_file=data)
        write_key_file(path, written)
        if parse_key_file(path.read_bytes()) != written:
            raise DeskError(f"{path} holds something else than was written to it.")

    return _Target(key.key_id, _public_key(key), _loss(key.key_id, len(key.licence_file)), write)


def _loss(key_id: str, size: int) -> str:
    return f"The key {printable(key_id)} holds a licence." if size else ""


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

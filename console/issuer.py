"""`twinkey issuer`: the vendor's desk, where signing keys and licence files are made.

This runs on the vendor's machine and never on a node: it is the only code that reads a private key, and it never
prints one. It must not know about sites, stores or daemons.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import uuid
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from console.terminal import printable
from console.usb_keys import usb_keys
from console.write_key import write_key
from licensing import canonical
from licensing.archive import LicenceFile, pack
from licensing.envelope import PRODUCT, LicenceRefused, open_licence, peek, seal
from licensing.keyring import (
    PUBLIC_KEY_BYTES,
    Keyring,
    KeyringInvalid,
    VendorKey,
    key_id,
    parse_keyring,
    render_keyring,
)
from licensing.licence import Edition, KeyBinding, Licence, Quota, SiteBinding
from licensing.request_code import BadRequestCode, RequestCode, binding_of, parse

KEY_FILE = "vendor.key"
KEYRING_FILE = "keyring.json"
ARCHIVED = "licence.lic"
"""The licence's name in an archive."""
_BOUND_OTHERWISE = ("usb_key", "device_public_key", "site_id", "fingerprint", "nonce")


@click.group()
def issuer() -> None:
    """Make signing keys and licence files (for the vendor)."""


# --- option types --------------------------------------------------------------------------------------------------


def utc_time(text: str) -> dt.datetime:
    """Read a date (midnight UTC) or an RFC 3339 time with its offset; returns an aware datetime in UTC."""
    with contextlib.suppress(ValueError, OverflowError):
        if len(text) == len("2026-01-01"):
            return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)
        time = dt.datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.astimezone(dt.UTC)
    raise click.BadParameter(
        f"{text!r} is neither a date (2027-01-31) nor a time with an offset (2027-01-31T12:00:00Z)."
    )


def base64_key(text: str) -> bytes:
    """Read an Ed25519 public key (32 bytes) in base64."""
    with contextlib.suppress(ValueError):
        key = b64decode(text, validate=True)
        if len(key) == PUBLIC_KEY_BYTES:
            return key
    raise click.BadParameter(f"{text!r} is not the base64 of an Ed25519 public key ({PUBLIC_KEY_BYTES} bytes).")


def usb_key_id(text: str) -> str:
    """Read the id of a USB key: any text that can be shown, since simulated keys have names that no real key has."""
    if text.isprintable():
        return text
    raise click.BadParameter(f"{text!r} has characters that cannot be shown: copy the id from `issuer usb-keys`.")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


_EXISTING = click.Path(path_type=Path, dir_okay=False)
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_UNITS = click.IntRange(min=1, max=2**31 - 1)


# --- keygen --------------------------------------------------------------------------------------------------------


@issuer.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder; made where it is missing."
)
@click.option("--valid-from", type=utc_time, help="First issue date it may sign.  [default: now]")
@click.option("--valid-until", type=utc_time, help="Issue date from which it may no longer sign.  [default: none]")
@_AS_JSON
def keygen(out: Path, valid_from: dt.datetime | None, valid_until: dt.datetime | None, *, as_json: bool) -> None:
    """Make a signing key, and add its public half to the keyring beside it.

    Keep vendor.key secret and away from every node. Install keyring.json on the nodes. To replace a key, move the old
    vendor.key away, run this again, and hand out the new keyring.json; an entry with "revoked": true counts no more.
    """
    key_file, keyring_file = out / KEY_FILE, out / KEYRING_FILE
    private_key = Ed25519PrivateKey.generate()
    public_key = private_key.public_key().public_bytes_raw()
    with _plain_errors():
        out.mkdir(parents=True, exist_ok=True)
        entry = VendorKey(key_id(public_key), public_key, valid_from or _now(), valid_until)
        pinned = parse_keyring(keyring_file.read_bytes()).keys if keyring_file.exists() else ()
        pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_new(key_file, pem, mode=0o600)
        _replace(keyring_file, render_keyring(Keyring((*pinned, entry))))
    made = {
        "kid": entry.kid,
        "keyFile": str(key_file),
        "keyringFile": str(keyring_file),
        "validFrom": entry.valid_from,
        "validUntil": entry.valid_until,
    }
    _show(msgspec.to_builtins(made), as_json=as_json)


# --- issue ---------------------------------------------------------------------------------------------------------


@issuer.command()
@click.option("--key", "key_file", type=_EXISTING, required=True, help="The signing key that keygen made.")
@click.option("--out", type=_EXISTING, required=True, help="The file to make; never overwritten.")
@click.option("--name", required=True, help="The name shown with the licence.")
@click.option("--edition", type=click.Choice([edition.value for edition in Edition]), required=True)
@click.option("--expires", type=utc_time, required=True)
@click.option("--issued", type=utc_time, help="[default: now]")
@click.option("--not-before", type=utc_time, help="[default: when issued]")
@click.option("--service-expires", type=utc_time, help="End of after-sales service.")
@click.option("--hosts", type=_UNITS, help="Quota; a unit left out is unlimited.")
@click.option("--cpu-sockets", type=_UNITS)
@click.option("--cpu-cores", type=_UNITS)
@click.option("--licence-id", help="[default: a new one]")
@click.option(
    "--lineage",
    help="The contract this licence continues.  [default: the request code's site, or the licence id]",
)
@click.option(
    "--sequence",
    type=click.IntRange(min=0),
    help="Its place in the lineage.  [default: the next one by --request-code, or 1]",
)
@click.option("--request-code", type=_EXISTING, help="Bind to the site that sent this file, and make an archive (zip).")
@click.option(
    "--usb-key",
    type=usb_key_id,
    help="Bind to the USB key with this id; that of a real key has 1 to 64 visible ASCII characters, no space.",
)
@click.option("--device-public-key", type=base64_key, help="The USB key's own public key, where it has one.")
@click.option("--site-id", help="Bind to the site with this id (from its request code).")
@click.option("--fingerprint", multiple=True, help="A node of that site; once for each node.")
@click.option("--nonce", help="The nonce of the request code.")
@_AS_JSON
def issue(key_file: Path, out: Path, *, as_json: bool, **terms: Any) -> None:
    """Sign a licence, for one USB key or for one site.

    For a site, name the file with its request code; --out is then an archive for the site to install.

    Where keyring.json lies beside the signing key, the licence is checked against it before it is written.
    """
    with _plain_errors():
        code = _requested(terms)
        binding = _binding(terms) if code is None else binding_of(code)
        licence = _licence(terms, binding)
        data = _sealed(licence, _load_private_key(key_file), key_file.with_name(KEYRING_FILE))
        _write_new(out, data if code is None else pack([LicenceFile(ARCHIVED, data)]), mode=0o644)
    _show({"file": str(out), "kid": peek(data).kid, **_described(licence)}, as_json=as_json)


def _requested(terms: dict[str, Any]) -> RequestCode | None:
    """Return what the request code says, where there is one; it fills in what was left out of the terms."""
    file: Path | None = terms["request_code"]
    if file is None:
        return None
    if any(terms[name] for name in _BOUND_OTHERWISE):
        raise click.UsageError("--request-code says what the licence is bound to: leave the other bindings out.")
    try:
        code = parse(file.read_text(encoding="utf-8"))
    except BadRequestCode as error:
        raise click.ClickException(f"{file}: {error.text}") from error
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not a request code: it is not text.") from error
    terms["lineage"] = terms["lineage"] or code.site_id
    if terms["sequence"] is None:
        terms["sequence"] = code.sequence + 1
    return code


def _binding(terms: dict[str, Any]) -> KeyBinding | SiteBinding:
    usb_key, site_id = terms["usb_key"], terms["site_id"]
    of_site = bool(terms["fingerprint"] or terms["nonce"])
    if (usb_key is None) == (site_id is None):
        raise click.UsageError("Name what the licence is for: --usb-key, --request-code or --site-id.")
    if usb_key is not None and of_site:
        raise click.UsageError("--fingerprint and --nonce belong to --site-id and not to --usb-key.")
    if usb_key is not None:
        return KeyBinding(key_id=usb_key, device_public_key=terms["device_public_key"])
    if terms["device_public_key"] is not None:
        raise click.UsageError("--device-public-key belongs to --usb-key and not to --site-id.")
    if not terms["fingerprint"] or not terms["nonce"]:
        raise click.UsageError("--site-id needs --fingerprint (once for each node) and --nonce, from the request code.")
    return SiteBinding(site_id=site_id, fingerprints=terms["fingerprint"], nonce=terms["nonce"])


def _licence(terms: dict[str, Any], binding: KeyBinding | SiteBinding) -> Licence:
    """Return the licence; lengths and ranges are checked by taking it through its own byte form."""
    issued = terms["issued"] or _now()
    licence_id = terms["licence_id"] or str(uuid.uuid4())
    licence = Licence(
        licence_id=licence_id,
        lineage=terms["lineage"] or licence_id,
        sequence=1 if terms["sequence"] is None else terms["sequence"],
        product=PRODUCT,
        name=terms["name"],
        edition=Edition(terms["edition"]),
        issued=issued,
        not_before=terms["not_before"] or issued,
        expires=terms["expires"],
        service_expires=terms["service_expires"],
        quota=Quota(hosts=terms["hosts"], cpu_sockets=terms["cpu_sockets"], cpu_cores=terms["cpu_cores"]),
        binding=binding,
    )
    try:
        return canonical.decode(canonical.encode(licence), Licence)
    except canonical.Malformed as error:
        raise click.ClickException(f"No such licence can be made: {error}.") from error


def _sealed(licence: Licence, private_key: Ed25519PrivateKey, keyring_file: Path) -> bytes:
    kid = key_id(private_key.public_key().public_bytes_raw())
    try:
        data = seal(licence, kid, private_key)
        if keyring_file.exists():
            open_licence(data, parse_keyring(keyring_file.read_bytes()))
    except LicenceRefused as refused:  # its hint is for the people who receive a licence
        raise click.ClickException(
            f"Every node would refuse this licence: {refused.text} Nothing was written."
        ) from None
    return data


def _load_private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise click.ClickException(f"{path} is not a signing key that `twinkey issuer keygen` made.")
    return key


# --- inspect -------------------------------------------------------------------------------------------------------


@issuer.command()
@click.argument("file", type=_EXISTING)
@click.option("--keyring", "keyring_file", type=_EXISTING, help="Verify against this keyring.json.")
@_AS_JSON
def inspect(file: Path, keyring_file: Path | None, *, as_json: bool) -> None:
    """Show what a licence file says, verified where a keyring is given."""
    with _plain_errors():
        data = file.read_bytes()
        if keyring_file is not None:
            open_licence(data, parse_keyring(keyring_file.read_bytes()))
        claim = peek(data)
    verified = keyring_file is not None
    _show({"verified": verified, "kid": claim.kid, **_described(claim.licence)}, as_json=as_json)
    if not verified:
        click.echo("Not verified: anyone could have written this. Give --keyring to check the signature.", err=True)


# --- shared --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what can go wrong into one sentence and exit code 1."""
    try:
        yield
    except FileExistsError as error:
        raise click.ClickException(
            f"{error.filename} is there already and is never overwritten: move it away first."
        ) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from error
    except LicenceRefused as refused:
        raise click.ClickException(printable(f"{refused.text} {refused.hint} [{refused.code}]")) from refused
    except KeyringInvalid as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:  # a vendor key whose dates contradict each other
        raise click.ClickException(f"{error}.") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet; FileExistsError otherwise."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)


def _described(licence: Licence) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(licence)
    return described


def _show(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(facts).decode())
        return
    rows = list(_rows(facts))
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        click.echo(f"{label:<{width}}  {value}")


def _rows(facts: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield a label and a text for each fact; an unverified file's text cannot command the terminal."""
    for label, value in facts.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{label}.")
        elif value is not None:
            yield prefix + label, printable(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


issuer.add_command(usb_keys)
issuer.add_command(write_key)

"""Founding a site, joining it, renewing its certificates: in which order files come to be, and what is refused.

What was decided is written first, and everything else follows from it; so what was interrupted is finished by doing the
same once more. Knows no command line.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from console.site_authority import Authority, BadAuthority, certify, ends_at, new_key
from console.site_bundle import BadBundle, pack, unpack
from console.site_files import (
    AUTHORITY,
    CA,
    CA_KEY,
    ETCD_ENV,
    GROUP,
    KEEPALIVED,
    KEYRING,
    MACHINE,
    PLATFORM,
    PRIVATE,
    SITE,
    TOKEN,
    TOKENS,
    WHAT,
    File,
    Here,
    MachineFiles,
    Shared,
    machine_files,
    root_pair,
)
from console.site_placing import Folder, Outcome, first_there
from console.site_plan import Machine, Plan, Wish, decide, differences
from console.site_settings import etcd_env, keepalived_conf
from licensing.keyring import KeyringInvalid, parse_keyring

V = TypeVar("V", Plan, Here)

_FOUNDING, _JOINING = b"ETCD_INITIAL_CLUSTER_STATE=new\n", b"ETCD_INITIAL_CLUSTER_STATE=existing\n"
_TOKEN_BYTES = 24
_SCOPES: dict[str, tuple[str, tuple[str, ...]]] = {
    TOKEN: ("admin", ("read", "usage", "admin")),
    PLATFORM: ("platform", ("read", "usage")),
}


class Refusal(ValueError):  # noqa: N818 - it says what was done
    """Nothing was written, because something else is there; the text says what to do."""


@dataclass(frozen=True)
class Done:
    """What a machine is now: whose files were written, what became of them, and until when they are of use.

    `bundles`: the other machines' files, by the machine's name. `ends`: of this machine's certificates.
    `interface`: that of the machine's address, where it is known. `interface_told`: whether keepalived is told of it.
    """

    here: Here
    outcome: Outcome
    ends: dt.datetime
    authority_ends: dt.datetime
    bundles: dict[str, Path]
    interface: str | None = None
    interface_told: bool = True


def bundle_of(machine: Machine) -> str:
    """Return where a machine's files wait for it, below /etc/twinkey."""
    return f"{AUTHORITY}/join-{machine.name}.tar"


def read_plan(etc: Path) -> Plan:
    """Return what was decided when a site was founded on this machine.

    Raises:
        Refusal: no site was founded here.
        OSError
    """
    plan = _decoded(etc, SITE, Plan)
    if plan is None:
        raise Refusal(f"no site was founded here ({etc / SITE} is missing): run this where `twinkey site init` was run")
    return plan


def found(wish: Wish, keyring: bytes, etc: Path, now: dt.datetime, interface: str | None) -> Done:
    """Found a site on its first node, or finish what was begun.

    `interface`: that of the node's address, where it is known.

    Raises:
        Refusal, BadPlan, OSError
    """
    plan = _decoded(etc, SITE, Plan)
    if plan is None:
        _check_nobody(etc, keyring)
        _check_keyring(keyring)
        plan = decide(wish, now)
    elif different := list(differences(plan, wish)):
        raise Refusal(_another_site(plan, different, etc))
    else:
        _check_same_keyring(etc, keyring)
    own = plan.nodes[0]
    _check_here(etc, Here(own.name, plan))
    folder = Folder(etc)
    folder.ensure(File(SITE, msgspec.json.format(msgspec.json.encode(plan)) + b"\n", PRIVATE))
    authority = _authority(folder, plan, now)
    folder.ensure_pair(root_pair(authority, now), renewing=False)
    shared = _shared(folder, plan, keyring)
    files = machine_files(plan, own, authority, shared, now)
    folder.place(files, renewing=False)
    _place_keepalived(folder, plan, own, interface)
    for machine in plan.machines[1:]:
        if not (etc / bundle_of(machine)).exists():
            folder.ensure(_bundle(plan, machine, authority, shared, now))
        else:
            folder.outcome.kept.append(bundle_of(machine))
    return _done(folder, files.here, authority.ends, interface)


def renew(etc: Path, now: dt.datetime) -> Done:
    """Make new certificates for all machines of a site that was founded here.

    Raises:
        Refusal, OSError
    """
    plan = read_plan(etc)
    own = plan.nodes[0]
    _check_here(etc, Here(own.name, plan))
    folder = Folder(etc)
    authority = _authority(folder, plan, now)
    shared = _shared(folder, plan, None)
    for file in root_pair(authority, now).files:
        folder.replace(file)
    files = machine_files(plan, own, authority, shared, now)
    folder.place(files, renewing=True)
    for machine in plan.machines[1:]:
        folder.replace(_bundle(plan, machine, authority, shared, now))
    return _done(folder, files.here, authority.ends, None)


def join(bundle: bytes, etc: Path, now: dt.datetime, interface: str | None, *, replacing: bool = False) -> Done:
    """Put a machine's files into their places, and newer certificates into that of older ones.

    With `replacing` etcd joins a cluster that runs, in the place of a member that is gone.

    Raises:
        Refusal: the machine is another one, or the bundle is too old.
        BadBundle, OSError
    """
    files = unpack(bundle)
    here = files.here
    if (ends := _first_end(files)) <= now:
        raise Refusal(
            f"its certificates have ended on {ends:%Y-%m-%d}: run `twinkey site renew` on {here.plan.nodes[0].name}, "
            f"and take the new bundle"
        )
    keyring = next((file.data for file in files.plain if file.path == KEYRING), b"")
    if not (etc / MACHINE).exists():
        _check_nobody(etc, keyring)
    _check_here(etc, here)
    folder = Folder(etc)
    if replacing:
        files = _replacing(folder, files)
    folder.place(files, renewing=True)
    _place_keepalived(folder, here.plan, files.machine, interface)
    authority = next(file.data for file in files.plain if file.path == CA)
    return _done(folder, here, ends_at(authority), interface)


def _first_end(files: MachineFiles) -> dt.datetime:
    """Return when the first of a bundle's certificates ends."""
    try:
        return min(ends_at(pair.pair.certificate) for pair in files.pairs)
    except ValueError as error:  # it has none, or one that cannot be read
        raise BadBundle("it is not whole: make it again with `twinkey site renew` and copy that") from error


# --- what is refused -----------------------------------------------------------------------------------------------


def _check_nobody(etc: Path, keyring: bytes) -> None:
    """Refuse a machine that has files of some site."""
    if there := _decoded(etc, MACHINE, Here):
        raise Refusal(
            f"this machine is {there.machine} of the site {there.plan.site_id}, which was founded on "
            f"{there.plan.nodes[0].name}. To let it found another one, stop Twinkey and etcd here and move {etc} away"
        )
    same_keyring = (etc / KEYRING).exists() and (etc / KEYRING).read_bytes() == keyring
    left = first_there(etc, (path for path in WHAT if not (same_keyring and path == KEYRING)))
    if left:
        raise Refusal(
            f"{etc / left} is there, and nothing says of which site: {etc / MACHINE} is missing. Restore {etc} from a "
            f"backup; or, if this machine shall belong to no former site, move {etc} away and try again"
        )


def _check_here(etc: Path, here: Here) -> None:
    """Refuse a machine that is another one, or of another site."""
    there = _decoded(etc, MACHINE, Here)
    if there is None or there == here:
        return
    if there.plan.token != here.plan.token:
        raise Refusal(
            f"this machine is {there.machine} of the site {there.plan.site_id} of {there.plan.founded:%Y-%m-%d}, and "
            f"not of the site {here.plan.site_id} of {here.plan.founded:%Y-%m-%d}. To give it to that one, stop "
            f"Twinkey and etcd here and move {etc} away"
        )
    if there.machine != here.machine:
        raise Refusal(f"this machine is {there.machine}, and the bundle is for {here.machine}: take it there")
    raise Refusal(
        f"the site's machines were {_told(there.plan)} when this machine joined, and are {_told(here.plan)} now. "
        f"Addresses are not changed by this: give the machines their former ones, or move {etc} away"
    )


def _check_keyring(keyring: bytes) -> None:
    try:
        parse_keyring(keyring)
    except KeyringInvalid as error:
        raise Refusal(f"the keyring cannot be used: {error}. Take the keyring.json that the vendor gave you") from error


def _check_same_keyring(etc: Path, keyring: bytes) -> None:
    """Refuse a keyring that cannot be used, or that would be taken for one that is in force and is not."""
    there = etc / KEYRING
    if not there.exists():
        _check_keyring(keyring)
    elif there.read_bytes() != keyring:
        raise Refusal(
            f"--keyring is another one than {there}, which stays. To change the site's keyring put the new one there "
            f"on both nodes and run `systemctl restart twinkey-coordinator twinkey-agent`. To go on with what was "
            f"begun, give --keyring {there}"
        )


def _another_site(plan: Plan, different: list[str], etc: Path) -> str:
    return "\n".join(
        (
            f"the site {plan.site_id} was founded here on {plan.founded:%Y-%m-%d}, otherwise than is asked for now:",
            *(f"  {each}" for each in different),
            "To finish that one, ask for it as it was. What a site is made of is not changed by founding it again: see",
            f"docs/install.md. To found another one here, stop Twinkey and etcd and move {etc} away.",
        )
    )


def _told(plan: Plan) -> str:
    return " ".join(f"{machine.name}={machine.address}" for machine in plan.machines)


def _decoded(etc: Path, path: str, kind: type[V]) -> V | None:
    try:
        return msgspec.json.decode((etc / path).read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"{etc / path} is damaged ({error}): restore it from a backup of {etc}") from error


# --- what is made --------------------------------------------------------------------------------------------------


def _authority(folder: Folder, plan: Plan, now: dt.datetime) -> Authority:
    """Return the site's authority, which is made where there is none."""
    key, certificate = folder.read(CA_KEY), folder.read(CA)
    if key is None and first_there(folder.etc, _after_authority(plan)):
        lost = f"{folder.etc / CA_KEY} is missing: restore it"
        if certificate is None:
            lost = f"{folder.etc / CA_KEY} and {folder.etc / CA} are missing: restore both"
        raise Refusal(
            f"{lost} from a backup. Without the key no certificate can be renewed; if it is lost, found the site anew: "
            f'docs/install.md says how under "The authority is lost"'
        )
    try:
        key = key or new_key()
        folder.ensure(File(CA_KEY, key, PRIVATE))
        certificate = certificate or certify(key, plan.site_id, now)
        folder.ensure(File(CA, certificate))
        authority = Authority(key, certificate)
    except BadAuthority as error:
        raise Refusal(f"{folder.etc / CA_KEY} and {folder.etc / CA}: {error}. Restore both from a backup") from error
    if authority.ends <= now:
        raise Refusal(
            f"the site's authority ended on {authority.ends:%Y-%m-%d}, and what it signs counts no more. Make a new "
            f'one: docs/install.md says how under "The authority is lost"'
        )
    return authority


def _after_authority(plan: Plan) -> Iterator[str]:
    """Return the files that are there only when the authority has been made."""
    yield CA
    yield from (path for path in WHAT if path == MACHINE or (path.endswith((".pem", ".key")) and path != CA_KEY))
    yield from map(bundle_of, plan.machines[1:])


def _shared(folder: Folder, plan: Plan, keyring: bytes | None) -> Shared:
    """Return what both nodes have alike, which is made where it is missing."""
    tokens = folder.read(TOKENS)
    if tokens is None:
        _check_no_tokens(folder.etc, plan)
        for path in _SCOPES:
            folder.ensure(File(path, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode(), PRIVATE))
        tokens = _token_file(folder)
        folder.ensure(File(TOKENS, tokens, GROUP, "twinkey-coordinator"))
    keyring = folder.read(KEYRING) or keyring
    authority = folder.read(CA)
    if keyring is None or authority is None:
        raise Refusal(f"{folder.etc / KEYRING} is missing: run `twinkey site init` again, as it was run at first")
    return Shared(authority, keyring, tokens, folder.read(TOKEN), folder.read(PLATFORM))


def _check_no_tokens(etc: Path, plan: Plan) -> None:
    """Refuse to make tokens that the other node would not know: it may have those that were made before."""
    peer = plan.peer_of(plan.nodes[0])
    if peer and (etc / MACHINE).exists():
        raise Refusal(
            f"{etc / TOKENS} is missing, and has to be the same on both nodes: copy /etc/twinkey/{TOKENS} of "
            f"{peer.name} there, and {TOKEN} and {PLATFORM} too where {peer.name} has them. If {peer.name} has not "
            f"joined yet, take them from its bundle: "
            f"`tar -xpf {etc / bundle_of(peer)} -C {etc} --strip-components=2 --wildcards '*token*'`"
        )


def _token_file(folder: Folder) -> bytes:
    known: list[dict[str, Any]] = []
    for path, (name, scopes) in _SCOPES.items():
        text = (folder.read(path) or b"").strip()
        known.append({"name": name, "sha256": hashlib.sha256(text).hexdigest(), "scopes": scopes})
    return msgspec.json.format(msgspec.json.encode({"tokens": known})) + b"\n"


def _bundle(plan: Plan, machine: Machine, authority: Authority, shared: Shared, now: dt.datetime) -> File:
    return File(bundle_of(machine), pack(machine_files(plan, machine, authority, shared, now), now), PRIVATE)


def _replacing(folder: Folder, files: MachineFiles) -> MachineFiles:
    """Return the files with etcd's settings for a cluster that runs; settings that are there are changed to that."""
    there = folder.read(ETCD_ENV)
    changed = there and there.replace(_FOUNDING, _JOINING)
    if changed and changed != there:
        folder.replace(File(ETCD_ENV, changed))
    env = File(ETCD_ENV, etcd_env(files.here.plan, files.machine, "existing").encode())
    return files._replace(plain=tuple(env if file.path == ETCD_ENV else file for file in files.plain))


def _place_keepalived(folder: Folder, plan: Plan, machine: Machine, interface: str | None) -> None:
    if plan.virtual_ip and machine.uuid:
        folder.ensure(File(KEEPALIVED, keepalived_conf(plan, machine, interface or "eth0").encode()))


def _done(folder: Folder, here: Here, authority_ends: dt.datetime, interface: str | None) -> Done:
    pairs = [path for path in WHAT if path.endswith(".pem") and path != CA and not path.startswith(AUTHORITY)]
    there = [data for data in map(folder.read, pairs) if data is not None]
    others = here.plan.machines[1:] if here.machine == here.plan.nodes[0].name else ()
    bundles = {machine.name: folder.etc / bundle_of(machine) for machine in others}
    keepalived = folder.read(KEEPALIVED)
    told = keepalived is None or interface is None or interface.encode() in keepalived.split()
    return Done(here, folder.outcome, min(map(ends_at, there)), authority_ends, bundles, interface, told)

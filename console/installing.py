"""Installing a licence: one upload and what becomes of it, and what waits in the spool while the site cannot take it.

Exit codes: 0 all is installed, 1 something was refused, 5 the site cannot take it now (it waits in the spool).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import IO

import click
import msgspec

from console import spool
from console.api_client import UNAVAILABLE, Answer, Request, error_text
from console.connecting import ERROR, UNREACHABLE, Connection
from console.licence_answers import Outcome, outcome_facts, outcome_in, taken_in, told_in
from console.terminal import print_facts, printable
from licensing.archive import UploadRefused, read_upload
from licensing.envelope import LicenceRefused, open_licence
from licensing.keyring import KeyringInvalid, parse_keyring
from licensing.unpacking import MAX_BYTES

MOST_BYTES = MAX_BYTES * 3 // 2  # base64 takes a third more, and its line breaks a little
UPLOAD_WITHIN = 30.0
OUTCOME_WITHIN = 60.0
ASK_AGAIN = 0.5
ACCEPTED = 202
NOT_KNOWN_YET = frozenset({ACCEPTED, UNAVAILABLE})
REFUSED_FOR_NOW = frozenset({401, 403, 429, UNAVAILABLE})
"""Answers that say nothing about the licence: the next one would get the same."""


def upload_of(data: bytes, path: str = "/v1/licenses") -> Request:
    """Return the request that uploads a licence file or archive."""
    return Request("POST", path, data, {"Content-Type": "application/octet-stream"}, UPLOAD_WITHIN)


def settled(site: Connection, answer: Answer) -> Answer:
    """Return what became of a change; where the site has only taken it, ask until it is carried out."""
    if answer.status != ACCEPTED:
        return answer
    order = site.decoded(answer, taken_in)
    click.echo(f"The site has taken the order {printable(order.id)}; a leader is to carry it out.", err=True)
    until = time.monotonic() + OUTCOME_WITHIN
    while answer.status in NOT_KNOWN_YET and time.monotonic() < until:
        time.sleep(ASK_AGAIN)
        answer = site.ask(Request("GET", f"/v1/licenses/uploads/{order.id}"), "Waiting for a leader")
    if answer.status in NOT_KNOWN_YET:
        text = f"no leader has carried out the order {order.id} yet. It is not lost: see `twinkey license get` later."
        site.fail(text, UNREACHABLE)
    return _as_answered(site.decoded(answer, told_in).outcome) if answer.ok else answer


def _as_answered(outcome: Outcome) -> Answer:
    """Return what the site would have answered had it known the outcome at once."""
    if not outcome.code:
        return Answer(outcome.http, {}, msgspec.json.encode(outcome))
    error = {"code": outcome.code, "description": outcome.text, "details": "", "hint": outcome.hint}
    return Answer(outcome.http, {}, msgspec.json.encode({"error": error}))


def read_file(site: Connection, file: IO[bytes]) -> bytes:
    """Return what a file holds; one that no site would take is not sent."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        site.fail(f"the file has more than {MOST_BYTES} bytes. Check that this is the file that the vendor sent.")
    return data


def install(site: Connection, data: bytes, folder: Path, keyring: Path | None) -> None:
    """Install one upload; keep it in the spool where the site cannot take it now."""
    answer = settled(site, site.ask(upload_of(data), "Installing"))
    if answer.status == UNAVAILABLE:
        _spool(site, data, folder, keyring, error_text(answer))
    if not answer.ok:
        site.refused(answer)
    show_outcome(site, answer)


def install_spooled(site: Connection, folder: Path) -> None:
    """Install what waits in the spool, the oldest first; what is refused stays there and is told."""
    try:
        waiting = [(file, file.read_bytes()) for file in spool.kept(folder)]
    except OSError as error:
        site.fail(f"cannot read the spool {folder}: {error.strerror}.")
    if not waiting and not site.as_json:
        click.echo(f"Nothing waits in {folder}.")
    refused = False
    for file, data in waiting:
        answer = settled(site, site.ask(upload_of(data), f"Installing {file.name}"))
        if answer.status in REFUSED_FOR_NOW:
            site.refused(answer)
        if answer.ok:
            show_outcome(site, answer)
            file.unlink(missing_ok=True)
        else:
            refused = True
            _tell_refused(site, answer, file)
    sys.exit(ERROR if refused else 0)


def show_outcome(site: Connection, answer: Answer) -> None:
    """Print what became of a change."""
    if site.as_json:
        click.echo(answer.body)
    else:
        print_facts(outcome_facts(site.decoded(answer, outcome_in)))


def _spool(site: Connection, data: bytes, folder: Path, keyring: Path | None, why: str) -> None:
    """Keep a good upload for later and end the program; a bad one is refused here and now."""
    verified = _checked(site, data, keyring)
    try:
        file = spool.keep(folder, data)
    except OSError as error:
        site.fail(f"{why} It cannot be kept for later either: {folder}: {error.strerror}. Name a folder with --spool.")
    if site.as_json:
        click.echo(json.dumps({"spooled": str(file), "verified": verified, "reason": why}))
    click.echo(
        f"twinkey: the licence is NOT installed yet: {why}\n"
        f"It {'is genuine' if verified else 'was not verified (give --keyring)'} and waits in {file}.\n"
        "Install it with `twinkey license install --spooled` as soon as etcd has a quorum again.",
        err=True,
    )
    sys.exit(UNREACHABLE)


def _checked(site: Connection, data: bytes, keyring: Path | None) -> bool:
    """Say whether the licences were verified; end the program where one of them can never be installed."""
    try:
        files = read_upload(data)
        if keyring is None:
            return False
        known = parse_keyring(keyring.read_bytes())
        for file in files:
            open_licence(file.data, known)
    except (UploadRefused, LicenceRefused) as refused:
        site.fail(f"{refused.text} {refused.hint} Nothing was kept.")
    except (OSError, KeyringInvalid) as error:
        site.fail(f"cannot use the keyring {keyring}: {error}")
    return True


def _tell_refused(site: Connection, answer: Answer, file: Path) -> None:
    if site.as_json:
        click.echo(answer.body)
    text = f"{file} is refused: {error_text(answer)} It stays there; delete it if it is of no use."
    click.echo(f"twinkey: {printable(text)}", err=True)

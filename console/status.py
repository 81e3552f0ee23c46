"""`twinkey status`: the site's licence state for an operator, and as an exit code for scripts.

Exit codes: 0 valid, 1 error, 2 usage, 3 expired, 4 over quota, 5 unreachable (or the site itself cannot tell).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from console.api_client import Answer, Api, SiteStatus, Unreachable, age_of, error_text, parse_status
from console.demo_places import FOLDER, PORTS, TOKEN_FILE, url_of

DEMO_URLS = tuple(url_of(port) for port in PORTS.values())
DEMO_TOKEN = FOLDER / TOKEN_FILE
VALID, ERROR, EXPIRED, OVER_QUOTA, UNREACHABLE = 0, 1, 3, 4, 5
UNAVAILABLE = 503


@click.command()
@click.option("--url", envvar="TWINKEY_URL", help="Address of a node.  [default: the demo's nodes]")
@click.option("--token", envvar="TWINKEY_TOKEN", help="Bearer token with the scope `read`.")
@click.option(
    "--token-file",
    envvar="TWINKEY_TOKEN_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that holds the token.  [default: .demo/token where it exists]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the server's own answer.")
def status(url: str | None, token: str | None, token_file: Path | None, *, as_json: bool) -> None:
    """Show the site's licence status.

    Exit codes: 0 valid, 1 error, 3 expired, 4 over quota, 5 unreachable.
    """
    api = Api((url,) if url else DEMO_URLS, token or _token(token_file))
    try:
        answer = asyncio.run(api.get("/v1/status"))
    except Unreachable as error:
        hint = "Check --url and that the coordinator runs; the demo is started with `make demo`."
        _fail(f"the site is unreachable: {error}. {hint}", UNREACHABLE, as_json=as_json)
    if not answer.ok:
        _refused(answer, as_json=as_json)
    sys.exit(_show(answer, as_json=as_json))


def exit_code(site: SiteStatus) -> int:
    """Return the exit code that says how the licence stands."""
    if site.license.status != "Valid":
        return EXPIRED
    return OVER_QUOTA if "quota-exceeded" in site.alerts else VALID


def _show(answer: Answer, *, as_json: bool) -> int:
    try:
        site = parse_status(answer)
    except msgspec.DecodeError as error:
        _fail(f"this is not a status of a Twinkey site: {error}. Check --url.", ERROR, as_json=as_json)
    if as_json:
        click.echo(answer.body)
    else:
        from console.status_table import print_status  # noqa: PLC0415 - rich is slow to import and not always needed

        print_status(site, age_of(answer))
    return exit_code(site)


def _refused(answer: Answer, *, as_json: bool) -> NoReturn:
    text = error_text(answer)
    if answer.status in {401, 403}:
        text += " Give a token with the scope `read`: --token-file FILE, or TWINKEY_TOKEN."
    _fail(text, UNREACHABLE if answer.status == UNAVAILABLE else ERROR, as_json=as_json)


def _token(token_file: Path | None) -> str | None:
    chosen = token_file or (DEMO_TOKEN if DEMO_TOKEN.exists() else None)
    if chosen is None:
        return None
    try:
        return chosen.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read the token in {chosen}: {error}") from error


def _fail(text: str, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"error": {"code": "console", "description": text}}))
    click.echo(f"twinkey: {text}", err=True)
    sys.exit(code)

"""How a verb reaches the site: the options that all of them have, one request, and what is said when it fails.

Without options a running demo in this folder is asked, else the root-only socket of this machine's coordinator where
it may be opened, else the default ports of the loopback. Knows no call of the API.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click
import msgspec
from click.core import ParameterSource

from console.api_client import (
    ANSWER_WITHIN,
    UNAVAILABLE,
    Answer,
    Api,
    Request,
    SiteStatus,
    Unreachable,
    error_text,
    parse_status,
)
from console.demo_places import FOLDER, PORTS, TOKEN_FILE, url_of
from console.terminal import printable, waiting

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_URLS = tuple(url_of(port) for port in PORTS.values())
DEFAULT_TLS_URLS = tuple(url.replace("http:", "https:") for url in DEFAULT_URLS)
DEMO_TOKEN = FOLDER / TOKEN_FILE
SOCKET = Path("/run/twinkey/coordinator.sock")
SOCKET_URLS = ("http://localhost",)
VALID, ERROR, EXPIRED, OVER_QUOTA, UNREACHABLE = 0, 1, 3, 4, 5
UNAUTHORISED, FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Connection:
    """What the options say about where the site is, and how failures are told.

    `ca`: the file of the authority that HTTPS trusts. `scope`: what a token must allow.
    """

    url: str | None
    socket: Path | None
    token: str | None
    token_file: Path | None
    ca: Path | None
    as_json: bool
    scope: str

    @functools.cached_property
    def api(self) -> Api:
        """The client that the options ask for.

        Raises:
            click.ClickException: the token file cannot be read.
        """
        if self.socket:
            return Api(SOCKET_URLS, socket=self.socket)
        if self.url or self.token or self.token_file or DEMO_TOKEN.exists():
            return Api(self._urls, self.token or self._read_token(), ca=self.ca)
        if os.access(SOCKET, os.R_OK | os.W_OK):
            return Api(SOCKET_URLS, socket=SOCKET)
        return Api(self._urls, ca=self.ca)

    def ask(self, request: Request, doing: str = "Waiting for the site") -> Answer:
        """Return the answer, a refusal too; end the program where nobody answers."""
        try:
            with waiting(doing):
                return asyncio.run(self.api.send(request))
        except Unreachable as error:
            hint = "Check --url or --socket and that the coordinator runs; the demo is started with `make demo`."
            self.fail(f"the site is unreachable: {error}. {hint}", UNREACHABLE)

    def answered(self, request: Request, doing: str = "Waiting for the site") -> Answer:
        """Return the answer if it is a success; else end the program with the site's own words."""
        answer = self.ask(request, doing)
        if not answer.ok:
            self.refused(answer)
        return answer

    def get(self, path: str, within: float = ANSWER_WITHIN) -> Answer:
        """Return the successful answer to a GET."""
        return self.answered(Request("GET", path, within=within))

    def status(self) -> tuple[SiteStatus, Answer]:
        """Return the site's status, and the answer that it came in."""
        answer = self.get("/v1/status")
        return self.decoded(answer, parse_status), answer

    def decoded(self, answer: Answer, decode: Callable[[Answer], T]) -> T:
        """Return what an answer says; end the program where it has another form."""
        try:
            return decode(answer)
        except msgspec.DecodeError as error:
            self.fail(f"this is not an answer of a Twinkey site: {error}. Check --url.")

    def refused(self, answer: Answer) -> NoReturn:
        """End the program with a refusal in the site's own words."""
        text = error_text(answer)
        if answer.status in {UNAUTHORISED, FORBIDDEN}:
            text += f" Give a token with the scope `{self.scope}`: --token-file FILE, or TWINKEY_TOKEN."
        code = UNREACHABLE if answer.status == UNAVAILABLE else ERROR
        self.fail(text, code, said=answer.body if _is_error(answer) else None)

    def fail(self, text: str, code: int = ERROR, said: bytes | None = None) -> NoReturn:
        """End the program: one sentence for people, and with `--json` an error like the site's (`said`, if it was)."""
        if self.as_json:
            click.echo(said or json.dumps({"error": {"code": "console", "description": text}}))
        click.echo(f"twinkey: {printable(text)}", err=True)
        sys.exit(code)

    @property
    def _urls(self) -> tuple[str, ...]:
        if self.url:
            return (self.url,)
        return DEFAULT_TLS_URLS if self.ca else DEFAULT_URLS

    def _read_token(self) -> str | None:
        chosen = self.token_file or (DEMO_TOKEN if DEMO_TOKEN.exists() else None)
        if chosen is None:
            return None
        try:
            return chosen.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"cannot read the token in {chosen}: {error}") from error


def connects(scope: str) -> Callable[[Callable[Concatenate[Connection, P], None]], Callable[..., None]]:
    """Give a command the options by which it reaches the site; it is called with a `Connection` first."""

    def decorate(command: Callable[Concatenate[Connection, P], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def connected(
            *args: Any,
            url: str | None,
            socket: Path | None,
            token: str | None,
            token_file: Path | None,
            ca: Path | None,
            as_json: bool,
            **others: Any,
        ) -> None:
            source = click.get_current_context().get_parameter_source("url")
            if socket and source is ParameterSource.COMMANDLINE:
                raise click.UsageError("--url and --socket are two ways to the site: give one of them.")
            command(Connection(url, socket, token, token_file, ca, as_json, scope), *args, **others)

        for option in reversed(_options(scope)):
            option(connected)
        return connected

    return decorate


def _options(scope: str) -> tuple[Callable[[Callable[..., None]], Callable[..., None]], ...]:
    file = click.Path(path_type=Path, dir_okay=False)
    return (
        click.option("--url", envvar="TWINKEY_URL", help="Address of a node.  [default: this machine's]"),
        click.option(
            "--socket",
            type=file,
            help=f"The coordinator's root-only socket; needs no token.  [default: {SOCKET} where it is]",
        ),
        click.option("--token", envvar="TWINKEY_TOKEN", help=f"Bearer token with the scope `{scope}`."),
        click.option(
            "--token-file",
            envvar="TWINKEY_TOKEN_FILE",
            type=file,
            help="File that holds the token.  [default: .demo/token where it exists]",
        ),
        click.option(
            "--ca",
            envvar="TWINKEY_CA",
            type=file,
            help="Certificate of the authority that HTTPS trusts (PEM).  [default: the system's]",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs."),
    )


def _is_error(answer: Answer) -> bool:
    try:
        return isinstance(msgspec.json.decode(answer.body)["error"]["code"], str)
    except (msgspec.DecodeError, LookupError, TypeError):
        return False

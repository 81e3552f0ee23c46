"""`twinkey request-code`: the text with which the site asks the vendor for a licence."""

from __future__ import annotations

import click

from console.api_client import Request
from console.connecting import Connection, connects
from console.installing import settled

GIVEN_WITHIN = 30.0
PATH = "/v1/licenses/request-code"


@click.command("request-code")
@click.option("--new", is_flag=True, help="Ask the site for a new one first; the last eight stay usable.")
@connects("read")
def request_code(site: Connection, *, new: bool) -> None:
    """Print the request code, to be sent to the vendor; it stays the same until someone asks for a new one.

    A new one needs a token with the scope `admin`.
    """
    kind = "application/json" if site.as_json else "text/plain"
    if new:
        answer = settled(site, site.ask(Request("POST", PATH, within=GIVEN_WITHIN), "Asking for a new code"))
        if not answer.ok:
            site.refused(answer)
    code = site.answered(Request("GET", PATH, headers={"Accept": kind}))
    click.echo(code.body, nl=not code.body.endswith(b"\n"))

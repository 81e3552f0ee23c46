"""`twinkey records`: the history of the licensing, a page at a time, and whether anybody altered it."""

from __future__ import annotations

import datetime as dt
import sys
from urllib.parse import urlencode

import click
import msgspec
from click.core import ParameterSource

from console.api_client import Answer, Body, Request
from console.connecting import ERROR, Connection, connects
from console.terminal import print_table, printable, when
from licensing.value import Time

VERIFY_WITHIN = 600.0
ORDERS = ("uploadDate", "issuedDate", "expiredDate")
LARGEST_PAGE = 1000


class Row(Body, frozen=True):
    """One record, as far as it is shown."""

    number: int
    upload_date: Time
    action: str
    name: str
    status: str
    expired_date: Time
    who: str = ""
    sentence: str = ""


class Page(Body, frozen=True):
    """Some records, and how many there are in all; `reasons`: which of this page cannot be read."""

    inventories: tuple[Row, ...]
    total: int
    reasons: tuple[str, ...] = ()


class Missing(Body, frozen=True):
    """Records that were lost with an old copy of the store."""

    first: int
    last: int
    at: Time


class Verified(Body, frozen=True):
    """Whether the history is as it was written; `number` and `why` of the first record that is not.

    `missing`: records that are known to be lost.
    """

    intact: bool
    count: int
    number: int | None = None
    why: str = ""
    missing: tuple[Missing, ...] = ()

    @property
    def present(self) -> int:
        """How many records there are."""
        return self.count - sum(lost.last - lost.first + 1 for lost in self.missing)


@click.group(invoke_without_command=True)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="How many to pass over.")
@click.option("--limit", type=click.IntRange(0, LARGEST_PAGE), default=20, show_default=True, help="How many to show.")
@click.option("--sort-by", type=click.Choice(ORDERS), default="uploadDate", show_default=True)
@click.option("--ascending", is_flag=True, help="The oldest first.")
@click.pass_context
@connects("read")
def records(site: Connection, context: click.Context, start: int, limit: int, sort_by: str, *, ascending: bool) -> None:
    """Show the history, the newest first. Options of `verify` come after that word."""
    if context.invoked_subcommand:
        if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"Give the options after `{context.invoked_subcommand}`.")
        return
    wish = {"start": start, "limit": limit, "sortBy": sort_by, "sortDirection": "asc" if ascending else "desc"}
    answer = site.get(f"/v1/licenses/records?{urlencode(wish)}")
    if site.as_json:
        click.echo(answer.body)
        return
    page = site.decoded(answer, _page)
    columns = ("No.", "When", "What", "Licence", "Status", "Expires", "By", "Why")
    print_table(columns, (_cells(row) for row in page.inventories))
    click.echo(f"{len(page.inventories)} of {page.total} records.")
    for reason in page.reasons:
        click.echo(f"twinkey: a record cannot be read: {printable(reason)}", err=True)


@records.command()
@connects("admin")
def verify(site: Connection) -> None:
    """Check the whole history: exit code 0 when it is as it was written, 1 with the first record that is not."""
    request = Request("GET", "/v1/licenses/records/verification", within=VERIFY_WITHIN)
    answer = site.answered(request, "Checking every record")
    found = site.decoded(answer, _verified)
    if site.as_json:
        click.echo(answer.body)
    else:
        _tell(found)
    if not found.intact:
        text = f"record {found.number} was altered or is missing: {found.why}. Compare with a backup of the site."
        click.echo(f"twinkey: {printable(text)}", err=True)
        sys.exit(ERROR)


def _tell(found: Verified) -> None:
    for lost in found.missing:
        click.echo(
            f"Records {lost.first} to {lost.last} are missing (the store was restored from an old copy, which was put "
            f"right {when(lost.at)})."
        )
    if found.intact:
        which = f"The other {found.present}" if found.missing else f"All {found.count}"
        click.echo(f"{which} records are as they were written.")


def _page(answer: Answer) -> Page:
    return msgspec.json.decode(answer.body, type=Page)


def _verified(answer: Answer) -> Verified:
    return msgspec.json.decode(answer.body, type=Verified)


def _cells(row: Row) -> tuple[str, ...]:
    expires = f"{row.expired_date.astimezone(dt.UTC):%Y-%m-%d}"
    return str(row.number), when(row.upload_date), row.action, row.name, row.status, expires, row.who, row.sentence

"""`twinkey keys preview-removal`: what pulling out a USB key now would bring, in a sentence or two."""

from __future__ import annotations

from urllib.parse import urlencode

import click
import msgspec

from console.api_client import Answer, Body, Buffer, Licence
from console.connecting import Connection, connects
from console.status_table import KEY_STATES
from console.terminal import printable, when

VALID = "Valid"


class Removal(Body, frozen=True):
    """What pulling out a key would bring, as far as it is shown; see `licensing.preview.RemovalPreview`."""

    key_id: str
    key_state: str
    license: Licence
    buffer: Buffer | None
    days_left: int | None
    after_buffer: Licence | None
    reason: str


class Foretold(Body, frozen=True):
    """An answer with a removal."""

    removal: Removal
    stale: bool


@click.command("preview-removal")
@click.argument("key_id", metavar="[KEYID]", default="")
@connects("read")
def preview_removal(site: Connection, key_id: str) -> None:
    """Say what pulling out a USB key now would bring; nothing is changed.

    Without KEYID it is the one key that is inserted.
    """
    asked = urlencode({"keyId": key_id or _only_key(site)})
    answer = site.get(f"/v1/licenses/ukeys/removal?{asked}")
    if site.as_json:
        click.echo(answer.body)
        return
    found = site.decoded(answer, _foretold)
    unseen = _unseen(site, found.removal.key_id)
    click.echo(printable(unseen or _sentence(found.removal)))
    click.echo(printable(found.removal.reason))
    if found.stale:
        click.echo("twinkey: this answer is stale: no leader confirms it now.", err=True)


def _foretold(answer: Answer) -> Foretold:
    return msgspec.json.decode(answer.body, type=Foretold)


def _only_key(site: Connection) -> str:
    now, _ = site.status()
    inserted = sorted({key.key_id for node in now.nodes for key in node.ukeys})
    if not inserted:
        site.fail("no USB key is inserted, so there is none to pull out.")
    if len(inserted) > 1:
        site.fail(f"several USB keys are inserted: name one of them: {printable(', '.join(inserted))}.")
    return inserted[0]


def _unseen(site: Connection, key_id: str) -> str:
    """Say that nobody would see the key go, where no node that has it reports; else nothing."""
    now, _ = site.status()
    holders = [node for node in now.nodes if any(key.key_id == key_id for key in node.ukeys)]
    if not holders or any(node.reachable for node in holders):
        return ""
    names = " and ".join(node.name for node in holders)
    return f"{key_id} is in a node that does not report ({names}): pulling it out counts only when that is seen."


def _sentence(removal: Removal) -> str:
    """Say what comes of the licence, and of the key state where the licence is not affected."""
    start, licence = f"Unplug {removal.key_id} now:", removal.license
    if licence.status != VALID:
        ended = f" The buffer ended on {when(removal.buffer.expires)}." if removal.buffer else ""
        return f"{start} no licence can be used then.{ended}"
    if removal.buffer is None:
        state = KEY_STATES.get(removal.key_state, removal.key_state).partition(":")[0]
        return f"{start} the licence {licence.name} is in force, without a buffer. The key state is {state}."
    return f"{start} {_days(removal.days_left)} of buffer, until {when(removal.buffer.expires)}. {_then(removal)}"


def _days(count: int | None) -> str:
    return "less than a day" if not count else "1 day" if count == 1 else f"{count} days"


def _then(removal: Removal) -> str:
    then = removal.after_buffer
    if then is None or then.status != VALID:
        return "After that the licence cannot be used."
    return f"After that the licence {then.name} is in force."

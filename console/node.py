"""`twinkey node drain`: hand a management node's roles over before it is serviced, and take it back afterwards."""

from __future__ import annotations

import json
import sys
import time
from urllib.parse import quote

import click
import msgspec

from console.api_client import Answer, Body, Request, SiteStatus, parse_status
from console.connecting import ERROR, Connection, connects
from console.terminal import printable

THIS_NODE = "self"
WAIT = 30.0
LONGEST_POLL = 10.0


class Drained(Body, frozen=True):
    """The site's answer: which node it is."""

    management_node_uuid: str
    text: str


@click.group()
def node() -> None:
    """Prepare a management node for service, and take it back."""


@node.command()
@click.argument("node_name", metavar="[NODE]", default="")
@click.option("--undo", is_flag=True, help="The node has been serviced: let it lead and hold the virtual IP again.")
@click.option("--force", is_flag=True, help="Also where no other node is there to take over.")
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    default=WAIT,
    show_default=True,
    help="Seconds to wait until another node has taken over.",
)
@connects("admin")
def drain(site: Connection, node_name: str, within: float, *, undo: bool, force: bool) -> None:
    """Let a node hand over what it leads and the virtual IP; it goes on answering, and stays drained until --undo.

    NODE is a node's name or uuid; without it, it is the node that is asked. The exit code is 0 when another node has
    taken over, 1 when none has in time.
    """
    before, _ = site.status()
    uuid = _uuid_of(site, before, node_name) if node_name else THIS_NODE
    action = {"undrain": {}} if undo else {"drain": {"force": force}}
    headers = {"Content-Type": "application/json"}
    request = Request("PUT", f"/v1/nodes/{quote(uuid, safe='')}/actions", json.dumps(action).encode(), headers)
    answer = site.answered(request, "Draining" if not undo else "Taking the node back")
    told = site.decoded(answer, _drained)
    if undo:
        click.echo(answer.body if site.as_json else printable(told.text))
        return
    now = _wait(site, before, told.management_node_uuid, within)
    over = _handed_over(now, before, told.management_node_uuid)
    if site.as_json:
        click.echo(_as_json(now, told, over=over))
    else:
        for sentence in filter(None, (told.text, _who_leads(now, told), _who_holds(now, told))):
            click.echo(printable(sentence))
    sys.exit(0 if over else ERROR)


def _drained(answer: Answer) -> Drained:
    return msgspec.json.decode(answer.body, type=Drained)


def _uuid_of(site: Connection, now: SiteStatus, named: str) -> str:
    found = [each for each in now.nodes if named in {each.name, each.management_node_uuid}]
    if not found:
        names = ", ".join(each.name for each in now.nodes)
        site.fail(f"{printable(named)} is no management node of this site: name one of {printable(names)}.")
    return found[0].management_node_uuid


def _wait(site: Connection, before: SiteStatus, uuid: str, within: float) -> SiteStatus:
    """Return the status once the node has handed over, or the last one when the time is over."""
    deadline = time.monotonic() + within
    now, answer = site.status()
    while not _handed_over(now, before, uuid) and (left := deadline - time.monotonic()) > 0:
        wait = min(left, LONGEST_POLL)
        tag = {"If-None-Match": answer.headers.get("ETag", "")}
        poll = Request("GET", f"/v1/status?wait={wait:.1f}", headers=tag, within=wait + 5)
        news = site.answered(poll, "Waiting for another node to take over")
        if news.body:
            now, answer = site.decoded(news, parse_status), news
    return now


def _handed_over(now: SiteStatus, before: SiteStatus, uuid: str) -> bool:
    """Whether another node leads and, if the site has a virtual IP, the node does not hold it any more."""
    leads = now.leader is not None and now.leader.management_node_uuid != uuid
    moved = uuid not in now.vip_holders and (uuid not in before.vip_holders or now.vip_state == "held")
    return leads and moved


def _who_leads(now: SiteStatus, told: Drained) -> str:
    if now.leader is None:
        return "No node leads yet: look again with `twinkey status`."
    if now.leader.management_node_uuid == told.management_node_uuid:
        return "It still leads: no other coordinator has taken over. Check that one runs on the other node."
    return f"Node {now.leader.name} leads."


def _who_holds(now: SiteStatus, told: Drained) -> str:
    """Say where the virtual IP is; nothing for a site without one."""
    if now.vip_state is None:
        return ""
    if told.management_node_uuid in now.vip_holders:
        others = (each for each in now.nodes if each.management_node_uuid != told.management_node_uuid)
        if not any(each.reachable and not each.drained for each in others):
            return "It still holds the virtual IP, and keeps it until another node is reachable and not drained."
        return (
            "It still holds the virtual IP: set track_file for its agent and keepalived where it is not set, see that "
            "coordinator and keepalived run on the other node, or move the address by hand."
        )
    names = " and ".join(each.name for each in now.nodes if each.management_node_uuid in now.vip_holders)
    return f"The virtual IP is on node {names}." if names else "No node holds the virtual IP: check keepalived."


def _as_json(now: SiteStatus, told: Drained, *, over: bool) -> str:
    leader = now.leader.management_node_uuid if now.leader else None
    said = {"managementNodeUuid": told.management_node_uuid, "drained": True, "handedOver": over}
    return json.dumps(said | {"leader": leader, "vipHolders": now.vip_holders, "vipState": now.vip_state})

"""Asking agents to read the USB keys of their nodes again, and waiting until their reports say that it is done."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable

from cluster.keys import Keys
from cluster.mirror import Mirror
from cluster.report import Report, Reread
from cluster.store import Put, Store, View
from cluster.values import BadValue, encode_value, read_message

PATIENCE = 15.0
"""Seconds; longer than a key that does not answer is read."""


async def reread(store: Store, mirror: Mirror, keys: Keys, nodes: Iterable[str]) -> None:
    """Have the keys of these nodes read again; return when the reports of all of them were written after that.

    Raises:
        TimeoutError: a node did not do it.
        StoreError
    """
    request = Reread(secrets.token_hex(16))
    value, asked = encode_value(request), tuple(nodes)
    revision = await store.commit((), [Put(keys.reread(node), value) for node in asked])
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = mirror.version
            if all(_done(mirror.view, keys, node, revision) for node in asked):
                return
            await mirror.changed(seen)


def _done(view: View, keys: Keys, node: str, revision: int) -> bool:
    """Whether the live report is of after the request, or of after a later one that took its place."""
    asked, report = view.entries.get(keys.reread(node)), view.entries.get(keys.node(node))
    if asked is None or report is None or asked.mod_revision < revision:
        return False
    try:
        done = read_message(report.key, report.value, Report).reread
        return done == read_message(asked.key, asked.value, Reread).id
    except BadValue:
        return False

"""The pages of the history that the calls share, and in which words they refuse what cannot be read of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from cluster.record_pages import HistoryChanged, HistoryMoves, RecordPages
from cluster.store import StoreError
from coordinator.answers import store_away
from coordinator.errors import ApiError
from coordinator.restoring import BUSY

PAGES = web.AppKey("pages", RecordPages)


@contextmanager
def refusals() -> Iterator[None]:
    """Refuse a call where the history cannot be read.

    Raises:
        ApiError: 503, the store is away, the history changed while it was read, or a backup was restored and some
            records are still those of another history.
    """
    try:
        yield
    except StoreError as error:
        raise store_away(error) from error
    except HistoryMoves as error:
        raise ApiError(503, BUSY.code, BUSY.text, hint=BUSY.hint, headers={"Retry-After": "2"}) from error
    except HistoryChanged as error:
        raise ApiError(
            503,
            "busy",
            "The history changed while it was read.",
            hint="Ask again, or for fewer at once.",
            headers={"Retry-After": "1"},
        ) from error

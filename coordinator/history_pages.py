"""The history as a call may see it: what the ledger knows of, and nothing while another history is put in its place."""

from __future__ import annotations

from cluster.records import RecordPages
from coordinator.calls import Services
from coordinator.errors import ApiError
from coordinator.restoring import BUSY, on_its_way


def history_pages(services: Services) -> RecordPages:
    """Return the pages of the history that counts.

    Raises:
        ApiError: 503, a backup was restored and some records are still those of another history.
    """
    ledger = services.outlook.look().ledger
    if ledger is None or not ledger.record_count:  # it is away, and nobody knows how much of the history there is
        return RecordPages(services.store, services.keys)
    if on_its_way(ledger) is not None:
        raise ApiError(503, BUSY.code, BUSY.text, hint=BUSY.hint, headers={"Retry-After": "2"})
    return RecordPages(services.store, services.keys, ledger.record_count)

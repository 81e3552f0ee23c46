"""The HTTP application: which call goes where."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from cluster.record_pages import RecordPages
from coordinator import (
    licences_api,
    metrics,
    nodes_api,
    openapi,
    page_files,
    probes,
    questions_api,
    records_api,
    records_csv,
    removal_api,
    removals_api,
    request_code_api,
    session_api,
    site_api,
    status_api,
    stream_api,
    synchronise_api,
    telling_time,
    uploads_api,
    verification_api,
)
from coordinator.audience import AUDIENCE, Audience
from coordinator.calls import AS_TEXT, SERVICES, Call, Services, as_json
from coordinator.elsewhere import refuse_elsewhere
from coordinator.guarding import GUARD, Guard, Rules
from coordinator.handling import handling
from coordinator.history_pages import PAGES
from coordinator.made_once import MadeOnce
from coordinator.ready import ENDING, Closing
from coordinator.tokens import TokenFile
from coordinator.verdicts import Verdicts

PREFIXES = ("/v1", "/zstack/v1")
"""The same calls under our own prefix and under the platform's."""

LARGEST_REQUEST = 1024 * 1024

CALLS: tuple[Call, ...] = (
    *session_api.CALLS,
    *status_api.CALLS,
    *licences_api.CALLS,
    *removal_api.CALLS,
    *removals_api.CALLS,
    *records_api.CALLS,
    *records_csv.CALLS,
    *verification_api.CALLS,
    *questions_api.CALLS,
    *stream_api.CALLS,
    *uploads_api.CALLS,
    *request_code_api.CALLS,
    *synchronise_api.CALLS,
    *site_api.CALLS,
    *nodes_api.CALLS,
)
ROOT_CALLS: tuple[Call, ...] = (
    *page_files.CALLS,
    *probes.CALLS,
    Call("GET", "/metrics", metrics.serve, None, "Tell the figures for Prometheus.", {200: AS_TEXT}),
    Call("GET", "/openapi.json", openapi.serve, None, "Give this document.", {200: as_json(dict[str, Any])}),
)
"""Those that need no token and are at the root."""


def build_app(
    services: Services,
    tokens: TokenFile,
    leads: probes.Leads,
    measures: metrics.Metrics,
    rules: Rules = Rules(),  # noqa: B008 - a frozen value
) -> web.Application:
    """Wire the calls to what they answer from."""
    guard = Guard(tokens, rules, services.outlook.clock.now)
    app = web.Application(client_max_size=LARGEST_REQUEST)
    app[SERVICES] = services
    app[status_api.BOARD] = services.board
    app[status_api.COPIES] = status_api.Copies()
    app[ENDING] = Closing(services.outlook.clock)
    app[questions_api.VERDICTS] = Verdicts(services.outlook.policy)
    app[status_api.CLOSING] = asyncio.Event()
    app[AUDIENCE] = Audience(services.board, services.outlook.clock.now)
    app[probes.LEADS] = leads
    app[metrics.METRICS] = measures
    app[GUARD] = guard
    app[PAGES] = RecordPages(services.store, services.keys)
    app[page_files.PAGE] = page_files.shipped()
    app[openapi.DOCUMENT] = MadeOnce(lambda: openapi.document(CALLS, PREFIXES, ROOT_CALLS))
    for call in ROOT_CALLS:
        app.router.add_get(call.path, handling(call, call.path, guard, measures))
    for call in CALLS:
        for path in (prefix + call.path for prefix in PREFIXES):
            app.router.add_route(call.method, path, handling(call, path, guard, measures))
    refuse_elsewhere(app.router, measures)
    app.on_response_prepare.append(telling_time.tell_time)
    app.on_shutdown.append(_let_waiters_go)
    return app


async def _let_waiters_go(app: web.Application) -> None:
    """End the long polls, so that a stop does not wait for them."""
    app[status_api.CLOSING].set()
    app[status_api.BOARD].wake()

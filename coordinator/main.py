"""Where the coordinator's parts meet: the only file that knows all of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from cluster.daemon import run_daemon
from cluster.election import Election
from cluster.etcd import open_etcd
from cluster.identity import BadIdentity, node_uuid
from cluster.keys import BadKey, Keys
from cluster.lifetime import CannotStart, on_hangup, run_until_told
from cluster.member_clock import MemberClocks, is_ours
from cluster.mirror import Mirror
from cluster.pinned import load_keyring
from cluster.service_manager import ServiceManager
from cluster.store import PermissionRefused, Store, StoreError
from cluster.timings import BadTimings, Timings
from coordinator.answering import Answering
from coordinator.board import Board
from coordinator.calls import Services
from coordinator.certificate import BadCertificate, Certificate, Certificates
from coordinator.clock import EffectiveClock, boot_clock
from coordinator.clock_watch import ClockWatch
from coordinator.clocks import Clocks
from coordinator.console_socket import listening
from coordinator.cycle import CLOCK_EVERY
from coordinator.desk import Desk
from coordinator.drain import StandingAside
from coordinator.facts import FactReader
from coordinator.founding import Founding, FoundingError
from coordinator.guarding import GUARD
from coordinator.http import build_app
from coordinator.metrics import Metrics
from coordinator.outlook import Outlook
from coordinator.published import Leader
from coordinator.publisher import Publisher
from coordinator.reloading import Reloading
from coordinator.service_status import tell_manager
from coordinator.settings import CoordinatorSettings
from coordinator.snapshot import Memory
from coordinator.time_base import KeptTime, this_boot
from coordinator.tokens import BadTokens, read_tokens

log = logging.getLogger(__name__)

TO_PUT_RIGHT = (
    CannotStart,
    BadCertificate,
    BadIdentity,
    BadKey,
    BadTimings,
    BadTokens,
    FoundingError,
    PermissionRefused,
)
SAFE_VOTERS = 3


def main(config: Path | None) -> int:
    """Run the coordinator until it is told to stop; return its exit code: 0 done, 1 failed, 2 bad settings."""
    return run_daemon(config, CoordinatorSettings, run, TO_PUT_RIGHT)


async def run(settings: CoordinatorSettings, manager: ServiceManager) -> None:
    """Take part in the election and answer until SIGTERM or SIGINT; a leader gives up its lease first.

    SIGHUP reads tokens and certificate again.

    Raises:
        CannotStart, BadCertificate, BadIdentity, BadTokens, FoundingError: an operator has to put something right.
    """
    # what it says of requests that are no HTTP at all comes with a traceback, and anybody can cause it
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    keys, node = Keys(settings.site_id), node_uuid(settings.node, settings.state_dir)
    me = Leader(node, settings.name or socket.gethostname())
    timings = Timings(lease_ttl=settings.lease_ttl)
    clocks, watch = clocks_of(settings, me)
    clock, board = clocks.clock, Board(boot_clock)
    founding = Founding(keys, settings.members, settings.state_dir)
    keyring, tokens = load_keyring(settings.keyring), read_tokens(settings.tokens)
    reader, memory = FactReader(keys, keyring), Memory(keys, keyring, settings.state_dir)
    certificate = Certificate(*settings.tls.pair) if settings.tls.pair else None
    store = open_etcd(settings.etcd, timings)
    mirror = Mirror(store, keys.prefix, timings, without=keys.records)
    election = Election(store, mirror, key=keys.leader, node=node, name=me.name, timings=timings)
    outlook = Outlook(mirror, election, reader, clocks, settings.policy, memory.kept)
    metrics = Metrics(board, lambda: mirror.connected, clock, Certificates(certificate, settings.etcd.cert).ends)
    answering = Answering(outlook, board, metrics, memory, node)
    publisher = Publisher(outlook, store, keys, me, founding, keyring, memory)
    desk = Desk(store, mirror, keys, clock, node)
    services = Services(board, desk, outlook, store, keys, me, keyring)
    app = build_app(services, tokens, lambda: election.leadership is not None, metrics, settings.rules)
    reloading = Reloading(settings.tokens, app[GUARD], board, certificate)
    try:
        async with serving(app, *settings.address, settings.socket_path, certificate):
            log.info("coordinator starts", extra={"node": node, "calls_itself": me.name, "listens": settings.listen})
            warn_of_plain_http(settings)
            await watch.begin()
            await run_until_told(
                on_hangup(reloading.reload, manager),  # before anybody is told that we are ready for it
                tell_manager(manager, board, mirror, node),
                StandingAside(outlook, node).run(),  # before the election: a drained node that starts does not lead
                mirror.run(),
                election.run(),
                publisher.run(),
                answering.run(),
                memory.run(),
                watch.run(),
                warn_of_few_voters(store, settings),
                manager=manager,
            )
            await election.resign()
    finally:
        await store.close()
    log.info("coordinator stopped")


def clocks_of(settings: CoordinatorSettings, me: Leader) -> tuple[Clocks, ClockWatch]:
    """Return what this node knows of clocks, and the task that looks after them."""
    kept = KeptTime(settings.state_dir, this_boot())
    clock = EffectiveClock(threshold=dt.timedelta(seconds=settings.clock_threshold))
    kept.wind(clock, CLOCK_EVERY)
    clocks = Clocks(clock, me.management_node_uuid, me.name, len(settings.members))
    members = MemberClocks(settings.etcd, ours=lambda at: at in settings.machine_addresses or is_ours(at))
    return clocks, ClockWatch(clocks, members, kept)


@asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, console: Path | None, certificate: Certificate | None
) -> AsyncIterator[None]:
    """Answer HTTP calls meanwhile, over TLS with a `certificate`, and on the `console`'s socket where there is one.

    Raises:
        CannotStart: the address is taken or not this machine's, or the socket cannot be made.
    """
    tls = certificate.context if certificate else None
    # bodies are taken as they come: what is compressed is unpacked within limits or not at all
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, auto_decompress=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            text = f"cannot listen on {host}:{port}: {error.strerror}: stop what uses it or change the setting listen"
            raise CannotStart(text) from error
        async with listening(runner, console):
            yield
    finally:
        await runner.cleanup()


def warn_of_plain_http(settings: CoordinatorSettings) -> None:
    """Say once where tokens would cross the network for everybody to read."""
    if settings.tls.pair is None and not settings.listens_here_only:
        log.warning(
            "API speaks plain HTTP",
            extra={
                "listens": settings.listen,
                "what_to_do": "set tls.cert and tls.key, or listen on the loopback with something in front that speaks "
                "TLS: tokens cross the network readable",
            },
        )


async def warn_of_few_voters(store: Store, settings: CoordinatorSettings) -> None:
    """Say once that a site of two nodes needs a witness; then wait like the other tasks."""
    try:
        voters = await store.voters()
    except StoreError:
        voters = SAFE_VOTERS
    if len(settings.members) > 1 and voters < SAFE_VOTERS:
        log.warning(
            "etcd has too few members",
            extra={
                "voters": voters,
                "what_to_do": "add a witness: with fewer than three, losing one stops every change",
            },
        )
    await asyncio.Event().wait()

"""Where the agent's parts meet: the only file that knows all of them, and the life of the process around them."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from agent.challenges import Challenges
from agent.clock_steps import follow_clock
from agent.fingerprint import read_fingerprint
from agent.ledger_seen import LedgerSeen
from agent.reporter import Author, Reporter
from agent.rereading import Rereading
from agent.service_status import tell_manager
from agent.settings import SIMULATED, AgentSettings
from agent.sight import Sight
from agent.track_file import TrackFile
from agent.vip import watch_address
from agent.vip_duty import VipDuty
from agent.vip_file import watch_file
from cluster.daemon import run_daemon
from cluster.etcd import open_etcd
from cluster.identity import BadIdentity, node_uuid
from cluster.keys import Keys
from cluster.lease import boottime
from cluster.lifetime import CannotStart, on_hangup, run_until_told, within
from cluster.mirror import Mirror
from cluster.pinned import load_keyring
from cluster.service_manager import ServiceManager
from cluster.store import PermissionRefused, Store
from cluster.timings import Timings, agent_timings
from licensing.genuine import judge_key
from licensing.keyring import Keyring
from usbwatch.bus import Bus, Challenger
from usbwatch.driver import drivers_with, parse_ids
from usbwatch.simulated import SimulatedBus

log = logging.getLogger(__name__)

TO_PUT_RIGHT = (CannotStart, BadIdentity, PermissionRefused)
CLOSING = 1.5
"""Seconds that letting go of the bus and the store may take."""


def main(config: Path | None) -> int:
    """Run the agent until it is told to stop; return its exit code: 0 done, 1 failed, 2 bad settings."""
    return run_daemon(config, AgentSettings, run, TO_PUT_RIGHT)


async def run(settings: AgentSettings, manager: ServiceManager) -> None:
    """Watch this node and report it until SIGTERM or SIGINT; SIGHUP reads all keys again.

    Raises:
        CannotStart, BadIdentity, PermissionRefused: an operator has to put something right.
    """
    author = author_of(settings)
    timings = agent_timings(settings.lease_ttl)
    sight = Sight()
    async with AsyncExitStack() as closing:
        keys = Keys(settings.site_id)
        store = open_etcd(settings.etcd, timings)
        closing.push_async_callback(within, CLOSING, store.close)
        published = Mirror(store, keys.status, timings)
        challenges = Challenges(published, keys.status, settings.site_id)
        bus = open_bus(settings, load_keyring(settings.keyring), challenges.new)
        closing.push_async_callback(within, CLOSING, bus.close)
        ledger = LedgerSeen(published, keys.status, settings.site_id, settings.state_dir, sight.report_again)
        reporter = Reporter(store, keys, author, sight, timings, utc_now, lambda: ledger.newest)
        requests = Mirror(store, keys.reread(author.node), timings)
        log.info("agent starts", extra={"node": author.node, "calls_itself": author.name, "bus": settings.bus})
        await run_until_told(
            reporter.run(),
            follow_keys(challenges, sight, bus),
            sight.follow_vip(lambda: watch_vip(settings)),
            on_hangup(bus.reread, manager),
            tell_manager(manager, sight),
            published.run(),
            ledger.run(),
            follow_clock(sight.report_again, utc_now, boottime),
            challenges.run(bus, sight),
            requests.run(),
            do_vip_duty(settings, store, keys, author.node, sight, timings),
            Rereading(requests, keys.reread(author.node), bus, sight).run(),
            manager=manager,
        )
    log.info("agent stopped")


def author_of(settings: AgentSettings) -> Author:
    """Return who this node is."""
    node = node_uuid(settings.node, settings.state_dir)
    fingerprint = read_fingerprint(node)
    return Author(node, settings.name or socket.gethostname(), fingerprint, settings.watches_vip)


async def follow_keys(challenges: Challenges, sight: Sight, bus: Bus) -> None:
    """Follow the keys as soon as it is known what they have to sign."""
    await challenges.first_look()
    await sight.follow_keys(bus)


def open_bus(settings: AgentSettings, keyring: Keyring, new_challenge: Challenger) -> Bus:
    """Return the bus that the settings name."""
    judge = functools.partial(judge_key, keyring)
    if settings.bus.startswith(SIMULATED):
        return SimulatedBus(Path(settings.bus.removeprefix(SIMULATED)), judge, new_challenge)
    from usbwatch.real import UsbBus  # noqa: PLC0415 - a simulated bus needs no libusb on the machine

    drivers = drivers_with(map(parse_ids, settings.stick_ids))
    return UsbBus(judge, new_challenge, drivers=drivers, read_deadline=settings.read_deadline)


def watch_vip(settings: AgentSettings) -> AsyncIterator[bool]:
    """Tell who holds the virtual IP by the means that the settings name."""
    if settings.virtual_ip_file:
        return watch_file(settings.virtual_ip_file)
    if settings.virtual_ip:
        return watch_address(settings.virtual_ip)
    return _never()


async def do_vip_duty(
    settings: AgentSettings, store: Store, keys: Keys, node: str, sight: Sight, timings: Timings
) -> None:
    """Follow for ever whether this node may hold the virtual IP, if the site has one."""
    if not settings.watches_vip:
        await asyncio.Event().wait()
    if settings.track_file is None:
        await VipDuty(store, keys, node, sight, timings).run()
        return
    from agent.own_coordinator import OwnCoordinator  # noqa: PLC0415 - a client of HTTP, of no use without the file
    from cluster.https import BadAuthority  # noqa: PLC0415 - idem

    try:
        coordinator = OwnCoordinator(settings.coordinator, ca=settings.coordinator_ca)
    except BadAuthority as error:
        raise CannotStart(f"coordinator_ca: {error}") from error
    file = TrackFile(settings.track_file)
    await VipDuty(store, keys, node, sight, timings, track_file=file, coordinator=coordinator).run()


def utc_now() -> dt.datetime:
    """Return what this node's wall clock shows."""
    return dt.datetime.now(dt.UTC)


async def _never() -> AsyncIterator[bool]:
    """Tell that this node does not hold a virtual IP, which its site does not have."""
    yield False
    await asyncio.Event().wait()

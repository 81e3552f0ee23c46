"""Run the demo: the one place where its parts are wired, from the claimed folder to the last line on the terminal."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import socket
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.etcd import open_etcd
from cluster.keys import Keys
from cluster.local_etcd import LocalEtcd, NoEtcd
from cluster.settings import EtcdSettings
from console.demo_actions import Actions
from console.demo_control import control_socket
from console.demo_folder import CannotClaim, claimed
from console.demo_keys import VendorDesk
from console.demo_nodes import Nodes, NotReady, answering
from console.demo_places import LOOPBACK
from console.demo_reports import Reports
from console.demo_site import SITE_ID, Site, lay_out
from console.demo_supervisor import ChildDied, Death, Program, Supervisor
from console.demo_view import View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping

    from cluster.store import Store
    from console.demo_orders import Done, Order
    from console.demo_screen import Screen

ETCD = "etcd"
UP_WITHIN = 30.0
PORT_PATIENCE = 1.0  # the programs of a demo that was killed this instant may hold their ports a moment longer
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotStart(Exception):  # noqa: N818 - it says what happened
    """The demo did not start; the text says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """What to run: the demo's folder, and the HTTP port of every node by its label."""

    folder: Path
    ports: Mapping[str, int]


async def run(plan: Plan, screen: Screen) -> None:
    """Run a demo until a signal or the end of its terminal stops it; nothing is left behind.

    Raises:
        CannotStart: with the reason and what to do.
    """
    try:
        await _until_signal(_run(plan, screen))
    except (CannotClaim, NoEtcd, ChildDied, NotReady) as error:
        raise CannotStart(str(error)) from error


async def _until_signal(work: Coroutine[None, None, None]) -> None:
    """Await the work; the first SIGINT, SIGTERM or SIGHUP cancels it, which is then a good end.

    Python's own handlers are used and not the loop's, which would be undone with the loop: an impatient signal that
    comes while the process ends would then turn the good end into a death.
    """
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in STOP_SIGNALS if not (nohup and number is signal.SIGHUP)]
    for number in heard:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(_cancel_once, task))
    await asyncio.wait({task})
    for number in heard:
        signal.signal(number, signal.SIG_IGN)
    if not task.cancelled():
        task.result()


def _cancel_once(task: asyncio.Task[None]) -> None:
    """Tidying up must not be cancelled by an impatient second Ctrl-C; it is quick."""
    if not task.cancelling():
        task.cancel()


async def _run(plan: Plan, screen: Screen) -> None:
    with claimed(plan.folder):
        for port in plan.ports.values():
            await _check_free(port)
        supervisor = Supervisor(lambda death: screen.note(_advice(death)))
        try:
            async with _store(plan.folder, supervisor) as (store, endpoint):
                site = lay_out(plan.folder, plan.ports, endpoint, _now())
                await _serve(site, store, supervisor, screen)
        finally:
            await supervisor.stop_all(last=[ETCD])


async def _serve(site: Site, store: Store, supervisor: Supervisor, screen: Screen) -> None:
    reports = Reports(store, Keys(SITE_ID))
    nodes = Nodes(site, supervisor, reports)
    await nodes.start(list(site.nodes.values()), UP_WITHIN)
    actions = Actions(site, VendorDesk(site.vendor, _now), nodes, reports)

    async def carry_out(order: Order) -> Done:
        done = await actions.carry_out(order)
        screen.note(done.text)
        return done

    async with control_socket(site.folder, carry_out):
        screen.ready(site)
        await View(screen).follow(site.urls, site.token)


@asynccontextmanager
async def _store(folder: Path, supervisor: Supervisor) -> AsyncIterator[tuple[Store, str]]:
    """Start etcd and connect to it; it is left to the supervisor to end it."""
    client_port, peer_port = _free_ports(2)
    etcd = LocalEtcd(Path("etcd"), client_port, peer_port)
    await supervisor.start(Program(ETCD, tuple(etcd.command()), folder, folder / "etcd.log"))
    await supervisor.unless_dead([ETCD], _etcd_up(client_port))
    endpoint = f"{LOOPBACK}:{client_port}"
    store = open_etcd(EtcdSettings(endpoints=(endpoint,)))
    try:
        yield store, endpoint
    finally:
        await store.close()


async def _etcd_up(port: int) -> None:
    try:
        async with asyncio.timeout(UP_WITHIN):
            await answering(f"http://{LOOPBACK}:{port}/health")
    except TimeoutError:
        raise NotReady(f"etcd does not answer within {UP_WITHIN:g} s: the machine may be too busy.") from None


async def _check_free(port: int) -> None:
    patience = asyncio.get_running_loop().time() + PORT_PATIENCE
    while not _is_free(port):
        if asyncio.get_running_loop().time() > patience:
            raise CannotStart(
                f"port {port} on {LOOPBACK} is taken by another program: stop it (is a demo running in another "
                "folder?), or choose other ports with --port-a and --port-b."
            )
        await asyncio.sleep(PORT_PATIENCE / 10)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_ports(count: int) -> tuple[int, ...]:
    """Return ports that nobody uses just now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return tuple(probe.getsockname()[1] for probe in probes)


def _advice(death: Death) -> str:
    if death.name == ETCD:
        return f"{death}\nThe nodes go on with the last status they saw. Ctrl-C, then start the demo again."
    return f"{death}\n`demo start-node {death.name[-1]}` starts it again."


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

"""Who holds the virtual IP: real netlink, in a network namespace of the test's own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.waiting import eventually

WATCHER = """
import asyncio, sys
from agent.vip import watch_address
async def main():
    async for held in watch_address(sys.argv[1]):
        print(held, flush=True)
asyncio.run(main())
"""


class Network:
    """A network namespace that lives as long as its holder process."""

    def __init__(self, holder: Process) -> None:
        self._enter = ("nsenter", "--preserve-credentials", "-U", "-n", "-t", str(holder.pid))
        self._processes: list[Process] = []

    async def ip(self, *commands: str) -> None:
        """Change the network with commands as ip takes them, all of which must succeed."""
        process = await asyncio.create_subprocess_exec(*self._enter, "ip", "-batch", "-", stdin=PIPE)
        await process.communicate("\n".join(commands).encode() + b"\n")
        assert process.returncode == 0

    async def addresses(self, interface: str) -> str:
        """Return what ip says of the addresses of an interface."""
        process = await asyncio.create_subprocess_exec(*self._enter, "ip", "addr", "show", interface, stdout=PIPE)
        return (await process.communicate())[0].decode()

    async def neighbour(self, interface: str) -> Network:
        """Give an interface away to a new machine on the other end of the wire."""
        holder = await asyncio.create_subprocess_exec(*self._enter, "unshare", "-n", "sleep", "infinity")
        self._processes.append(holder)
        await eventually(lambda: settled(holder))
        await self.ip(f"link set {interface} netns {holder.pid}")
        machine = Network(holder)
        await machine.ip(f"link set {interface} up")
        return machine

    async def watch(self, address: str) -> Process:
        """Start a process that prints who holds `address`, as the agent sees it, after each change."""
        watcher = await asyncio.create_subprocess_exec(
            *self._enter, sys.executable, "-c", WATCHER, address, stdout=PIPE, stderr=PIPE
        )
        self._processes.append(watcher)
        return watcher

    async def close(self) -> None:
        """End what was started here."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """Give a namespace with a loopback and one pair of interfaces, all up."""
    holder = await asyncio.create_subprocess_exec("unshare", "-Urn", "sleep", "infinity", stderr=PIPE)
    try:
        await eventually(lambda: settled(holder))
        network = Network(holder)
        await network.ip(
            "link set lo up", "link add vip0 type veth peer name vip1", "link set vip0 up", "link set vip1 up"
        )
        yield network
        await network.close()
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.communicate()


def settled(holder: Process) -> bool:
    """Whether a holder has finished making its namespaces: only then does it become `sleep`."""
    assert holder.returncode is None, "unshare is refused here: allow user namespaces"
    return Path(f"/proc/{holder.pid}/comm").read_text(encoding="ascii").strip() == "sleep"


async def told(watcher: Process) -> str:
    """Return the watcher's next answer."""
    assert watcher.stdout
    line = await asyncio.wait_for(watcher.stdout.readline(), 5)
    return line.decode().strip()


@pytest.mark.parametrize(("address", "prefix"), [("192.0.2.10", 32), ("2001:db8::10", 128)])
async def test_the_address_comes_and_goes(network: Network, address: str, prefix: int) -> None:
    """Each arrival and departure of the address is told once, and other addresses do not matter."""
    watcher = await network.watch(address)
    assert await told(watcher) == "False"
    await network.ip("addr add 192.0.2.1/24 dev vip0", f"addr add {address}/{prefix} dev vip0 nodad")
    assert await told(watcher) == "True"
    await network.ip("addr del 192.0.2.1/24 dev vip0", f"addr del {address}/{prefix} dev vip0")
    assert await told(watcher) == "False"


async def test_an_address_that_is_there_already_is_told_at_once(network: Network) -> None:
    """An agent that starts on the holder says so with its first answer, in any spelling of the address."""
    await network.ip("addr add 2001:db8::10/128 dev vip0 nodad")
    assert await told(await network.watch("2001:0db8:0:0::0010")) == "True"


async def test_the_address_goes_with_its_interface(network: Network) -> None:
    """An interface that is deleted takes the virtual IP along."""
    await network.ip("addr add 192.0.2.10/24 dev vip0")
    watcher = await network.watch("192.0.2.10")
    assert await told(watcher) == "True"
    await network.ip("link del vip0")
    assert await told(watcher) == "False"


async def test_an_address_on_two_interfaces_is_held_until_both_are_gone(network: Network) -> None:
    """While keepalived moves the address from one interface to another, the node goes on holding it."""
    await network.ip("addr add 192.0.2.10/32 dev vip0", "addr add 192.0.2.10/32 dev lo")
    watcher = await network.watch("192.0.2.10")
    assert await told(watcher) == "True"
    await network.ip("addr del 192.0.2.10/32 dev vip0", "addr del 192.0.2.10/32 dev lo")
    assert await told(watcher) == "False"


async def test_an_address_that_fails_duplicate_detection_is_not_held(network: Network) -> None:
    """An IPv6 address that a neighbour has is refused by the kernel: it is there, cannot be used, and is not held."""
    neighbour = await network.neighbour("vip1")
    await neighbour.ip("addr add 2001:db8::10/64 dev vip1 nodad")
    watcher = await network.watch("2001:db8::10")
    assert await told(watcher) == "False"
    await network.ip("addr add 2001:db8::10/64 dev vip0")

    async def refused() -> bool:
        return "dadfailed" in await network.addresses("vip0")

    await eventually(refused)
    assert await told(await network.watch("2001:db8::10")) == "False", "it is there, and of no use"
    await network.ip("addr del 2001:db8::10/64 dev vip0")
    await neighbour.ip("addr del 2001:db8::10/64 dev vip1")
    await network.ip("addr add 2001:db8::10/64 dev vip0")
    assert await told(watcher) == "True"


async def test_lost_messages_are_made_up_for(network: Network) -> None:
    """When the kernel drops messages because the agent was too slow, a new look finds what they would have said."""
    watcher = await network.watch("192.0.2.10")
    assert await told(watcher) == "False"
    os.kill(watcher.pid, signal.SIGSTOP)
    crowd = [f"addr add 10.1.{number >> 8}.{number & 255}/32 dev vip0" for number in range(2000)]
    await network.ip(*crowd, "addr add 192.0.2.10/32 dev vip0")
    os.kill(watcher.pid, signal.SIGCONT)
    assert await told(watcher) == "True"
    await network.ip("addr del 192.0.2.10/32 dev vip0")
    assert await told(watcher) == "False"

"""Who holds the virtual IP: whether this machine has the address on one of its interfaces.

The kernel tells it over netlink, without privileges and without polling. Its messages are wake-ups only: the truth is
a fresh dump after each, so that a lost message (ENOBUFS) is no different from one that came. This file does not know
what the virtual IP is used for, nor who moves it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator, Iterator

RTM_NEWADDR = 20
RTM_GETADDR = 22
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x1 | 0x300
NLM_F_DUMP_INTR = 0x10
GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_FLAGS = 8
NOT_USABLE = 0x40 | 0x08  # tentative, or refused by duplicate address detection
HEADER = struct.Struct("=IHHII")
ADDRESS = struct.Struct("=BBBBI")
ATTRIBUTE = struct.Struct("=HH")
BUFFER = 1 << 16
DUMP_DEADLINE = 1.0


async def watch_address(address: str) -> AsyncIterator[bool]:
    """Yield whether this machine has `address`: first at once, then after each change.

    Raises:
        OSError: netlink cannot be used here.
        ValueError: `address` is not an IP address.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.settimeout(0)
        events.bind((0, GROUPS))  # subscribed before the first dump: no change falls between the two
        held = None
        while True:
            if (now := has_address(address)) is not held:
                held = now
                yield now
            await _wake_up(loop, events)


def has_address(address: str) -> bool:
    """Ask the kernel whether this machine has a usable `address`; takes well under a millisecond."""
    wanted = ipaddress.ip_address(address).packed
    while True:
        addresses, interrupted = _dump()
        if not interrupted:
            return wanted in addresses


async def _wake_up(loop: asyncio.AbstractEventLoop, events: socket.socket) -> None:
    """Return after at least one message, having drained all that are there."""
    try:
        await loop.sock_recv(events, BUFFER)
        while True:
            events.recv(BUFFER)
    except BlockingIOError:
        return
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # messages were lost: as good a reason to look as a message
            raise


def _dump() -> tuple[set[bytes], bool]:
    """Return the usable addresses of all interfaces, and whether they changed while being listed."""
    found: set[bytes] = set()
    interrupted = False
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(DUMP_DEADLINE)
        asking.bind((0, 0))
        size = HEADER.size + ADDRESS.size
        asking.send(
            HEADER.pack(size, RTM_GETADDR, NLM_F_REQUEST_DUMP, 1, 0) + ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        )
        while True:
            for kind, flags, body in _messages(asking.recv(BUFFER)):
                interrupted |= bool(flags & NLM_F_DUMP_INTR)
                if kind == NLMSG_DONE:
                    return found, interrupted
                if kind == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    raise OSError(code, "the kernel refused to list the addresses")
                if kind == RTM_NEWADDR and (address := _usable(body)):
                    found.add(address)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Take a datagram apart into (type, flags, body)."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, flags, data[offset + HEADER.size : offset + length]
        offset += _aligned(length)


def _usable(body: bytes) -> bytes | None:
    """Return the local address (4 or 16 bytes) that a message tells of, or None while it cannot be used."""
    flags = ADDRESS.unpack_from(body)[2]
    attributes = dict(_attributes(body[ADDRESS.size :]))
    if wide := attributes.get(IFA_FLAGS):
        (flags,) = struct.unpack("=I", wide)
    if flags & NOT_USABLE:
        return None
    return attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)  # on a point-to-point link they differ


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size:
            return
        yield kind, data[offset + ATTRIBUTE.size : offset + length]
        offset += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3

"""Which network interface has an address; asks the kernel only, and sends nothing."""

from __future__ import annotations

import fcntl
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

_IPV4 = 4
_SIOCGIFADDR = 0x8915
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")


def interface_with(address: str) -> str | None:
    """Return the name of this machine's interface with the IP address, None where none has it."""
    wanted = ip_address(address)
    if wanted.version == _IPV4:
        names = (name for _, name in socket.if_nameindex())
        return next((name for name in names if _ipv4_of(name) == wanted.packed), None)
    return next((line[-1] for line in _ipv6_lines() if line[0] == wanted.packed.hex()), None)


def _ipv4_of(name: str) -> bytes | None:
    """Return the first IPv4 address of an interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:  # it has none
            return None
    return answer[20:24]


def _ipv6_lines() -> list[list[str]]:
    try:
        return [line.split() for line in _IPV6_ADDRESSES.read_text(encoding="ascii").splitlines()]
    except OSError:
        return []

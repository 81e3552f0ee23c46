"""The cables of a site: a switch, a port for each host, and what can go wrong between them.

Knows frames and addresses, and nothing of what runs on the hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from tests.netsite.namespaces import Host

PREFIX_LENGTH = 24
CUTS = "table bridge cuts"


class Network:
    """A switch to which every host is connected with its `eth0`; `addresses` says who has which address."""

    def __init__(self, hosts: Mapping[str, Host], addresses: Mapping[str, str]) -> None:
        self._names = tuple(hosts)
        self._switch = Host("switch")  # on a host of its own, where no firewall of this machine sees its frames
        self._cut: set[frozenset[str]] = set()
        self._switch.run("ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        self._switch.run("ip", "link", "set", "br0", "up")
        for name, host in hosts.items():
            port = f"p_{name}"
            peer = ("peer", "name", "eth0", "netns", host.network)
            self._switch.run("ip", "link", "add", port, "type", "veth", *peer)
            self._switch.run("ip", "link", "set", port, "master", "br0", "up")
            lines = ("link set lo up", f"addr add {addresses[name]}/{PREFIX_LENGTH} dev eth0", "link set eth0 up")
            host.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def cut(self, one: str, other: str) -> None:
        """Lose every frame between two hosts, both ways; neither sees anything of it on its own port."""
        self._cut.add(frozenset((one, other)))
        self._apply()

    def isolate(self, one: str, but: Iterable[str] = ()) -> None:
        """Lose every frame between a host and all others, except those named."""
        self._cut |= {frozenset((one, other)) for other in self._names if other != one and other not in but}
        self._apply()

    def split(self, *groups: str) -> None:
        """Let hosts talk only within their group; each group is its hosts' names, separated by blanks."""
        place = {name: number for number, group in enumerate(groups) for name in group.split()}
        pairs = combinations(place, 2)
        self._cut |= {frozenset(pair) for pair in pairs if place[pair[0]] != place[pair[1]]}
        self._apply()

    def heal(self) -> None:
        """Lose nothing any more, and put all ports up."""
        self._cut.clear()
        self._apply()
        for name in self._names:
            self.port_up(name)

    def port_down(self, name: str) -> None:
        """Pull a host's cable: it keeps its address and sees that the link is gone."""
        self._switch.run("ip", "link", "set", f"p_{name}", "down")

    def port_up(self, name: str) -> None:
        """Put the cable back."""
        self._switch.run("ip", "link", "set", f"p_{name}", "up")

    def close(self) -> None:
        """Let go of the switch."""
        self._switch.close()

    def _apply(self) -> None:
        lines = [f"add {CUTS}", f"delete {CUTS}"]
        if self._cut:
            lines += [f"add {CUTS}", "add chain bridge cuts between { type filter hook forward priority 0; }"]
        for one, other in map(sorted, self._cut):
            for source, target in ((one, other), (other, one)):
                lines.append(f'add rule bridge cuts between iifname "p_{source}" oifname "p_{target}" drop')
        self._switch.run("nft", "-f", "-", text="\n".join(lines) + "\n")

"""The coordinator's settings: one TOML file and the environment, see `cluster.settings`."""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from cluster.identity import parse_uuid
from cluster.keys import Keys
from cluster.settings import EtcdSettings, Settings
from cluster.timings import Timings
from coordinator.clock import THRESHOLD
from coordinator.guarding import Rules
from licensing.policy import Policy

LARGEST_PORT = 65_535
DEFAULT_SOCKET = "/run/twinkey/coordinator.sock"


class TlsSettings(Settings, frozen=True):
    """The `[tls]` table: with what the API's HTTPS shows who it is; without it the API speaks plain HTTP."""

    cert: Annotated[
        Path | None,
        Meta(
            description="Certificate of the HTTP API (PEM, with those of the authorities in between after it); HTTPS "
            "is spoken when it is set. SIGHUP reads it again."
        ),
    ] = None
    key: Annotated[Path | None, Meta(description="Private key of the certificate (PEM, without a password).")] = None

    def __post_init__(self) -> None:
        """Refuse half of the pair."""
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: set both or neither")

    @property
    def pair(self) -> tuple[Path, Path] | None:
        """Certificate and key; None for plain HTTP."""
        return (self.cert, self.key) if self.cert and self.key else None


class CoordinatorSettings(Settings, frozen=True):
    """Everything that can be set about a coordinator."""

    site_id: Annotated[str, Meta(description="The site's id, the same on every node.", min_length=1)]
    members: Annotated[
        tuple[str, ...],
        Meta(
            description="The `managementNodeUuid` of each management node; used once, when the site is founded. "
            "`twinkey site add-node` adds one later.",
            min_length=1,
            max_length=2,
        ),
    ]
    state_dir: Annotated[
        Path, Meta(description="Directory of what this node keeps: its id, the trial's start, a snapshot of the site.")
    ]
    keyring: Annotated[
        Path, Meta(description="The pinned public keys of the vendor, written by `twinkey issuer keygen`.")
    ]
    tokens: Annotated[
        Path,
        Meta(
            description="JSON file with the bearer tokens that may call the API, as hashes; the same on every node. "
            "SIGHUP reads it again. Only the daemon may read it: the hashes sign the sessions of the web page."
        ),
    ]
    node: Annotated[
        str | None,
        Meta(description="This node's `managementNodeUuid`; derived from the machine and kept when left out."),
    ] = None
    name: Annotated[str, Meta(description="The node's name for people; the host name when left out.")] = ""
    listen: Annotated[
        str,
        Meta(
            description="Address and port of the HTTP API.",
            pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$",
            examples=["127.0.0.1:8441"],
        ),
    ] = "127.0.0.1:8441"
    socket: Annotated[
        str,
        Meta(
            description="Path of the unix socket for this node's console, which only root and the daemon's user can "
            "open and which needs no token; empty for none."
        ),
    ] = DEFAULT_SOCKET
    host_names: Annotated[
        tuple[str, ...],
        Meta(description="Names, beside the machine's own, under which browsers reach the API, as of the virtual IP."),
    ] = ()
    machine_addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses of this machine that a daemon in a network of its own does not see: the clock of an "
            "etcd member there is this machine's own, and no second opinion.",
            examples=["192.0.2.1"],
        ),
    ] = ()
    changes_per_minute: Annotated[
        int, Meta(description="How many changes one token may ask for in a minute.", ge=1, le=100_000)
    ] = 120
    wrong_tokens_per_minute: Annotated[
        int,
        Meta(
            description="How many tokens that are not known one address may show in a minute before it has to wait. "
            "Those that are known are let in all the same.",
            ge=1,
            le=100_000,
        ),
    ] = 10
    session_lifetime: Annotated[
        float,
        Meta(
            description="Seconds for which somebody who signs in on the page with a token stays signed in.",
            ge=60,
            le=2_592_000,
        ),
    ] = 28800.0
    node_hold: Annotated[
        float,
        Meta(
            description="Seconds for which the keys of a node that stopped reporting still count.", ge=0, le=31_536_000
        ),
    ] = 86400.0
    removal_settle: Annotated[
        float, Meta(description="Seconds a key must be out of service before a buffer starts.", ge=0, le=86_400)
    ] = 60.0
    auto_synchronize: Annotated[
        bool, Meta(description="Install the licence of a newly inserted genuine key by itself.")
    ] = True
    sales: Annotated[str, Meta(description="Whom banners name for purchases.")] = "your sales contact"
    support: Annotated[str, Meta(description="Whom banners name for help.")] = "your support contact"
    clock_threshold: Annotated[
        float,
        Meta(
            description="Seconds by which this node's clock may be ahead of the time that passed before it is only "
            "believed when another machine's clock agrees.",
            ge=10,
            le=3_153_600_000,
        ),
    ] = THRESHOLD.total_seconds()
    lease_ttl: Annotated[int, Meta(description="Seconds after which a silent leader is replaced.", ge=3, le=60)] = 3
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least that is worth a line in the log.")
    ] = "info"
    etcd: EtcdSettings = EtcdSettings()
    tls: TlsSettings = TlsSettings()

    def __post_init__(self) -> None:
        """Refuse ids that cannot be a path or could never match a report, timings that cannot work, and bad ports."""
        Keys(self.site_id)
        if self.node:
            parse_uuid(self.node, "node")
        for member in self.members:
            if (normal := parse_uuid(member, "members")) != member:
                raise ValueError(f"members: write {member} as {normal}, as its node calls itself")
        if len(set(self.members)) < len(self.members):
            raise ValueError("members: each node is named once")
        Timings(lease_ttl=self.lease_ttl)
        if self.address[1] > LARGEST_PORT:
            raise ValueError(f"listen: {self.address[1]} is not a port; the largest is {LARGEST_PORT}")

    @property
    def policy(self) -> Policy:
        """The law's settings of this site."""
        return Policy(
            node_hold=dt.timedelta(seconds=self.node_hold),
            removal_settle=dt.timedelta(seconds=self.removal_settle),
            auto_synchronize=self.auto_synchronize,
            sales=self.sales,
            support=self.support,
        )

    @property
    def rules(self) -> Rules:
        """What the guard of the API goes by."""
        lifetime = dt.timedelta(seconds=self.session_lifetime)
        return Rules(self.host_names, self.changes_per_minute, lifetime, self.wrong_tokens_per_minute)

    @property
    def socket_path(self) -> Path | None:
        """Where the console's socket is; None for none."""
        return Path(self.socket) if self.socket else None

    @property
    def listens_here_only(self) -> bool:
        """Whether nobody but this machine can call."""
        host = self.address[0]
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

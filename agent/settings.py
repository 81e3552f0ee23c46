"""The settings of the agent: what an operator may set and what it means."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from cluster.identity import parse_uuid
from cluster.keys import Keys
from cluster.settings import EtcdSettings, Settings
from cluster.timings import agent_timings
from licensing.value import Name
from usbwatch.driver import drivers_with, parse_ids

SIMULATED = "simulated:"


class AgentSettings(Settings, frozen=True):
    """Everything `twinkey agent` can be told; times are in seconds."""

    site_id: Annotated[Name, Meta(description="The site's name, the same on all of its nodes.")]
    node: Annotated[
        str | None,
        Meta(description="This node's managementNodeUuid; derived from the machine and kept when not set."),
    ] = None
    name: Annotated[Name | None, Meta(description="What people call this node; its host name when not set.")] = None
    state_dir: Annotated[Path, Meta(description="Folder in which the daemon keeps its own files.")] = Path(
        "/var/lib/twinkey"
    )
    keyring: Annotated[Path, Meta(description="The vendor's public keys, pinned on this node.")] = Path(
        "/etc/twinkey/keyring.json"
    )
    bus: Annotated[
        str,
        Meta(
            description="Where USB keys are looked for: `usb`, or `simulated:` and a folder.",
            pattern=r"^(usb|simulated:.+)$",
            examples=["usb or simulated:/run/keys"],
        ),
    ] = "usb"
    stick_ids: Annotated[
        tuple[str, ...],
        Meta(
            description="USB sticks that are licence keys, as `vendor:product` in hexadecimal; no other is opened.",
            examples=["0781:5567"],
        ),
    ] = ()
    read_deadline: Annotated[
        float, Meta(description="After how long a key that cannot be read is faulty.", gt=0, le=60)
    ] = 5.0
    virtual_ip: Annotated[
        str, Meta(description="The site's virtual IP (IPv4 or IPv6); a site without one leaves it empty.")
    ] = ""
    virtual_ip_file: Annotated[
        Path | None,
        Meta(description="Demo and tests: this node holds the virtual IP while this file exists."),
    ] = None
    track_file: Annotated[
        Path | None,
        Meta(
            description="The file by which keepalived is told whether this node may hold the virtual IP (`0`) or has "
            "to give it up (`1`).",
            examples=["/var/lib/twinkey/keepalived/track"],
        ),
    ] = None
    coordinator: Annotated[
        str,
        Meta(
            description="Where the coordinator of this node answers; with `track_file` it is asked once a second.",
            pattern=r"^https?://[^/]+/?$",
            examples=["http://127.0.0.1:8441"],
        ),
    ] = "http://127.0.0.1:8441"
    coordinator_ca: Annotated[
        Path | None,
        Meta(
            description="Certificate authority of the coordinator's HTTPS (PEM); the system's own when not set.",
            examples=["/etc/twinkey/ca.pem"],
        ),
    ] = None
    lease_ttl: Annotated[
        int, Meta(description="After how long without a sign of life this node's report is stale.", ge=3, le=60)
    ] = 5
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least that is worth a line in the log.")
    ] = "info"
    etcd: EtcdSettings = EtcdSettings()

    def __post_init__(self) -> None:
        """Refuse a site id that cannot be a path, timings that cannot work, and what does not go together."""
        Keys(self.site_id)
        if self.node:
            parse_uuid(self.node, "node")
        agent_timings(self.lease_ttl)
        drivers_with(map(parse_ids, self.stick_ids))
        if self.track_file and not self.watches_vip:
            raise ValueError("track_file tells who may hold the virtual IP: set virtual_ip to its address")
        if self.coordinator_ca and not self.coordinator.startswith("https:"):
            raise ValueError(f"coordinator_ca needs HTTPS: write https:// in coordinator instead of {self.coordinator}")
        if self.virtual_ip and self.virtual_ip_file:
            raise ValueError("virtual_ip and virtual_ip_file exclude each other: set one of them")
        if self.virtual_ip:
            try:
                ipaddress.ip_address(self.virtual_ip)
            except ValueError as error:
                raise ValueError(f"virtual_ip: {error}; give one address without a prefix length") from error

    @property
    def watches_vip(self) -> bool:
        """Whether this node looks for a virtual IP."""
        return bool(self.virtual_ip or self.virtual_ip_file)

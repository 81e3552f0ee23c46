"""The settings that a founded site gives to the programs of a machine: the two daemons, etcd and keepalived.

All paths in them are those of an installed machine. Knows no secret, and writes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path

from console.site_plan import Machine, Plan, at

ETC = "/etc/twinkey"
LIB = "/var/lib/twinkey"
MEMBER = "etcd-member"
"""A name that is in the certificate of every etcd member and in no other: by it members know each other."""
UNIT_FILE = "etc/systemd/system/etcd.service.d/twinkey.conf"
UNIT = f"""\
# etcd on a machine of a Twinkey site; written by `twinkey site`.

[Unit]
StartLimitIntervalSec=0

[Service]
# It counts as started when it runs. Debian's unit waits until it has a quorum, and with it all that starts after it.
Type=exec
EnvironmentFile={ETC}/etcd/etcd.env
Restart=always
RestartSec=2
"""
IPV4, LOOPBACK = 4, {4: "127.0.0.1", 6: "::1"}
EVERYWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - the virtual IP comes and goes
_GOLDEN = Path(__file__).parents[1] / "docs/keepalived/keepalived.conf"


def agent_toml(plan: Plan, node: Machine) -> str:
    """Return the settings of a node's agent."""
    settings: dict[str, object] = {
        "site_id": plan.site_id,
        "node": node.uuid,
        "name": node.name,
        "state_dir": f"{LIB}/agent",
        "keyring": f"{ETC}/keyring.json",
        "bus": plan.bus,
    }
    if plan.stick_ids:
        settings["stick_ids"] = plan.stick_ids
    if plan.virtual_ip:
        settings |= {"virtual_ip": plan.virtual_ip, "track_file": f"{LIB}/keepalived/track"}
    here = at(LOOPBACK[ip_address(node.address).version], plan.ports.http)
    settings |= {"coordinator": f"https://{here}", "coordinator_ca": f"{ETC}/ca.pem"}
    return _toml("agent", settings, {"etcd": _etcd(plan, node, "agent")})


def coordinator_toml(plan: Plan, node: Machine) -> str:
    """Return the settings of a node's coordinator."""
    settings: dict[str, object] = {
        "site_id": plan.site_id,
        "members": plan.uuids,
        "node": node.uuid,
        "name": node.name,
        "state_dir": f"{LIB}/coordinator",
        "keyring": f"{ETC}/keyring.json",
        "tokens": f"{ETC}/tokens.json",
        "listen": at(EVERYWHERE[ip_address(node.address).version], plan.ports.http),
        "host_names": [node.name],
    }
    tls = {"cert": f"{ETC}/coordinator/http.pem", "key": f"{ETC}/coordinator/http.key"}
    return _toml("coordinator", settings, {"tls": tls, "etcd": _etcd(plan, node, "coordinator")})


def etcd_env(plan: Plan, machine: Machine, state: str) -> str:
    """Return the environment of a machine's etcd member, as 3.4 and 3.5 know it.

    `state`: "new" in a site that is being founded, "existing" where a machine is replaced.
    """
    client, peer = (f"https://{at(machine.address, port)}" for port in (plan.ports.client, plan.ports.peer))
    cluster = ",".join(f"{each.name}=https://{at(each.address, plan.ports.peer)}" for each in plan.machines)
    own, authority = f"{ETC}/etcd/member", f"{ETC}/ca.pem"
    return f"""\
# etcd on {machine.name}, a member of the Twinkey site {plan.site_id}; written by `twinkey site`.
ETCD_NAME={machine.name}
ETCD_DATA_DIR=/var/lib/etcd/twinkey
ETCD_LISTEN_CLIENT_URLS={client}
ETCD_ADVERTISE_CLIENT_URLS={client}
ETCD_LISTEN_PEER_URLS={peer}
ETCD_INITIAL_ADVERTISE_PEER_URLS={peer}

# Read once, when the member has no data yet.
ETCD_INITIAL_CLUSTER={cluster}
ETCD_INITIAL_CLUSTER_STATE={state}
ETCD_INITIAL_CLUSTER_TOKEN={plan.token}

# Nobody is let in without a certificate of the site's authority; of peers it has to be a member's.
ETCD_CERT_FILE={own}.pem
ETCD_KEY_FILE={own}.key
ETCD_TRUSTED_CA_FILE={authority}
ETCD_CLIENT_CERT_AUTH=true
ETCD_AUTO_TLS=false
ETCD_PEER_CERT_FILE={own}.pem
ETCD_PEER_KEY_FILE={own}.key
ETCD_PEER_TRUSTED_CA_FILE={authority}
ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_PEER_CERT_ALLOWED_HOSTNAME={MEMBER}
ETCD_PEER_AUTO_TLS=false
# The gateway from JSON would ask with the member's certificate, and not with that of who asks it.
ETCD_ENABLE_GRPC_GATEWAY=false

# A leader that is gone is replaced within a second, and a member that comes back deposes nobody who leads.
ETCD_HEARTBEAT_INTERVAL=50
ETCD_ELECTION_TIMEOUT=500
ETCD_PRE_VOTE=true

# A site writes little but for ever. Without compaction the 2 GB that etcd allows itself would be full one day.
ETCD_AUTO_COMPACTION_MODE=periodic
ETCD_AUTO_COMPACTION_RETENTION=1h
ETCD_LOGGER=zap
"""


def keepalived_conf(plan: Plan, node: Machine, interface: str) -> str:
    """Return the settings of a node's keepalived: the documented ones with this site's addresses."""
    peer = plan.peer_of(node)
    assert peer
    width = 32 if ip_address(plan.virtual_ip).version == IPV4 else 128
    ours = {
        "192.0.2.10/32": f"{plan.virtual_ip}/{width}",
        "192.0.2.10": plan.virtual_ip,
        "192.0.2.1": node.address,
        "192.0.2.2": peer.address,
        "eth0": interface,
    }
    pattern = "|".join(re.escape(text) for text in sorted(ours, key=len, reverse=True))
    return re.sub(rf"({pattern})\b", lambda found: ours[found[0]], _template())


def _template() -> str:
    """Return the documented settings: those in the wheel, or in a checkout those of the documentation."""
    packaged = files("console") / "keepalived.conf"
    return (packaged if packaged.is_file() else _GOLDEN).read_text(encoding="utf-8")


def _etcd(plan: Plan, node: Machine, daemon: str) -> Mapping[str, object]:
    return {
        "endpoints": plan.endpoints(node),
        "ca": f"{ETC}/ca.pem",
        "cert": f"{ETC}/{daemon}/etcd.pem",
        "key": f"{ETC}/{daemon}/etcd.key",
    }


def _toml(daemon: str, settings: Mapping[str, object], tables: Mapping[str, Mapping[str, object]]) -> str:
    """Strings and lists of strings look the same in JSON and TOML."""
    lines = [f"# Settings of the {daemon}; written by `twinkey site`. All that can be set: docs/settings.md.", ""]
    lines += [_line(name, value) for name, value in settings.items()]
    for table, members in tables.items():
        lines += ["", f"[{table}]", *(_line(name, value) for name, value in members.items())]
    return "\n".join([*lines, ""])


def _line(name: str, value: object) -> str:
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"  # TOML has no pairs of surrogates

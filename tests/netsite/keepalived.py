"""The configuration with which keepalived moves the virtual IP between two nodes: unicast, fast, without preemption.

The holder tells every second where the address is: two holders may have told so in any order, and the one that keeps it
need not have been the last.
"""

from __future__ import annotations


def configuration(node: str, own: str, peer: str, virtual_ip: str) -> str:
    """Return the text of `keepalived.conf`."""
    return f"""
global_defs {{
  router_id {node}
  vrrp_version 3
  vrrp_garp_master_delay 1
  vrrp_garp_master_repeat 3
  vrrp_garp_master_refresh 1
}}
vrrp_instance site {{
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  unicast_src_ip {own}
  unicast_peer {{
    {peer}
  }}
  virtual_ipaddress {{
    {virtual_ip}/32 dev eth0
  }}
}}
"""

"""A coordinator in a network of its own is told its machine's addresses, whose clock is no second opinion."""

from __future__ import annotations

import uuid
from pathlib import Path

from cluster.settings import read_settings
from coordinator.main import clocks_of
from coordinator.published import Leader
from coordinator.settings import CoordinatorSettings

NODE, OTHER = (str(uuid.UUID(int=n)) for n in (1, 2))
HERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"


async def is_witness(folder: Path, member: str, **more: str) -> bool:
    """Tell whether a coordinator counts an etcd member at this address as a clock of another machine."""
    told = {
        "SITE_ID": "site-1",
        "MEMBERS": f"{NODE},{OTHER}",
        "STATE_DIR": str(folder),
        "KEYRING": str(folder / "keyring.json"),
        "TOKENS": str(folder / "tokens.json"),
        "ETCD_ENDPOINTS": f"{member}:2379",
    }
    settings = read_settings(None, CoordinatorSettings, {f"TWINKEY_{name}": it for name, it in (told | more).items()})
    _, watch = clocks_of(settings, Leader(NODE, "a"))
    return await watch._witnesses.elsewhere()


async def test_a_member_on_the_own_machine_is_no_witness(tmp_path: Path) -> None:
    """Only the addresses that are named lose their vote; with none named, nothing says that they are here."""
    named = {"MACHINE_ADDRESSES": f"{HERE},2001:db8::1"}
    assert not await is_witness(tmp_path, HERE, **named)
    assert not await is_witness(tmp_path, "[2001:db8::1]", **named)
    assert await is_witness(tmp_path, ELSEWHERE, **named)
    assert await is_witness(tmp_path, HERE)

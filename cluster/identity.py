"""Who this node is: its `managementNodeUuid`.

The platform's configuration gives it, or it is derived from the machine once and kept, so that both daemons of a
node and every later start agree. It must stay the same for the life of the node: a damaged file is an error for a
person to look at, never a reason to become somebody else.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

FILE = "node-uuid"
# What every user may read comes first: the node's daemons may run as different users and must agree.
SOURCES = (
    Path("/etc/machine-id"),
    Path("/var/lib/dbus/machine-id"),
    Path("/sys/class/dmi/id/product_uuid"),
)
_NAMESPACE = uuid.UUID("6f0d3c5e-52b7-5c0e-9d0a-4b8b6a5c2f11")


class BadIdentity(ValueError):  # noqa: N818 - it says what the identity is
    """The node's identity is malformed, damaged or cannot be derived; the text says what to do."""


def parse_uuid(text: str, place: str) -> str:
    """Return the UUID in `text` in lower case with dashes; `place` is where it comes from.

    Raises:
        BadIdentity: it is not one.
    """
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError as error:
        raise BadIdentity(f"{place} does not hold a UUID: put this node's own there") from error


def node_uuid(configured: str | None, state_dir: Path, sources: tuple[Path, ...] = SOURCES) -> str:
    """Return the node's UUID in lower case with dashes.

    A configured one is returned and not kept. Else it is the one kept in `state_dir` (file `node-uuid`, 0600),
    which is derived from the first of `sources` that can be read when there is none yet.

    Raises:
        BadIdentity: malformed configuration, damaged file, nothing to derive from, or no writable folder.
    """
    if configured:
        return parse_uuid(configured, "the setting node")
    kept = state_dir / FILE
    try:
        if not kept.exists():
            _keep(kept, _derive(sources))
        return parse_uuid(kept.read_text(encoding="ascii", errors="replace"), str(kept))
    except OSError as error:
        raise BadIdentity(f"{kept}: {error.strerror}: make {state_dir} writable, or set node") from error


def _derive(sources: tuple[Path, ...]) -> str:
    for source in sources:
        try:
            machine = source.read_text(encoding="ascii", errors="replace").strip().lower()
        except OSError:
            continue
        if machine and machine != "uninitialized":
            return str(uuid.uuid5(_NAMESPACE, machine))
    raise BadIdentity(f"no machine identity in {', '.join(map(str, sources))}: set node to a UUID of your own")


def _keep(kept: Path, identity: str) -> None:
    """Write the file whole or not at all; of two daemons that start together the first one wins."""
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = kept.with_name(f".{kept.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(identity + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, kept)
    except FileExistsError:
        pass  # the node's other daemon was faster and wrote the same
    finally:
        draft.unlink()

"""Loading a licence onto a real USB key, for the vendor's desk. Everything happens in workers, as in the agent.

The agent must not run this: it reads keys and never writes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from usbwatch.device import Device
from usbwatch.messages import Described, DescribeKey, Failed, Outcome, WriteKey, Written
from usbwatch.real import scan_machine
from usbwatch.workers import Workers, worker_seconds

_DESCRIBE_SECONDS = 5.0
_WRITE_SECONDS = 60.0


class DeskError(Exception):
    """The key cannot be found or written; the text says why and what to do."""


def find_key(key_id: str, scan: Callable[[], frozenset[Device]] = scan_machine) -> tuple[Device, Described]:
    """Return the one plugged key of this id and what it says of itself.

    Raises:
        DeskError: there is no such key, or more than one.
    """
    described = asyncio.run(_describe_all(scan()))
    matching = [(device, answer) for device, answer in described if _is_key(answer, key_id)]
    match matching:
        case [(device, Described() as answer)]:
            return device, answer
        case []:
            raise DeskError(f"The USB key {key_id} is not plugged in. Found: {_listed(described)}.")
        case _:
            raise DeskError(f"{len(matching)} USB keys claim to be {key_id}: unplug all but the one to write.")


def write_key(device: Device, key_id: str, licence_file: bytes) -> None:
    """Write the licence file to that key and check that it is on it.

    Raises:
        DeskError: it is not known to be on it.
    """
    request = WriteKey(device, key_id, licence_file, worker_seconds(_WRITE_SECONDS))
    outcome = asyncio.run(Workers().ask(request, _WRITE_SECONDS))
    match outcome:
        case Written():
            return
        case Failed(reason):
            raise DeskError(reason)
        case _:
            raise DeskError("The USB key was unplugged while it was written: insert it and write it again.")


async def _describe_all(devices: frozenset[Device]) -> list[tuple[Device, Outcome]]:
    workers = Workers()
    ordered = sorted(devices, key=lambda device: device.sysname)
    requests = [DescribeKey(device, worker_seconds(_DESCRIBE_SECONDS)) for device in ordered]
    answers = await asyncio.gather(*(workers.ask(request, _DESCRIBE_SECONDS) for request in requests))
    return list(zip(ordered, answers, strict=True))


def _is_key(answer: Outcome, key_id: str) -> bool:
    return isinstance(answer, Described) and answer.key_id == key_id


def _listed(described: list[tuple[Device, Outcome]]) -> str:
    texts = [_text(device, answer) for device, answer in described]
    return "; ".join(texts) or "no USB key at all"


def _text(device: Device, answer: Outcome) -> str:
    match answer:
        case Described():
            return answer.key_id
        case Failed():
            return f"{device.place} ({answer.reason.rstrip('.')})"
        case _:
            return f"{device.place} (just unplugged)"

"""What the vendor's desk does with real USB keys: list them, and load a licence onto one.

Everything happens in workers, as in the agent. The agent must not run this: it reads keys and never writes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from usbwatch.device import Device
from usbwatch.driver import DRIVERS, Driver, claims_of, driver_for
from usbwatch.messages import Described, DescribeKey, Failed, Outcome, WriteKey, Written
from usbwatch.sysfs import scan
from usbwatch.workers import Workers, worker_seconds

_DESCRIBE_SECONDS = 5.0
_WRITE_SECONDS = 60.0

Scan = Callable[[], frozenset[Device]]


class DeskError(Exception):
    """The key cannot be found or written; the text says why and what to do."""


@dataclass(frozen=True)
class PluggedKey:
    """A key that is plugged in here.

    `kind` is its driver's name; `key_id` is None for a key that did not tell it. `described` is None for a key that
    cannot say more of itself, and `trouble` then says why.
    """

    device: Device
    kind: str
    key_id: str | None
    described: Described | None
    trouble: str = ""


def plugged_keys(drivers: tuple[Driver, ...] = DRIVERS, scan_bus: Scan | None = None) -> tuple[PluggedKey, ...]:
    """Return the keys of these drivers that are plugged in here, in order of their ports.

    Raises:
        OSError: this machine's table of USB devices cannot be read.
    """
    devices = scan(claims_of(drivers)) if scan_bus is None else scan_bus()
    return asyncio.run(_describe_all(devices, drivers))


def find_key(
    key_id: str, drivers: tuple[Driver, ...] = DRIVERS, scan_bus: Scan | None = None
) -> tuple[Device, Described]:
    """Return the one plugged key of this id and what it says of itself.

    Raises:
        DeskError: there is no such key, or more than one, or it is of a kind that cannot be written.
    """
    keys = plugged_keys(drivers, scan_bus)
    match [key for key in keys if key.key_id == key_id]:
        case [PluggedKey(device=device, described=Described() as described)]:
            return device, described
        case [key]:
            raise DeskError(f"The USB key {key_id} cannot be used: {key.trouble}")
        case []:
            raise DeskError(f"The USB key {key_id} is not plugged in. Found: {_listed(keys)}.")
        case matching:
            raise DeskError(f"{len(matching)} USB keys claim to be {key_id}: unplug all but the one to write.")


def write_key(device: Device, key_id: str, licence_file: bytes, drivers: tuple[Driver, ...] = DRIVERS) -> None:
    """Write the licence file to that key and check that it is on it.

    Raises:
        DeskError: it is not known to be on it.
    """
    request = WriteKey(_kind(device, drivers), device, key_id, licence_file, worker_seconds(_WRITE_SECONDS))
    match asyncio.run(_write(request)):
        case Written():
            return
        case Failed(reason):
            raise DeskError(reason)
        case _:
            raise DeskError("The USB key was unplugged while it was written: insert it and write it again.")


async def _write(request: WriteKey) -> Outcome:
    workers = Workers()
    try:
        return await workers.ask(request, _WRITE_SECONDS)
    finally:
        await workers.close()


async def _describe_all(devices: frozenset[Device], drivers: tuple[Driver, ...]) -> tuple[PluggedKey, ...]:
    workers = Workers()
    ordered = sorted(devices, key=lambda device: device.sysname)
    try:
        return tuple(await asyncio.gather(*(_describe(workers, device, _kind(device, drivers)) for device in ordered)))
    finally:
        await workers.close()


async def _describe(workers: Workers, device: Device, kind: str) -> PluggedKey:
    told: list[str] = []
    request = DescribeKey(kind, device, worker_seconds(_DESCRIBE_SECONDS))
    outcome = await workers.ask(request, _DESCRIBE_SECONDS, told.append)
    key_id = told[-1] if told else None
    if isinstance(outcome, Described):
        return PluggedKey(device, kind, key_id, outcome)
    return PluggedKey(device, kind, key_id, None, _trouble(outcome))


def _kind(device: Device, drivers: tuple[Driver, ...]) -> str:
    driver = driver_for(device, drivers)
    if driver is None:
        raise DeskError(f"The USB device at {device.place} is not a licence key.")
    return driver.name


def _trouble(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, Failed) else "It was just unplugged."


def _listed(keys: tuple[PluggedKey, ...]) -> str:
    return "; ".join(map(_text, keys)) or "no USB key at all"


def _text(key: PluggedKey) -> str:
    return f"{key.device.place} ({key.trouble.rstrip('.')})" if key.described is None else key.described.key_id

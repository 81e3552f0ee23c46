"""The worker: a process that does one thing with one key and ends. `python -m usbwatch.worker`.

Reading a USB device can block in the kernel for minutes, so the agent never does it itself; it starts this
process and kills it when the time is up. Starting must be quick: no asyncio here, and no driver but the one
that is needed.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import cast

from usbwatch.device import Device
from usbwatch.driver import Deadline, KeyFault, KeyGone, OpenFunction, OpenKey, WritableKey, driver_for, sane_id
from usbwatch.messages import (
    LICENCE_LIMIT,
    Answer,
    Contents,
    Described,
    DescribeKey,
    Failed,
    Gone,
    Identified,
    ReadKey,
    Request,
    WriteKey,
    Written,
    decode_request,
    encode,
)

_GRACE = 1.0  # seconds after which the worker ends itself, should nobody be left to kill it


def open_with_driver(device: Device, deadline: Deadline) -> AbstractContextManager[OpenKey]:
    """Open the key with the driver that claims its device; KeyFault when none does."""
    driver = driver_for(device)
    if driver is None:
        raise KeyFault(f"No driver claims {device.vendor:04x}:{device.product:04x}.")
    open_key = cast("OpenFunction", importlib.import_module(driver.module).open_key)
    return open_key(device, deadline)


def answers(request: Request, open_key: OpenFunction = open_with_driver) -> Iterator[Answer]:
    """Carry out the request; the last answer is always an outcome."""
    deadline = Deadline.after(request.seconds)
    try:
        with open_key(request.device, deadline) as key:
            yield from _carry_out(request, key, deadline)
    except KeyGone:
        yield Gone()
    except KeyFault as fault:
        yield Failed(str(fault))
    except Exception as error:  # noqa: BLE001 - a driver's mistake must reach the operator
        yield Failed(f"The driver of this USB key failed ({error!r}): report this to the vendor.")


def _carry_out(request: Request, key: OpenKey, deadline: Deadline) -> Iterator[Answer]:
    key_id = sane_id(key.key_id(deadline))
    yield Identified(key_id)
    match request:
        case ReadKey():
            yield _read(request, key, key_id, deadline)
        case DescribeKey():
            yield _describe(key, key_id, deadline)
        case WriteKey():
            yield _write(request, key, key_id, deadline)


def _read(request: ReadKey, key: OpenKey, key_id: str, deadline: Deadline) -> Contents:
    blob = key.read(LICENCE_LIMIT, deadline)
    proof = key.prove(request.nonce, deadline)
    if key.key_id(deadline) != key_id:
        raise KeyFault("The USB key changed its identity while it was read: remove it.")
    return Contents(key_id, blob, proof)


def _describe(key: OpenKey, key_id: str, deadline: Deadline) -> Described:
    description = _writable(key).describe(deadline)
    return Described(key_id, description.size, description.capacity, description.device_public_key)


def _write(request: WriteKey, key: OpenKey, key_id: str, deadline: Deadline) -> Written:
    if key_id != request.key_id:
        raise KeyFault(f"This is the USB key {key_id} and not {request.key_id}: nothing was written.")
    _writable(key).write(request.licence_file, deadline)
    if key.read(LICENCE_LIMIT, deadline) != request.licence_file:
        raise KeyFault("The USB key holds something else than was written to it: replace the key.")
    return Written()


def _writable(key: OpenKey) -> WritableKey:
    if not isinstance(key, WritableKey):
        raise KeyFault("A USB key of this kind cannot be written.")
    return key


def main() -> None:
    """Read one request from stdin, write the answers to stdout."""
    request = decode_request(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, request.seconds + _GRACE)  # the default action of SIGALRM ends us
    for answer in answers(request):
        sys.stdout.buffer.write(encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

"""The worker: a process that does one thing with one key and ends. `python -m usbwatch.worker`.

Reading a USB device can block in the kernel for minutes, so the agent never does it itself; it lets this
process do it and kills it when the time is up. Starting must be quick: no asyncio here. A worker that has its
request at once loads the one driver that it needs; one that is started in advance loads all drivers, so that
they are there when the request comes. Knows nothing of how a driver reaches its keys.
"""

from __future__ import annotations

import importlib
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from typing import cast

from usbwatch.device import Device
from usbwatch.driver import (
    DRIVERS,
    Deadline,
    Driver,
    KeyFault,
    KeyGone,
    OpenFunction,
    OpenKey,
    WritableKey,
    driver_named,
    sane_id,
)
from usbwatch.messages import (
    LICENCE_LIMIT,
    Answer,
    Contents,
    Described,
    DescribeKey,
    Failed,
    Gone,
    Identified,
    Outcome,
    ReadKey,
    Request,
    WriteKey,
    Written,
    decode_request,
    encode,
)

_GRACE = 1.0  # seconds after which the worker ends itself, should nobody be left to kill it


def open_function(driver: Driver) -> OpenFunction:
    """Load the driver's module and return what opens a key."""
    return cast("OpenFunction", importlib.import_module(driver.module).open_key)


def open_with(name: str, drivers: tuple[Driver, ...] = DRIVERS) -> OpenFunction:
    """Return what opens a key with the driver of this name; KeyFault, when it is called, if there is none."""

    def open_key(device: Device, deadline: Deadline) -> AbstractContextManager[OpenKey]:
        return open_function(driver_named(name, drivers))(device, deadline)

    return open_key


def answers(request: Request, open_key: OpenFunction) -> Iterator[Answer]:
    """Carry out the request; the last answer is always an outcome.

    The outcome comes when the key has been let go: whoever hears it may read the key again.
    """
    deadline = Deadline.after(request.seconds)
    try:
        with open_key(request.device, deadline) as key:
            key_id = sane_id(key.key_id(deadline))
            yield Identified(key_id)
            outcome = _carry_out(request, key, key_id, deadline)
        yield outcome
    except KeyGone:
        yield Gone()
    except KeyFault as fault:
        yield Failed(str(fault))
    except Exception as error:  # noqa: BLE001 - a driver's mistake must reach the operator
        yield Failed(f"The driver of this USB key failed ({error!r}): report this to the vendor.")


def _carry_out(request: Request, key: OpenKey, key_id: str, deadline: Deadline) -> Outcome:
    match request:
        case ReadKey():
            return _read(request, key, key_id, deadline)
        case DescribeKey():
            return _describe(key, key_id, deadline)
        case WriteKey():
            return _write(request, key, key_id, deadline)


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


def main(drivers: tuple[Driver, ...] = DRIVERS) -> None:
    """Read one request from stdin, write the answers to stdout; without a request, end."""
    if not _request_waits():
        _load(drivers)
    line = sys.stdin.buffer.read()
    if not line:
        return
    request = decode_request(line)
    signal.setitimer(signal.ITIMER_REAL, request.seconds + _GRACE)  # the default action of SIGALRM ends us
    for answer in answers(request, open_with(request.driver, drivers)):
        sys.stdout.buffer.write(encode(answer) + b"\n")
        sys.stdout.buffer.flush()


def _request_waits() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(readable)


def _load(drivers: tuple[Driver, ...]) -> None:
    for driver in drivers:
        with suppress(Exception):  # is told when a key needs it
            open_function(driver)


if __name__ == "__main__":
    main()

"""What the agent and a worker process say to each other: one JSON value a line, over pipes. Shapes only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from usbwatch.device import Device

LICENCE_LIMIT = 64 * 1024
ANSWER_LIMIT = 128 * 1024  # of one line: a licence of the largest size in base64, and room


class Message(Struct, frozen=True, forbid_unknown_fields=True, tag_field="message"):
    """Base of all messages."""


# --- to the worker; `driver` names the one to use, `seconds` is the time it may take from now ------------------------


class ReadKey(Message, frozen=True, tag="read"):
    """Read the key and let it prove itself."""

    driver: str
    device: Device
    nonce: bytes
    seconds: float


class DescribeKey(Message, frozen=True, tag="describe"):
    """Ask the key what it is and how full."""

    driver: str
    device: Device
    seconds: float


class WriteKey(Message, frozen=True, tag="write"):
    """Load the licence file onto the key, if it is still the one that is meant, and read it back."""

    driver: str
    device: Device
    key_id: str
    licence_file: bytes
    seconds: float


Request = ReadKey | DescribeKey | WriteKey


# --- from the worker: perhaps Identified, then one of the others -----------------------------------------------------


class Identified(Message, frozen=True, tag="identified"):
    """The key has told its identity; the rest is still to come."""

    key_id: str


class Contents(Message, frozen=True, tag="contents"):
    """All that was read of the key."""

    key_id: str
    blob: bytes
    proof: bytes | None


class Described(Message, frozen=True, tag="described"):
    """What a writable key is."""

    key_id: str
    size: int
    capacity: int
    device_public_key: bytes | None


class Written(Message, frozen=True, tag="written"):
    """The licence file is on the key: it was read back and is the same."""


class Failed(Message, frozen=True, tag="failed"):
    """The key is there and cannot be used, for this reason; `stuck`: not even killing the worker ended it."""

    reason: str
    stuck: bool = False


class Gone(Message, frozen=True, tag="gone"):
    """The key was pulled out meanwhile."""


Outcome = Contents | Described | Written | Failed | Gone
Answer = Identified | Outcome

encode: Callable[[Message], bytes] = msgspec.json.Encoder().encode
decode_request: Callable[[bytes], Request] = msgspec.json.Decoder(Request).decode
decode_answer: Callable[[bytes], Answer] = msgspec.json.Decoder(Answer).decode

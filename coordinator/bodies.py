"""Bodies of requests that carry files: read within limits, and decoded strictly.

Knows nothing of what a body means.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from coordinator.answers import bad_body
from coordinator.errors import ApiError

T = TypeVar("T")

SLOWEST = 30.0
"""Seconds in which a body must have arrived."""


async def read_within(request: web.Request, largest: int) -> bytes:
    """Return a body of at most `largest` bytes; reading ends where it becomes more.

    Raises:
        ApiError: 400, 408, 413 or 415.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        hint = "Send the body as it is; a compressed archive is uploaded without Content-Encoding."
        raise ApiError(415, "unsupported-media-type", "The body has a Content-Encoding.", hint=hint)
    if (request.content_length or 0) > largest:
        raise _too_large(largest)
    try:
        if request.content.is_eof():  # it came along with the head: there is nothing to wait for
            body = request.content.read_nowait()
        else:
            async with asyncio.timeout(SLOWEST):
                body = await _as_it_comes(request, largest)
    except TimeoutError:
        hint = "Send it again over a better connection."
        raise ApiError(408, "too-slow", "The body did not arrive in time.", hint=hint) from None
    except ConnectionError:  # nobody is there to read this, but it is no fault of ours and must not be logged as one
        raise ApiError(
            400, "cut-short", "The caller went away in the middle of the body.", hint="Send it again."
        ) from None
    if len(body) > largest:
        raise _too_large(largest)
    return body


async def _as_it_comes(request: web.Request, largest: int) -> bytes:
    """Return the body, or somewhat more than `largest` bytes of it."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > largest:
            break
    return bytes(body)


def decode_body(body: bytes, kind: type[T]) -> T:
    """Decode a JSON body; members that `kind` does not have are ignored, those that appear twice are not.

    Raises:
        ApiError: 400.
    """
    try:
        _DUPLICATES.decode(body.decode())
        return msgspec.json.decode(body, type=kind)
    except ValueError as error:  # not JSON, not UTF-8, or of another shape
        raise bad_body(str(error)) from error
    except RecursionError as error:
        raise bad_body("It is nested too deeply.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("A member appears twice.")
    return found


_DUPLICATES = json.JSONDecoder(object_pairs_hook=_without_duplicates)


def _too_large(largest: int) -> ApiError:
    text = f"The body is larger than {largest // 1024} KiB."
    return ApiError(413, "too-large", text, hint="Install fewer licences at a time: an upload has at most 512 KiB.")

"""Reads a request's body part by part: bounded in size, in time, and in memory."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gridkeeper.intake.inbox import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

LEAST_BYTES_PER_S = 1024
PATIENCE_S = 60.0
MOST_LET_GO_BYTES = 64 * 1024 * 1024


class BodyTooLarge(Exception):
    """The body is larger than a named limit. Caught where the request is answered."""


class SenderTooSlow(Exception):
    """The sender stopped, or sends too slowly. Caught where the request is answered."""


class SenderGone(Exception):
    """The sender broke off. Caught where the request is answered."""


async def parts(request: Request, most_bytes: int, idle_s: float) -> AsyncIterator[bytes]:
    """Give the body in parts of PART_BYTES; the last one may be smaller, and is always given, if only empty.

    Raises: BodyTooLarge, SenderTooSlow, SenderGone.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        if "expect" not in request.headers:  # else it waits for a word before it sends
            await _let_go(request, idle_s)
        raise BodyTooLarge
    began, size = time.monotonic(), 0
    held = bytearray()
    more = True
    while more:
        try:
            message = await asyncio.wait_for(request.receive(), idle_s)
        except TimeoutError:
            raise SenderTooSlow from None
        if message["type"] == "http.disconnect":
            raise SenderGone
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size > most_bytes:
            if more:
                await _let_go(request, idle_s)
            raise BodyTooLarge
        passed = time.monotonic() - began
        if more and passed > PATIENCE_S and size / passed < LEAST_BYTES_PER_S:
            raise SenderTooSlow
        held += chunk
        while len(held) > PART_BYTES:
            yield bytes(held[:PART_BYTES])
            del held[:PART_BYTES]
    yield bytes(held)


async def _let_go(request: Request, idle_s: float) -> None:
    """Read the rest of a body that is not wanted, within bounds: who is still sending hears no answer, but sees its connection break."""
    until, left = time.monotonic() + PATIENCE_S, MOST_LET_GO_BYTES
    more = True
    while more and left > 0 and (rest_s := until - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(request.receive(), min(idle_s, rest_s))
        except TimeoutError:
            return
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


async def whole(request: Request, most_bytes: int, idle_s: float) -> bytes:
    """Give a small body at once. Raises: BodyTooLarge, SenderTooSlow, SenderGone."""
    return b"".join([part async for part in parts(request, most_bytes, idle_s)])

"""Cuts a stream into blocks of whole lines, however long its lines are and whatever they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from gridkeeper.formats.contract import BLOCK_BYTES, RECORD_LIMIT_BYTES, Block
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator


def line_blocks(
    stream: BinaryIO, block_bytes: int = BLOCK_BYTES, *, end: bytes = b"\n", limit: int = RECORD_LIMIT_BYTES
) -> Iterator[Block]:
    """Yield blocks that end with `end` (the last one may not), of about `block_bytes`.

    A record is what stands between two `end`s; one longer than `limit` bytes is refused with
    `record_too_long` and passed over, so that memory stays below block_bytes + limit.
    """
    rest, line, last = b"", 1, b""
    while chunk := stream.read(block_bytes):
        data = rest + chunk
        line, last = line + last.count(b"\n"), b""  # only where another block follows: most sources are one
        cut = data.rfind(end)
        if cut < 0:
            if len(data) <= limit:
                rest = data
                continue
            refused, newlines, rest = _pass_over(stream, data, line, end, limit)
            yield Block(b"", line, refused=(refused,))
            line += newlines
            continue
        whole, rest = data[: cut + len(end)], data[cut + len(end) :]
        yield Block(whole, line)
        last = whole
    if rest:
        yield Block(rest, line + last.count(b"\n"))


def first_line(data: bytes) -> bytes:
    """The first line without its end; nothing else of what may be megabytes is copied."""
    end = data.find(b"\n")
    return data if end < 0 else data[:end]


def _pass_over(stream: BinaryIO, data: bytes, line: int, end: bytes, limit: int) -> tuple[Reject, int, bytes]:
    """Read on to the end of a record that is too long.

    Returns: its refusal, the number of newlines passed, and what was read beyond its end.
    """
    size, newlines, tail = len(data), data.count(b"\n"), data[len(data) - len(end) + 1 :]
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        joined = tail + chunk
        cut = joined.find(end)
        passed = joined[: cut + len(end)] if cut >= 0 else joined
        size += len(passed) - len(tail)
        newlines += passed.count(b"\n") - tail.count(b"\n")
        if cut >= 0:
            rest = joined[cut + len(end) :]
            break
        tail = joined[len(joined) - len(end) + 1 :]
    detail = f"a record of {size:,} bytes where {limit:,} are the limit"
    return Reject(Rule.RECORD_TOO_LONG, line, detail, data[:REJECT_TEXT_LIMIT_BYTES], size), newlines, rest

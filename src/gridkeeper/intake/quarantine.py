"""Keeps what was refused: one file of JSON lines per block of text that had any, named by the block."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from gridkeeper.records.rules import REMEDY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from gridkeeper.records.rules import Reject


def keep(
    folder: Path, block: str, format_name: str, received_at: datetime, refused: Sequence[tuple[str, Reject]]
) -> Path:
    """Write the refusals of one block, on disk when this returns; a block that was refused before changes nothing.

    block:   the block's name in the archive, which is the file's name here.
    refused: each refusal with the source it came from.
    """
    path = folder / f"{block}.jsonl"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(
        orjson.dumps(_line(reject, source, format_name, received_at)) + b"\n" for source, reject in refused
    )
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    with unfinished.open("wb") as stream:
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)
    return path


def _line(reject: Reject, source: str, format_name: str, received_at: datetime) -> dict[str, object]:
    return {
        "source": source,
        "line": reject.line,
        "rule": reject.rule.value,
        "detail": reject.detail,
        "remedy": REMEDY[reject.rule],
        "format": format_name,
        "received_at": received_at,
        "text": reject.text.decode("utf-8", "backslashreplace"),
        "text_bytes": reject.text_bytes,
    }

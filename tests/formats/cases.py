"""The sample cases of every format: a folder with `input.*` and what must come of it, as text an operator can read.

`python -m tests.formats.cases FORMAT CASE` prints what the format makes of a case now, to be read before it
becomes its `expected.jsonl`.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridkeeper.formats.contract import BLOCK_BYTES, Format
from gridkeeper.formats.registry import format_named
from gridkeeper.records.draft import Delivery, Parsed
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parents[1] / "data" / "formats"
RECEIVED = datetime(2026, 1, 1, tzinfo=UTC)


def cases() -> list[tuple[str, str]]:
    """All (format, case) there are."""
    return sorted((case.parent.name, case.name) for case in CASES.glob("*/*") if case.is_dir())


def input_of(format_name: str, case: str) -> bytes:
    """The bytes of a case."""
    (path,) = (CASES / format_name / case).glob("input.*")
    return path.read_bytes()


def delivery_of(format_name: str, case: str) -> Delivery:
    """What the case's delivery.json declares, if it has one."""
    path = CASES / format_name / case / "delivery.json"
    return Delivery(RECEIVED, **(json.loads(path.read_text()) if path.exists() else {}))


def parse(
    plugin: Format, data: bytes, delivery: Delivery | None = None, block_bytes: int = BLOCK_BYTES
) -> list[Parsed]:
    """Read bytes as one source, block by block."""
    delivery = delivery or Delivery(RECEIVED)
    return [plugin.parse(block, delivery) for block in plugin.blocks(BytesIO(data), block_bytes)]


def rendered(pieces: list[Parsed]) -> list[dict[str, Any]]:
    """Say what came of a source: a dict for each row (known content columns only), reject and kind of skipped."""
    lines: list[dict[str, Any]] = []
    for name, table in RECORD_TABLES.items():
        shown = (*table.content, "probe")
        lines += [
            {"table": name} | {key: _plain(value) for key, value in row.items() if value is not None}
            for piece in pieces
            for row in (piece.tables[name].select(shown).to_pylist() if name in piece.tables else ())
        ]
    lines += [
        {"reject": reject.rule.value, "line": reject.line} for piece in pieces for reject in piece.rejects
    ]
    skipped = sum((piece.skipped for piece in pieces), start=type(pieces[0].skipped)()) if pieces else {}
    lines += [{"skipped": reason, "count": count} for reason, count in sorted(skipped.items())]
    return lines


def expected(format_name: str, case: str) -> list[dict[str, Any]]:
    """What must come of a case."""
    text = (CASES / format_name / case / "expected.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _print(format_name: str, case: str) -> Iterator[str]:
    pieces = parse(format_named(format_name), input_of(format_name, case), delivery_of(format_name, case))
    for line in rendered(pieces):
        yield json.dumps(line, ensure_ascii=False)


if __name__ == "__main__":
    print(*_print(*sys.argv[1:3]), sep="\n")

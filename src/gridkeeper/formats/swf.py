"""`swf`: the Standard Workload Format of the Parallel Workloads Archive, 18 columns and a header of comments.

Times are seconds after the header's `UnixStartTime`; -1 stands for what is not known. The header also names
partitions (here: resources), queues and groups (here: VOs).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.lines import first_line, line_blocks
from gridkeeper.formats.text_columns import (
    FARTHEST_EPOCH_S,
    MOST_SECONDS,
    by_distinct,
    real_numbers,
    small,
    utc,
    whole_numbers,
)
from gridkeeper.records.draft import Draft, Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gridkeeper.records.draft import Delivery

COLUMNS = (
    "job", "submit", "wait", "run", "processors", "cpu", "memory", "processors_requested", "time_requested", "memory_requested", "status",
    "user", "group", "program", "queue", "partition", "preceding_job", "think_time",
)  # fmt: skip
_READ = (
    "job", "submit", "wait", "run", "processors", "cpu", "memory", "processors_requested", "status", "user", "group", "queue", "partition",
)  # fmt: skip
HEADER_LIMIT_BYTES = 1024 * 1024
FAILED, COMPLETED, CANCELLED = 0, 1, 5
PARTIAL_EXECUTIONS = pa.array([2, 3, 4])
BYTES_PER_KB = 1024
_OUTCOMES = {FAILED: "failed", COMPLETED: "success", CANCELLED: "cancelled"}
_FIELD = re.compile(r";[ \t]*(?P<name>[A-Za-z]+)[ \t]*:(?P<value>[^\n]*)")
_OPENING = re.compile(
    rb";[ \t]*(?:Version|Computer|Installation|Acknowledge|Conversion|MaxJobs|UnixStartTime)[ \t]*:"
)
_NUMBERED = re.compile(r"(?P<number>\d{1,9})(?:\s*[=:]\s*|\s+)(?P<name>\S.*)$")
_NUMBER = re.compile(rb"[-+]?[0-9]+(?:\.[0-9]*)?")
_NOTHING, _NOTHING_REAL = pa.scalar(None, pa.int64()), pa.scalar(None, pa.float64())


class Swf:
    """Reads workload traces."""

    name = "swf"
    describes = "Standard Workload Format, the 18 columns of the Parallel Workloads Archive"

    def recognise(self, head: bytes) -> bool:
        """A first comment with one of the header's names, or a first line of 18 numbers."""
        if head.lstrip().startswith(b";"):
            return _OPENING.search(head) is not None
        fields = first_line(head.lstrip()).split()
        return len(fields) == len(COLUMNS) and all(map(_NUMBER.fullmatch, fields))

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut at line ends; the comments before the first job are each block's context."""
        header, open_header = b"", True
        for block in line_blocks(stream, block_bytes):
            if open_header:
                comments = _leading_comments(block.data)
                open_header = len(comments) == len(block.data) and not block.refused
                header = (header + comments)[:HEADER_LIMIT_BYTES]
            yield Block(block.data, block.first_line, header, block.refused)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of lines."""
        parsed = Parsed(rejects=list(block.refused))
        header = _Header(block.context)
        lines = _Lines(block, parsed)
        if not lines.numbers.size:
            return parsed
        draft = _draft(lines, header, parsed)
        if len(draft):
            finish_usage(draft, "swf", self.name, delivery, parsed)
        return parsed


def _leading_comments(data: bytes) -> bytes:
    place = 0
    while place < len(data):
        end = data.find(b"\n", place) + 1 or len(data)
        line = data[place:end].lstrip()
        if line and not line.startswith(b";"):
            break
        place = end
    return data[:place]


class _Header:
    """What the comments at the beginning say."""

    def __init__(self, text: bytes) -> None:
        lines = _FIELD.finditer(text.decode("utf-8", "replace"))
        fields = [(found["name"], found["value"].strip()) for found in lines]
        single = dict(reversed(fields))
        self.computer: str | None = single.get("Computer") or None
        started = single.get("UnixStartTime", "")
        self.started_s = int(started) if re.fullmatch("[0-9]{1,11}", started) and int(started) else None
        self.partitions = _names(fields, "Partition")
        self.queues = _names(fields, "Queue")
        self.groups = _names(fields, "Group")

    def resource(self, number: int | None) -> str | None:
        """The resource that a partition is: its name, else its number at the computer, else the computer."""
        if number is None:
            return self.computer
        return self.partitions.get(number) or " ".join(filter(None, (self.computer, f"partition {number}")))


def _names(fields: list[tuple[str, str]], what: str) -> dict[int, str]:
    """Names by number: lines such as `Group: 3 astro`, or one line such as `Groups: 1=astro, 2=geo`."""
    names: dict[int, str] = {}
    for field, value in fields:
        listed = field == f"{what}s" and ("=" in value or ":" in value)
        for part in value.split(",") if listed else [value] if field == what else []:
            found = _NUMBERED.match(part.strip())
            if found:
                names[int(found["number"])] = found["name"].strip()
    return names


class _Lines:
    """The lines of a block that have 18 fields, their numbers, and a reject for each other line that is no comment."""

    def __init__(self, block: Block, parsed: Parsed) -> None:
        self.first_line = block.first_line
        self._pieces = block.data.split(b"\n")
        # One blank between fields and none around them, so that a reader of separated columns can take it.
        data = block.data.replace(b"\t", b" ").replace(b"\r\n", b"\n")
        while b"  " in data:
            data = data.replace(b"  ", b" ")
        tidy = data.replace(b"\n ", b"\n").replace(b" \n", b"\n").strip(b" ").split(b"\n")
        blanks = np.fromiter((line.count(b" ") for line in tidy), np.int64, len(tidy))
        good = blanks == len(COLUMNS) - 1
        for index in np.flatnonzero(~good):
            _refuse_line(self._pieces[index], block.first_line + int(index), parsed)
        strange = not data.isascii() or b"\0" in data or b"\r" in data
        for index in np.flatnonzero(good):
            if not strange and tidy[index][:1] != b";":
                continue
            if tidy[index][:1] == b";" or _is_strange(self._pieces[index], block.first_line + int(index), parsed):  # fmt: skip
                good[index] = False
        self.numbers = np.flatnonzero(good)
        self._data = b"\n".join([tidy[index] for index in self.numbers])

    def text(self, row: int) -> bytes:
        """The line of a row, as it stood there."""
        return self._pieces[int(self.numbers[row])]

    def columns(self) -> dict[str, pa.Array]:
        """The columns that a record needs, as text."""
        table = pyarrow.csv.read_csv(
            pa.BufferReader(self._data),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=COLUMNS, block_size=max(len(self._data) + 1, 1 << 16)
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=" ", quote_char=False, double_quote=False),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=_READ, column_types=dict.fromkeys(_READ, pa.string())
            ),
        )
        return {name: table[name].combine_chunks() for name in _READ}


def _is_strange(piece: bytes, line: int, parsed: Parsed) -> bool:
    if b"\0" in piece:
        parsed.rejects.append(Reject.of(Rule.BINARY_JUNK, line, "a NUL byte in a line of text", piece))
    elif not piece.isascii():
        parsed.rejects.append(Reject.of(Rule.BAD_NUMBER, line, "a field that is no number", piece))
    elif b"\r" in piece.rstrip():
        parsed.rejects.append(Reject.of(Rule.FIELD_COUNT, line, "a lone carriage return in a line", piece))
    else:
        return False
    return True


def _refuse_line(piece: bytes, line: int, parsed: Parsed) -> None:
    text = piece.strip()
    if not text or text.startswith(b";"):
        return
    if b"\0" in piece:
        parsed.rejects.append(Reject.of(Rule.BINARY_JUNK, line, "a NUL byte in a line of text", piece))
        return
    found = len(text.split())
    rule = Rule.TRUNCATED if found < len(COLUMNS) else Rule.FIELD_COUNT
    parsed.rejects.append(Reject.of(rule, line, f"{found} fields where there are {len(COLUMNS)}", piece))


class _Numbers:
    """The columns as whole numbers, null for -1, and which rows break which rule."""

    def __init__(self, lines: _Lines) -> None:
        self._text = lines.columns()
        self.length = len(lines.numbers)
        self.breaches: list[tuple[Rule, str, pa.Array]] = []

    def whole(self, name: str) -> pa.Array:
        """A column of whole numbers; the format allows fractions of seconds, which are rounded half up."""
        values, bad = whole_numbers(self._text[name])
        if pc.any(bad).as_py():
            reals, bad = real_numbers(self._text[name])
            rounded = pc.cast(pc.floor(pc.add(_within(reals), 0.5)), pa.int64())
            values = pc.coalesce(values, rounded)
        self.refuse(Rule.BAD_NUMBER, f"the {name.replace('_', ' ')} is no number", bad)
        return pc.if_else(pc.equal(values, -1), _NOTHING, _within(values))

    def real(self, name: str) -> pa.Array:
        """A column of numbers with fractions."""
        values, bad = real_numbers(self._text[name])
        self.refuse(Rule.BAD_NUMBER, f"the {name} is no number", bad)
        return pc.if_else(pc.equal(values, -1.0), _NOTHING_REAL, values)

    def text(self, name: str) -> pa.Array:
        """A column as it stands there."""
        return self._text[name]

    def refuse(self, rule: Rule, detail: str, mask: pa.Array) -> None:
        """Refuse the rows where the mask is true."""
        self.breaches.append((rule, detail, mask))


def _within(numbers: pa.Array) -> pa.Array:
    return pc.min_element_wise(
        pc.max_element_wise(numbers, -MOST_SECONDS, skip_nulls=False), MOST_SECONDS, skip_nulls=False
    )


def _draft(lines: _Lines, header: _Header, parsed: Parsed) -> Draft:
    """Read the jobs, leave out what is none, refuse what cannot be read."""
    numbers = _Numbers(lines)
    columns, skip = _usage_columns(numbers, header)
    fine = np.ones(numbers.length, dtype=bool)
    for rule, detail, mask in numbers.breaches:
        broken = pc.fill_null(mask, False).to_numpy(zero_copy_only=False) & fine
        for row in np.flatnonzero(broken):
            line = lines.first_line + int(lines.numbers[row])
            parsed.rejects.append(Reject.of(rule, line, detail, lines.text(int(row))))
        fine &= ~broken
    for reason, mask in skip.items():
        rows = pc.fill_null(mask, False).to_numpy(zero_copy_only=False) & fine
        if rows.any():
            parsed.skipped[reason] += int(rows.sum())
            fine &= ~rows
    kept = np.flatnonzero(fine)
    if len(kept) < numbers.length:
        columns = {name: column.take(pa.array(kept)) for name, column in columns.items()}
    return Draft(columns, lines.first_line + lines.numbers[kept], lambda row: lines.text(int(kept[row])))


def _usage_columns(numbers: _Numbers, header: _Header) -> tuple[dict[str, pa.Array], dict[str, pa.Array]]:
    """The columns of `usage_records`, and which rows are no record, by reason."""
    status, run, wait = numbers.whole("status"), numbers.whole("run"), numbers.whole("wait")
    submit = _submit_times(numbers, header)
    start = pc.add(submit, pc.fill_null(wait, 0))
    used = numbers.whole("processors")
    processors = pc.coalesce(used, numbers.whole("processors_requested"))
    memory, user = numbers.whole("memory"), numbers.whole("user")
    group, queue = numbers.whole("group"), numbers.whole("queue")
    numbers.refuse(Rule.NEGATIVE_DURATION, "the wait or run time is negative", pc.or_(pc.less(pc.fill_null(wait, 0), 0), pc.less(pc.fill_null(run, 0), 0)))  # fmt: skip
    resource = _named(numbers.whole("partition"), header.resource)
    columns = {
        "resource": resource,
        "machine": pa.repeat(pa.scalar(header.computer, pa.string()), numbers.length),
        "local_job_id": pc.cast(numbers.whole("job"), pa.string()),
        "queue": _named(queue, lambda number: _called("queue", number, header.queues)),
        "status_reported": numbers.text("status"),
        "outcome": by_distinct(status, lambda code: _OUTCOMES.get(code, "unknown"), pa.string()),
        "local_user": by_distinct(user, lambda number: _called("user", number, {}), pa.string()),
        "unix_group": _named(group, lambda number: _called("group", number, header.groups)),
        "vo_reported": _named(group, lambda number: _called("group", number, header.groups)),
        "submit_time": utc(_as_date(submit)),
        "start_time": utc(_as_date(start)),
        "end_time": utc(_as_date(pc.add(start, run))),
        "wall_duration_s": run,
        "cpu_user_us": _per_processor(numbers.real("cpu"), MICROSECONDS_PER_SECOND, processors),
        "processors": small(processors),
        "memory_bytes": _per_processor(memory, BYTES_PER_KB, processors),
    }
    never = pc.or_kleene(pc.is_null(run), pc.and_(pc.equal(status, CANCELLED), pc.equal(run, 0)))
    partial = pc.is_in(status, PARTIAL_EXECUTIONS)
    return columns, {"partial_execution": partial, "never_ran": never}


def _submit_times(numbers: _Numbers, header: _Header) -> pa.Array:
    submit = numbers.whole("submit")
    if header.started_s is None:
        everywhere = pa.array(np.ones(numbers.length, dtype=bool))
        numbers.refuse(
            Rule.MISSING_FIELD, "the header has no UnixStartTime to count the times from", everywhere
        )
        return submit
    return pc.add(submit, header.started_s)


def _as_date(seconds: pa.Array) -> pa.Array:
    """Seconds that can be a date; null for the others, which leaves the record without its times."""
    return pc.if_else(pc.less_equal(pc.abs(seconds), FARTHEST_EPOCH_S), seconds, _NOTHING)


def _per_processor(average: pa.Array, unit: int, processors: pa.Array) -> pa.Array:
    """The whole job's amount of what the format gives as the average over its processors (one where not known)."""
    amounts = pc.cast(average, pa.float64(), safe=False)
    whole = pc.multiply(pc.multiply(amounts, float(unit)), pc.cast(pc.fill_null(processors, 1), pa.float64()))
    most = float(MOST_SECONDS * MICROSECONDS_PER_SECOND)
    bounded = pc.min_element_wise(pc.max_element_wise(whole, -most, skip_nulls=False), most, skip_nulls=False)
    return pc.cast(pc.round(bounded), pa.int64(), safe=False)


def _named(numbers: pa.Array, name: Callable[[int | None], str | None]) -> pa.Array:
    """Names for numbers, -1 (null) included."""
    encoded = numbers.dictionary_encode(null_encoding="encode")
    return pa.array([name(number) for number in encoded.dictionary.to_pylist()], pa.string()).take(
        encoded.indices
    )


def _called(what: str, number: int | None, names: dict[int, str]) -> str | None:
    return None if number is None else names.get(number) or f"{what} {number}"


FORMAT = Swf()

"""`sacct`: pipe-separated text of Slurm's `sacct -P`, with a header, or XDMoD's 26 columns without one.

Records are read as UTC: export with `TZ=UTC sacct -P -D -X --format=...,JobName`, JobName last. `-D` brings
the earlier runs of requeued jobs; each is a record of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gridkeeper.formats import slurm_fields
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.lines import first_line, line_blocks
from gridkeeper.formats.sacct_columns import (
    FREE_TEXT,
    UNDERSTOOD,
    XDMOD_COLUMNS,
    fields_of,
    is_header,
    pipes,
    with_columns,
)
from gridkeeper.formats.text_columns import by_distinct, small, utc, whole_numbers
from gridkeeper.records.draft import Draft, Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gridkeeper.records.draft import Delivery

_CPU_FIELDS = ("UserCPU", "SystemCPU", "TotalCPU")


class Sacct:
    """Reads sacct text."""

    name = "sacct"
    describes = "Slurm's accounting text: `sacct -P` with a header, or XDMoD's 26 columns without one"

    def recognise(self, head: bytes) -> bool:
        """A first line with the header's names, or with 26 fields of which the eleventh is a time."""
        first = fields_of(first_line(head))
        return is_header(first) or (
            len(first) >= len(XDMOD_COLUMNS) and len(first[10]) == 19 and first[10][10:11] == "T"
        )

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut at line ends; the header is each block's context."""
        header = b""
        for block in with_columns(line_blocks(stream, block_bytes)):
            if block.first_line == 1 and block.data:
                first = first_line(block.data)
                header = first if is_header(fields_of(first)) else b""
            yield Block(block.data, block.first_line, header, block.refused)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of lines."""
        parsed = Parsed(rejects=list(block.refused))
        names = fields_of(block.context) if block.context else list(XDMOD_COLUMNS)
        lines = _Lines(block, len(names), _free_position(names), parsed)
        if not lines.numbers.size:
            return parsed
        table = lines.table([*names])
        draft = _draft(table, lines, parsed)
        if len(draft):
            finish_usage(draft, "slurm", self.name, delivery, parsed)
        return parsed


def _free_position(names: list[str]) -> int | None:
    places = [index for index, name in enumerate(names) if name in FREE_TEXT]
    return places[0] if len(places) == 1 else None


class _Lines:
    """The lines of a block that have the right number of fields, their numbers, and a reject for each other."""

    def __init__(self, block: Block, fields: int, free: int | None, parsed: Parsed) -> None:
        data = block.data
        self.first_line = block.first_line
        skip = 1 if block.context and block.first_line == 1 else 0
        good = pipes(data, data.count(b"\n") + (not data.endswith(b"\n") and bool(data))) == fields - 1
        good[:skip] = False
        lone_returns = data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0
        plain = b"\0" not in data and not lone_returns and _is_utf8(data)
        # Nearly every block is in order throughout, and is not taken apart for nothing.
        is_whole = plain and good[skip:].all()
        self._whole = memoryview(data)[data.find(b"\n") + 1 if skip else 0 :] if is_whole else None
        self._pieces: list[bytes] | None = None if self._whole is not None else data.split(b"\n")
        if self._pieces is not None:
            self._mend_all(self._pieces, good, plain, skip, fields, free, parsed)
        self._data = data
        self.numbers = np.flatnonzero(good)

    def _mend_all(
        self, pieces: list[bytes], good: np.ndarray, plain: bool, skip: int, fields: int, free: int | None, parsed: Parsed
    ) -> None:  # fmt: skip
        """Mend, skip or refuse each line that is not in order."""
        irregular = np.flatnonzero(~good)
        if not plain:
            irregular = np.unique(np.concatenate([irregular, _broken(pieces[: len(good)])]))
        for index in irregular[irregular >= skip]:
            mended = _mend(pieces[index], fields, free, self.first_line + int(index), parsed)
            good[index] = mended is not None
            if mended is not None:
                pieces[index] = mended

    def text(self, row: int) -> bytes:
        """The line of a row, as it stood there (a pipe or carriage return inside a name written as a blank)."""
        if self._pieces is None:
            self._pieces = self._data.split(b"\n")
        return self._pieces[int(self.numbers[row])]

    def table(self, names: list[str]) -> pa.Table:
        """All lines as text columns that a record needs."""
        data = (
            self._whole
            if self._whole is not None
            else b"\n".join((self._pieces or [])[index] for index in self.numbers)
        )
        unique = [
            name if names.index(name) == index else f"{name}.{index}" for index, name in enumerate(names)
        ]
        wanted = [name for name in UNDERSTOOD if name in unique]
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=unique, block_size=max(len(data) + 1, 1 << 16)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter="|", quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), check_utf8=False
            ),
        ).combine_chunks()


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _broken(pieces: list[bytes]) -> np.ndarray:
    strange = (b"\0" in piece or b"\r" in piece[:-1] or not _is_utf8(piece) for piece in pieces)
    return np.flatnonzero(np.fromiter(strange, bool, len(pieces)))


def _mend(piece: bytes, fields: int, free: int | None, line: int, parsed: Parsed) -> bytes | None:
    """Give a line the right number of fields where that is certain; refuse or skip it where not."""
    if not piece.strip():
        return None
    if b"\0" in piece:
        parsed.rejects.append(Reject.of(Rule.BINARY_JUNK, line, "a NUL byte in a line of text", piece))
        return None
    if not _is_utf8(piece):
        parsed.rejects.append(Reject.of(Rule.NOT_UTF8, line, "bytes that are no UTF-8", piece))
        return None
    # To the reader of columns a carriage return ends a line wherever it stands; inside a name it is a blank.
    parts = piece.rstrip(b"\r").replace(b"\r", b" ").split(b"|")
    surplus = len(parts) - fields
    if surplus > 0 and free is not None:
        name = b" ".join(parts[free : free + surplus + 1])
        return b"|".join([*parts[:free], name, *parts[free + surplus + 1 :]])
    if surplus != 0:
        detail = f"{len(parts)} fields where the header has {fields}"
        rule = Rule.TRUNCATED if surplus < 0 else Rule.FIELD_COUNT
        parsed.rejects.append(Reject.of(rule, line, detail, piece))
        return None
    return b"|".join(parts)


def _draft(table: pa.Table, lines: _Lines, parsed: Parsed) -> Draft:
    """Pick the finished jobs out of the lines and read their columns."""
    offset = 0 if len(table) == len(lines.numbers) else len(table) - len(lines.numbers)
    table = table.slice(offset)
    column = _Columns(table)
    ids, state = column.text("JobID"), column.text("State")
    first_word = by_distinct(state, lambda value: (value or "").split(" ", 1)[0], pa.string())
    end = column.text("End")
    skip = [
        ("step", pc.match_substring(ids, ".")),
        (
            "not_ended",
            pc.or_(
                pc.is_in(end, pa.array(["Unknown", ""])),
                pc.is_in(first_word, pa.array(slurm_fields.UNFINISHED_STATES)),
            ),
        ),
        (
            "never_ran",
            pc.or_kleene(
                pc.equal(column.text("NodeList"), slurm_fields.NEVER_STARTED),
                pc.equal(column.text("Start"), "None"),
            ),
        ),
    ]
    keep = np.ones(len(table), dtype=bool)
    for reason, mask in skip:
        rows = pc.fill_null(mask, False).to_numpy(zero_copy_only=False) & keep
        if rows.any():
            parsed.skipped[reason] += int(rows.sum())
            keep &= ~rows
    kept = np.flatnonzero(keep)
    if len(kept) < len(table):
        column = _Columns(table.take(pa.array(kept)))
    columns, broken = _usage_columns(column)
    fine = _refuse_unreadable(broken, kept, lines, parsed)
    if fine is not None:
        columns = {name: values.filter(pa.array(fine)) for name, values in columns.items()}
        kept = kept[fine]
    return Draft(columns, lines.first_line + lines.numbers[kept], lambda row: lines.text(int(kept[row])))


class _Columns:
    """The text columns of some lines; one that the file does not have is null throughout."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.length = len(table)

    def text(self, name: str) -> pa.Array:
        """The column as it stands in the file."""
        if name not in self._table.column_names:
            return pa.nulls(self.length, pa.string())
        column = self._table.column(name)
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)

    def known(self, name: str) -> pa.Array:
        """The column with null for the empty text."""
        column = self.text(name)
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _usage_columns(column: _Columns) -> tuple[dict[str, pa.Array], list[tuple[str, Rule, pa.Array]]]:
    """Read the columns of `usage_records`; returns them and, by field, the rows whose text could not be read."""
    broken: list[tuple[str, Rule, pa.Array]] = []

    def read(how: Callable[[pa.Array], tuple[pa.Array, pa.Array]], field: str, rule: Rule) -> pa.Array:
        values, bad = how(column.text(field))
        broken.append((field, rule, bad))
        return values

    submit, start, end = (
        read(slurm_fields.times, field, Rule.BAD_TIME) for field in ("Submit", "Start", "End")
    )
    elapsed = read(slurm_fields.durations_us, "Elapsed", Rule.BAD_DURATION)
    wall = pc.coalesce(
        read(whole_numbers, "ElapsedRaw", Rule.BAD_NUMBER),
        pc.divide(elapsed, MICROSECONDS_PER_SECOND),
    )
    suspended = read(slurm_fields.durations_us, "Suspended", Rule.BAD_DURATION)
    tres = column.known("AllocTRES")
    codes = column.text("ExitCode")
    state = column.known("State")
    raw_id = pc.coalesce(column.known("JobIDRaw"), column.known("JobID"))
    columns = {
        "resource": column.known("Cluster"),
        "machine": column.known("Cluster"),
        "local_job_id": raw_id,
        "array_task": pc.if_else(
            pc.equal(column.text("JobID"), raw_id), pa.scalar(None, pa.string()), column.text("JobID")
        ),
        "queue": column.known("Partition"),
        "host": column.known("NodeList"),
        "exit_code": by_distinct(codes, lambda text: _exit_part(text, 0), pa.int32()),
        "exit_signal": by_distinct(codes, lambda text: _exit_part(text, 1), pa.int32()),
        "status_reported": state,
        "outcome": by_distinct(state, slurm_fields.outcome, pa.string()),
        "local_user": column.known("User"),
        "account": column.known("Account"),
        "unix_group": column.known("Group"),
        "submit_time": utc(pc.coalesce(submit, start)),
        "start_time": utc(start),
        "end_time": utc(end),
        "wall_duration_s": wall,
        "suspended_s": pc.divide(suspended, MICROSECONDS_PER_SECOND),
        "processors": small(
            pc.coalesce(*(read(whole_numbers, field, Rule.BAD_NUMBER) for field in ("NCPUS", "AllocCPUS")))
        ),
        "node_count": small(read(whole_numbers, "NNodes", Rule.BAD_NUMBER)),
        "gpus": by_distinct(tres, lambda text: slurm_fields.gpus(text)[0], pa.int32()),
        "gpu_model": by_distinct(tres, lambda text: slurm_fields.gpus(text)[1], pa.string()),
        "memory_bytes": by_distinct(column.known("MaxRSS"), slurm_fields.memory_bytes, pa.int64()),
        "energy_j": whole_numbers(column.text("ConsumedEnergyRaw"))[0],
    }
    columns |= _cpu_times(
        *(read(slurm_fields.durations_us, field, Rule.BAD_DURATION) for field in _CPU_FIELDS)
    )
    columns["energy_source"] = pc.if_else(
        pc.is_valid(columns["energy_j"]), "slurm", pa.scalar(None, pa.string())
    )
    return columns, broken


def _cpu_times(user: pa.Array, system: pa.Array, total: pa.Array) -> dict[str, pa.Array]:
    # Older sacct gives the sum alone; it is kept as user time. Exactly nothing is what `-X` writes for every
    # job, because the steps that know it are not read: that is not measured, and not zero.
    used = pc.greater(pc.max_element_wise(user, system, total, 0), 0)
    nothing = pa.scalar(None, pa.int64())
    return {
        "cpu_user_us": pc.if_else(used, pc.coalesce(user, total), nothing),
        "cpu_system_us": pc.if_else(used, system, nothing),
    }


def _refuse_unreadable(
    broken: list[tuple[str, Rule, pa.Array]], kept: np.ndarray, lines: _Lines, parsed: Parsed
) -> np.ndarray | None:
    fine = np.ones(len(kept), dtype=bool)
    for field, rule, mask in broken:
        rows = pc.fill_null(mask, False).to_numpy(zero_copy_only=False) & fine
        for row in np.flatnonzero(rows):
            line = lines.first_line + int(lines.numbers[kept[row]])
            parsed.rejects.append(
                Reject.of(rule, line, f"{field} cannot be read", lines.text(int(kept[row])))
            )
        fine &= ~rows
    return None if fine.all() else fine


def _exit_part(text: str | None, part: int) -> int | None:
    pieces = (text or "").split(":")
    return (
        int(pieces[part])
        if len(pieces) == 2 and pieces[part].isdecimal() and len(pieces[part]) < 10
        else None
    )


FORMAT = Sacct()

"""`apel`: the text messages that sites and accounting systems send to APEL, jobs and monthly summaries.

Durations are whole seconds, memory is in KB, times are seconds since 1970 or `2017-01-31T23:59:59Z`. Jobs become
`usage_records`; summaries are no jobs and become `usage_reported`. One bad record is refused alone, not its message.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import replace
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats.apel_messages import (
    HEADER,
    JOB,
    Kind,
    Records,
    last_header,
    records_of,
    text_columns,
)
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.lines import first_line, line_blocks
from gridkeeper.formats.text_columns import (
    FALSE,
    NO_TEXT,
    by_distinct,
    epoch_times,
    microseconds,
    real_numbers,
    small,
    whole_numbers,
)
from gridkeeper.records.draft import Draft, Parsed
from gridkeeper.records.finish import finish_reported, finish_usage
from gridkeeper.records.rules import OLDEST_YEAR, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gridkeeper.records.draft import Delivery

# What APEL's clients write where they have nothing to say, in any mixture of capitals.
NULL_WORDS = pa.array(
    [
        "",
        *(
            "".join(letters)
            for word in ("null", "none")
            for letters in product(*zip(word, word.upper(), strict=True))
        ),
    ]
)
# The first of these that a record gives holds; APEL's own order.
BENCHMARKS = ("HEPscore23", "HEPSPEC", "Si2k")
BYTES_PER_KB = 1024
MOST_KB = 2**50
LAST_YEAR = 2100
_LONGEST_NULL_WORD = len("null")
_BENCHMARK = {name.lower(): name for name in BENCHMARKS}
_FIRST_OF_FQAN = r"^/(?P<vo>[^/]+)"


class Apel:
    """Reads APEL messages."""

    name = "apel"
    describes = "APEL's text messages: individual jobs, summaries and normalised summaries"

    def recognise(self, head: bytes) -> bool:
        """The first line that is not blank is a message's header."""
        return HEADER.fullmatch(first_line(head.lstrip())) is not None

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut behind the closing `%%` of records; the header they stand under is each block's context."""
        header = b""
        held: Block | None = None
        for block in line_blocks(stream, block_bytes, end=b"\n%%"):
            if held is not None and not block.data.strip() and not block.refused:
                held = replace(held, data=held.data + block.data)  # the line end behind the last `%%`
                continue
            if held is not None:
                yield held
            held = Block(block.data, block.first_line, header, block.refused)
            for text in (*(reject.text for reject in block.refused), block.data):
                header = last_header(text) or header
        if held is not None:
            yield held

    def may_be_followed(self, data: bytes) -> bool:
        """A message that ends with `%%` is complete; another one begins with a header of its own."""
        return data.rstrip().endswith(b"\n%%")

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of records."""
        parsed = Parsed(rejects=list(block.refused))
        for kind, records in records_of(block, parsed):
            table, rows = text_columns(kind, records, parsed)
            if not len(rows):
                continue
            fields = _Fields(table, kind)
            columns = _usage(fields) if kind is JOB else _reported(fields, delivery)
            draft = _kept(columns, fields, rows, records, parsed)
            if not len(draft):
                continue
            if kind is JOB:
                finish_usage(draft, "apel", self.name, delivery, parsed)
            else:
                finish_reported(draft, self.name, delivery, parsed)
        return parsed


class _Fields:
    """The fields of some records by key, and which of the records break which rule."""

    def __init__(self, table: pa.Table, kind: Kind) -> None:
        self._table = table
        self.length = len(table)
        self.breaches: list[tuple[Rule, str, pa.Array]] = [
            (Rule.MISSING_FIELD, f"{key} is missing", pc.is_null(self.text(key))) for key in kind.mandatory
        ]

    def text(self, key: str) -> pa.Array:
        """The text of a field; null where it is missing, empty or a word for nothing."""
        if key not in self._table.column_names:
            return pa.nulls(self.length, pa.string())
        column = self._table.column(key).combine_chunks()
        if (pc.min(pc.binary_length(column)).as_py() or 0) > _LONGEST_NULL_WORD:
            return column
        nothing = pc.is_in(column, NULL_WORDS)
        return pc.if_else(nothing, NO_TEXT, column) if _some(nothing) else column

    def number(self, key: str) -> pa.Array:
        """A whole number."""
        values, bad = whole_numbers(self.text(key))
        self.refuse(Rule.BAD_NUMBER, f"{key} is no whole number", bad)
        return values

    def time(self, key: str) -> pa.Array:
        """A moment."""
        values, bad = epoch_times(self.text(key))
        self.refuse(Rule.BAD_TIME, f"{key} is neither seconds since 1970 nor a time such as 2017-01-31T23:59:59Z", bad)  # fmt: skip
        return values

    def refuse(self, rule: Rule, detail: str, mask: pa.Array) -> None:
        """Refuse the records where the mask is true."""
        self.breaches.append((rule, detail, mask))


def _some(mask: pa.Array) -> bool:
    return pc.any(mask).as_py() is True


def _usage(fields: _Fields) -> dict[str, pa.Array]:
    """The columns of jobs."""
    fqan = fields.text("FQAN")
    name, value = _service_level(fields)
    memory = fields.number("MemoryReal")
    fields.refuse(Rule.ABSURD_VALUE, "MemoryReal is over a billion GB", pc.greater(memory, MOST_KB))
    infrastructure = fields.text("InfrastructureType")
    site = fields.text("Site")
    return {
        "resource": site,
        "machine": fields.text("MachineName"),
        "site_reported": site,
        "grid_reported": by_distinct(infrastructure, _grid, pa.string()),
        "local_job_id": fields.text("LocalJobId"),
        "queue": fields.text("Queue"),
        "submit_host": fields.text("SubmitHost"),
        "local_user": fields.text("LocalUserId"),
        "global_user": fields.text("GlobalUserName"),
        "vo_reported": pc.coalesce(fields.text("VO"), by_distinct(fqan, _vo, pa.string())),
        "fqan": fqan,
        "vo_group": fields.text("VOGroup"),
        "vo_role": fields.text("VORole"),
        "start_time": fields.time("StartTime"),
        "end_time": fields.time("EndTime"),
        "wall_duration_s": fields.number("WallDuration"),
        "cpu_user_us": microseconds(fields.number("CpuDuration")),
        "processors": small(fields.number("Processors")),
        "node_count": small(fields.number("NodeCount")),
        "memory_bytes": pc.multiply(_at_most(memory, MOST_KB), BYTES_PER_KB),
        "benchmark_name": name,
        "benchmark_per_core": value,
    }


def _reported(fields: _Fields, delivery: Delivery) -> dict[str, pa.Array]:
    """The columns of summaries."""
    first_day, last_day = _month(fields, delivery)
    earliest, latest = fields.time("EarliestEndTime"), fields.time("LatestEndTime")
    fields.refuse(
        Rule.END_BEFORE_START, "LatestEndTime lies before EarliestEndTime", pc.less(latest, earliest)
    )
    counts = {key: fields.number(key) for key in ("NumberOfJobs", "Processors", "NodeCount")}
    for key, count in counts.items():
        fields.refuse(Rule.NEGATIVE_COUNT, f"{key} is negative", pc.less(count, 0))
    wall, cpu = fields.number("WallDuration"), fields.number("CpuDuration")
    normalised_wall, normalised_cpu, benchmark = _normalised(fields)
    durations = {
        "WallDuration": wall,
        "CpuDuration": cpu,
        "NormalisedWallDuration": normalised_wall,
        "NormalisedCpuDuration": normalised_cpu,
    }
    for key, duration in durations.items():
        fields.refuse(Rule.NEGATIVE_DURATION, f"{key} is negative", pc.less(duration, 0))
    name, value = _service_level(fields)
    site = fields.text("Site")
    return {
        "resource": site,
        "site_reported": site,
        "submit_host": fields.text("SubmitHost"),
        "infrastructure": pc.coalesce(fields.text("Infrastructure"), fields.text("InfrastructureType")),
        "vo_reported": fields.text("VO"),
        "vo_group": fields.text("VOGroup"),
        "vo_role": fields.text("VORole"),
        "global_user": fields.text("GlobalUserName"),
        "processors": small(counts["Processors"]),
        "node_count": small(counts["NodeCount"]),
        "start_day": first_day,
        "end_day": last_day,
        "earliest_end": earliest,
        "latest_end": latest,
        "njobs": counts["NumberOfJobs"],
        "wall_duration_s": wall,
        "cpu_duration_s": cpu,
        "normalised_wall_s": normalised_wall,
        "normalised_cpu_s": normalised_cpu,
        "benchmark_name": pc.coalesce(benchmark, name),
        "benchmark_per_core": value,
    }


def _month(fields: _Fields, delivery: Delivery) -> tuple[pa.Array, pa.Array]:
    """The first and the last day of each record's month."""
    month, year = fields.number("Month"), fields.number("Year")
    possible = pc.and_(
        pc.and_(pc.greater_equal(month, 1), pc.less_equal(month, 12)),
        pc.and_(pc.greater_equal(year, OLDEST_YEAR), pc.less_equal(year, LAST_YEAR)),
    )
    fields.refuse(
        Rule.BAD_TIME, f"Month is not 1 to 12, or Year not {OLDEST_YEAR} to {LAST_YEAR}", pc.invert(possible)
    )
    months = pc.add(pc.multiply(year, 12), pc.subtract(month, 1))
    months = pc.if_else(possible, months, pa.scalar(None, pa.int64()))

    def day(of: Callable[[int, int], int]) -> pa.Array:
        def read(number: int | None) -> date | None:
            if number is None:
                return None
            return date(number // 12, number % 12 + 1, of(number // 12, number % 12 + 1))

        return by_distinct(months, read, pa.date32())

    first, last = day(lambda _year, _month: 1), day(lambda year, month: calendar.monthrange(year, month)[1])
    today = pa.scalar(delivery.received_at.date(), pa.date32())
    fields.refuse(Rule.END_IN_FUTURE, "the month lies in the future", pc.greater(first, today))
    return first, last


def _service_level(fields: _Fields) -> tuple[pa.Array, pa.Array]:
    """Name and value of the benchmark: two fields, or `{HEPscore23: 12.5}`."""
    kind, level = fields.text("ServiceLevelType"), fields.text("ServiceLevel")
    named = by_distinct(kind, lambda name: _BENCHMARK.get((name or "").lower(), name), pa.string())
    listed = pc.fill_null(pc.starts_with(level, "{"), FALSE)
    name_listed, value_listed = level, level
    if _some(listed):
        lists = pc.if_else(listed, level, NO_TEXT)
        name_listed = by_distinct(lists, lambda text: _best(_benchmarks(text))[0], pa.string())
        value_listed = by_distinct(lists, lambda text: _best(_benchmarks(text))[1], pa.string())
        named = pc.coalesce(name_listed, named)
        level = pc.if_else(listed, pc.fill_null(value_listed, "none of them"), level)
    values, bad = real_numbers(level)
    fields.refuse(Rule.BAD_NUMBER, f"ServiceLevel is neither a number nor a list of {', '.join(BENCHMARKS)}", bad)  # fmt: skip
    fields.refuse(Rule.BAD_NUMBER, "ServiceLevel is negative", pc.less(values, 0))
    return named, values


def _normalised(fields: _Fields) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Normalised wall and CPU seconds and their benchmark: plain numbers, or `{HEPscore23: 1250}` twice."""
    keys = ("NormalisedWallDuration", "NormalisedCpuDuration")
    texts = [fields.text(key) for key in keys]
    if not any(_some(pc.starts_with(text, "{")) for text in texts):
        return *(fields.number(key) for key in keys), pa.nulls(fields.length, pa.string())
    chosen = [_same_benchmark(*pair) for pair in zip(*(text.to_pylist() for text in texts), strict=True)]
    numbers = []
    for key, position in zip(keys, (1, 2), strict=True):
        values, bad = whole_numbers(pa.array([row[position] for row in chosen], pa.string()))
        detail = (
            f"{key} is neither a whole number nor a list of {', '.join(BENCHMARKS)} that both fields have"
        )
        fields.refuse(Rule.BAD_NUMBER, detail, bad)
        numbers.append(values)
    return numbers[0], numbers[1], pa.array([row[0] for row in chosen], pa.string())


def _same_benchmark(wall: str | None, cpu: str | None) -> tuple[str | None, str | None, str | None]:
    """The first benchmark that both lists have, and the two values; texts that are no lists stay as they are."""
    if wall is None or cpu is None or not (wall.startswith("{") or cpu.startswith("{")):
        return None, wall, cpu
    walls, cpus = _benchmarks(wall), _benchmarks(cpu)
    name, _ = _best({name: value for name, value in walls.items() if name in cpus})
    return (None, "none of them", "none of them") if name is None else (name, walls[name], cpus[name])


def _benchmarks(text: str | None) -> dict[str, str]:
    """Read `{HEPscore23: 12.5, hepspec: 11}`; what is no such list is empty."""
    if text is None or not (text.startswith("{") and text.endswith("}")):
        return {}
    read: dict[str, str] = {}
    for part in text[1:-1].split(","):
        name, _, value = part.partition(":")
        known = _BENCHMARK.get(name.strip(" \"'").lower())
        if known is not None:
            read[known] = value.strip()
    return read


def _best(values: dict[str, str]) -> tuple[str | None, str | None]:
    return next(((name, values[name]) for name in BENCHMARKS if name in values), (None, None))


def _vo(fqan: str | None) -> str | None:
    found = re.match(_FIRST_OF_FQAN, fqan or "")
    return found["vo"] if found else None


def _grid(infrastructure: str | None) -> str | None:
    return "Local" if (infrastructure or "").lower() == "local" else None


def _at_most(numbers: pa.Array, most: int) -> pa.Array:
    return pc.min_element_wise(pc.max_element_wise(numbers, -1, skip_nulls=False), most, skip_nulls=False)


def _kept(
    columns: dict[str, pa.Array], fields: _Fields, rows: np.ndarray, records: Records, parsed: Parsed
) -> Draft:
    """Refuse the records that break a rule, each for the first one; the others are the draft."""
    fine = np.ones(len(rows), dtype=bool)
    for rule, detail, mask in fields.breaches:
        broken = pc.fill_null(mask, FALSE).to_numpy(zero_copy_only=False) & fine
        for row in np.flatnonzero(broken):
            number = int(rows[row])
            parsed.rejects.append(Reject.of(rule, records.lines[number], detail, records.texts[number]))
        fine &= ~broken
    if not fine.all():
        columns = {name: column.filter(pa.array(fine)) for name, column in columns.items()}
        rows = rows[fine]
    lines = np.array(records.lines, np.int64)[rows]
    return Draft(columns, lines, lambda row: records.texts[int(rows[row])])


FORMAT = Apel()

"""Makes records of rows: fills what follows from the rest, refuses what breaks a rule, names each record."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.records.checks import not_allowed, usage_breaches
from gridkeeper.records.identity import IdentityKind, content_hashes, identities, joined_keys, usage_keys
from gridkeeper.records.reported import USAGE_REPORTED
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.records.space import STORAGE_SPACE
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from gridkeeper.records.columns import Table
    from gridkeeper.records.draft import Delivery, Draft, Parsed

ZERO_CPU_IS_MISSING_FROM_CORE_S = 3600
CPU_TOLERANCE_RATIO = 1.1


def finish_usage(
    draft: Draft, kind: IdentityKind, format_name: str, delivery: Delivery, parsed: Parsed
) -> None:
    """Turn rows into `usage_records` rows of `parsed`, and its refusals into rejects of `parsed`.

    Fills: end = start + wall, start = end - wall, wall = end - start, processors 1 where 0 or missing; every
    filling is named in `flags`. A CPU time of zero over at least an hour of cores is missing, not zero.
    """
    columns = _typed(draft, USAGE_RECORDS)
    named = pc.is_valid(columns["probe"])
    _declare(columns, delivery)
    flags = _Flags(len(draft))
    _fill_times(columns, flags)
    _fill_processors(columns, flags)
    _judge_cpu(columns, flags)
    columns["njobs"] = pc.fill_null(columns["njobs"], 1)
    columns["outcome"] = pc.fill_null(columns["outcome"], "unknown")
    columns["resource_type"] = pc.fill_null(columns["resource_type"], "Batch")
    columns["start_day"] = pc.cast(columns["start_time"], pa.date32())
    columns["end_day"] = pc.cast(columns["end_time"], pa.date32())
    columns["flags"] = flags.words()
    # Who delivers a record is no part of what it is: a probe that it does not name itself must not name it.
    own = {"probe": pc.if_else(named, columns["probe"], pa.scalar(None, pa.string()))}
    keys, columns["identity_day"] = usage_keys(columns | own, kind)
    breaches = usage_breaches(columns, keys, kind, delivery.received_at)
    _complete(USAGE_RECORDS, draft, columns, keys, breaches, format_name, delivery, parsed)


def finish_reported(draft: Draft, format_name: str, delivery: Delivery, parsed: Parsed) -> None:
    """Turn rows into `usage_reported` rows of `parsed`; identity = APEL's key, all dimensions of the sum."""
    columns = _typed(draft, USAGE_REPORTED)
    _declare(columns, delivery)
    flags = _Flags(len(draft))
    _fill_processors(columns, flags)
    columns["cpu_source"] = pc.fill_null(columns["cpu_source"], "measured")
    columns["flags"] = flags.words()
    dimensions = (
        "probe", "resource", "site_reported", "submit_host", "infrastructure", "vo_reported", "vo_group", "vo_role", "global_user",
        "processors", "node_count", "start_day", "benchmark_name",
    )  # fmt: skip
    keys = joined_keys("reported", *(pc.cast(columns[name], pa.string()) for name in dimensions))
    columns["identity_day"] = pc.fill_null(columns["start_day"], _epoch_day())
    breaches = {Rule.NEGATIVE_DURATION: (pc.less(columns["wall_duration_s"], 0), "a negative duration")}
    _complete(USAGE_REPORTED, draft, columns, keys, breaches, format_name, delivery, parsed)


def finish_space(draft: Draft, format_name: str, delivery: Delivery, parsed: Parsed) -> None:
    """Turn rows into `storage_space` rows of `parsed`; identity = what was measured, how and when."""
    columns = _typed(draft, STORAGE_SPACE)
    _declare(columns, delivery)
    columns["start_day"] = columns["end_day"] = pc.cast(columns["measured_at"], pa.date32())
    dimensions = ("record_type", "unique_id", "measurement_type", "storage_type", "measured_at")
    keys = joined_keys("space", *(pc.cast(columns[name], pa.string()) for name in dimensions))
    columns["identity_day"] = pc.fill_null(columns["start_day"], _epoch_day())
    breaches = {
        Rule.NO_IDENTITY: (pc.is_null(columns["unique_id"]), "no UniqueID"),
        Rule.NO_TIMES: (pc.is_null(columns["measured_at"]), "no Timestamp"),
    }
    _complete(STORAGE_SPACE, draft, columns, keys, breaches, format_name, delivery, parsed)


def _typed(draft: Draft, table: Table) -> dict[str, pa.Array]:
    """Every column of the table with its type; null throughout where the format gave none."""
    unknown = set(draft.columns) - {column.name for column in table.columns}
    if unknown:
        raise KeyError(f"{table.name} has no column {sorted(unknown)}")
    columns = {}
    for column in table.columns:
        given = draft.columns.get(column.name)
        if given is None:
            columns[column.name] = pa.nulls(len(draft), column.type)
        else:
            whole = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
            columns[column.name] = whole if whole.type == column.type else pc.cast(whole, column.type)
    return columns


def _declare(columns: dict[str, pa.Array], delivery: Delivery) -> None:
    """Put in what the delivery says of all its records."""
    for name, declared in (("resource", delivery.resource), ("probe", delivery.probe)):
        if declared is not None and name in columns:
            columns[name] = pa.repeat(pa.scalar(declared), len(columns[name]))
    if delivery.vo is not None and "vo_reported" in columns:
        columns["vo_reported"] = pc.fill_null(columns["vo_reported"], delivery.vo)


class _Flags:
    """Collects, row by row, the words of the column `flags`."""

    def __init__(self, length: int) -> None:
        self._parts: list[pa.Array] = []
        self._length = length

    def mark(self, rows: pa.Array, word: str) -> None:
        """Give `word` to the rows where the mask is true."""
        rows = pc.fill_null(rows, False)
        if pc.any(rows).as_py():
            self._parts.append(pc.if_else(rows, word, pa.scalar(None, pa.string())))

    def words(self) -> pa.Array:
        """The words of each row, comma-separated; null where there are none."""
        if not self._parts:
            return pa.nulls(self._length, pa.string())
        words = self._parts[0]
        for part in self._parts[1:]:  # one by one: `skip` drops rows that are null throughout (pyarrow 26)
            both = pc.binary_join_element_wise(words, part, ",", null_handling="emit_null")
            words = pc.coalesce(both, words, part)
        return words


def _fill_times(columns: dict[str, pa.Array], flags: _Flags) -> None:
    start, end, wall = columns["start_time"], columns["end_time"], columns["wall_duration_s"]
    if end.null_count:
        filled = pc.add(start, _as_duration(wall))
        flags.mark(pc.and_(pc.is_null(end), pc.is_valid(filled)), "end_filled")
        end = pc.coalesce(end, filled)
    if start.null_count:
        filled = pc.subtract(end, _as_duration(wall))
        flags.mark(pc.and_(pc.is_null(start), pc.is_valid(filled)), "start_filled")
        start = pc.coalesce(start, filled)
    between = pc.divide(pc.cast(pc.subtract(end, start), pa.int64()), MICROSECONDS_PER_SECOND)
    if wall.null_count:
        flags.mark(pc.and_(pc.is_null(wall), pc.is_valid(between)), "wall_filled")
        wall = pc.coalesce(wall, between)
    flags.mark(pc.greater(wall, pc.add(between, 1)), "wall_exceeds_interval")
    columns.update(start_time=start, end_time=end, wall_duration_s=wall)


def _as_duration(seconds: pa.Array) -> pa.Array:
    # Beyond what 64 bits of microseconds hold, a duration is absurd anyway and must not wrap around.
    bounded = pc.min_element_wise(
        pc.max_element_wise(seconds, -(10**11), skip_nulls=False), 10**11, skip_nulls=False
    )
    return pc.cast(pc.multiply(bounded, MICROSECONDS_PER_SECOND), pa.duration("us"))


def _fill_processors(columns: dict[str, pa.Array], flags: _Flags) -> None:
    reported = columns["processors"]
    flags.mark(pc.is_null(reported), "processors_missing")
    flags.mark(pc.equal(reported, 0), "processors_zero")
    if "processors_reported" in columns:
        columns["processors_reported"] = reported
    counted = pc.fill_null(reported, 1)
    columns["processors"] = pc.if_else(pc.equal(counted, 0), pa.scalar(1, pa.int32()), counted)


def _judge_cpu(columns: dict[str, pa.Array], flags: _Flags) -> None:
    user, system = columns["cpu_user_us"], columns["cpu_system_us"]
    given = pc.or_(pc.is_valid(user), pc.is_valid(system))
    cpu = pc.add(pc.fill_null(user, 0), pc.fill_null(system, 0))
    cores = pc.multiply(_real(columns["wall_duration_s"]), columns["processors"])
    zero = pc.and_(given, pc.and_(pc.equal(cpu, 0), pc.greater_equal(cores, ZERO_CPU_IS_MISSING_FROM_CORE_S)))
    flags.mark(zero, "cpu_zero")
    flags.mark(
        pc.greater(_real(cpu), pc.multiply(cores, CPU_TOLERANCE_RATIO * MICROSECONDS_PER_SECOND)),
        "cpu_exceeds_cores",
    )
    source = pc.if_else(pc.and_not(given, pc.fill_null(zero, False)), "measured", "missing")
    columns["cpu_source"] = pc.coalesce(columns["cpu_source"], source)
    # One of the two known means the other was nothing; both unknown stays unknown.
    columns["cpu_user_us"] = pc.if_else(given, pc.fill_null(user, 0), pa.scalar(None, pa.int64()))
    columns["cpu_system_us"] = pc.if_else(given, pc.fill_null(system, 0), pa.scalar(None, pa.int64()))


def _real(numbers: pa.Array) -> pa.Array:
    # Absurd numbers beyond 2**53 are refused later, as a rule says, and not by an exception here.
    return pc.cast(numbers, pa.float64(), safe=False)


def _complete(
    table: Table, draft: Draft, columns: dict[str, pa.Array], keys: pa.Array, breaches: dict[Rule, tuple[pa.Array, str]],
    format_name: str, delivery: Delivery, parsed: Parsed,
) -> None:  # fmt: skip
    """Refuse the rows that break a rule, name and hash the others, add both to `parsed`."""
    if delivery.may_send_for is not None or delivery.may_send_vos:
        breaches = breaches | {
            Rule.NOT_ALLOWED: (not_allowed(columns, delivery), _ALLOWED.format(_said(delivery)))
        }
    good = _refuse(draft, breaches, parsed)
    lines = np.asarray(draft.lines, dtype=np.int64)
    parsed.lines.setdefault(table.name, []).append(
        lines if good is None else lines[good.to_numpy(zero_copy_only=False)]
    )
    if good is not None:
        columns = {name: column.filter(good) for name, column in columns.items()}
        keys = keys.filter(good)
    rows = len(keys)
    columns["identity"] = identities(keys)
    columns["content_hash"] = content_hashes(columns, table.content)
    columns["month"] = _months(columns["end_day"])
    columns["received_at"] = pa.repeat(pa.scalar(delivery.received_at, pa.timestamp("us", tz="UTC")), rows)
    columns["format"] = pa.repeat(pa.scalar(format_name), rows)
    made = pa.table([columns[column.name] for column in table.columns], schema=table.schema)
    before = parsed.tables.get(table.name)
    parsed.tables[table.name] = made if before is None else pa.concat_tables([before, made])


_ALLOWED = "a record of another than {}, for which alone its sender may send"


def _said(delivery: Delivery) -> str:
    words = [
        *(sorted(delivery.may_send_for) if delivery.may_send_for is not None else ()),
        *sorted(delivery.may_send_vos),
    ]
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def _refuse(draft: Draft, breaches: dict[Rule, tuple[pa.Array, str]], parsed: Parsed) -> pa.Array | None:
    """Add a reject for every row that breaks a rule (its first one); return the mask of good rows, None for all."""
    refused = np.zeros(len(draft), dtype=bool)
    for rule, (mask, detail) in breaches.items():
        broken = pc.fill_null(mask, False).to_numpy(zero_copy_only=False) & ~refused
        for row in np.flatnonzero(broken):
            parsed.rejects.append(Reject.of(rule, int(draft.lines[int(row)]), detail, draft.text(int(row))))
        refused |= broken
    return pa.array(~refused) if refused.any() else None


def _months(days: pa.Array) -> pa.Array:
    """The month of each day as 2017-01; computed once per distinct day."""
    encoded = days.dictionary_encode()
    months = pa.array([f"{day:%Y-%m}" for day in encoded.dictionary.to_pylist()], pa.string())
    return cast("pa.Array", months.take(encoded.indices))


def _epoch_day() -> pa.Scalar:
    return pc.cast(pa.scalar(0, pa.int32()), pa.date32())

"""The SQL that adds records up: one statement per summary, over the days in the table `dirty`.

Each statement is made for the words (columns that the mapping looks at) that matter in a home: fewer words,
fewer rows. Where a job's wall time is shorter than its time from start to end, the wall time is placed from
the start on; where it is longer, it is spread evenly over that time. What falls into a day (or hour) is the
difference of two cumulative floors, so the parts of a job add up to exactly its total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY_S = 86_400
_HOUR_S = 3_600
_CPU = "COALESCE(cpu_user_us, 0) + COALESCE(cpu_system_us, 0)"
_WAIT = "CASE WHEN submit_time IS NOT NULL AND start_time >= submit_time THEN CAST(DATE_DIFF('second', submit_time, start_time) AS BIGINT) END"
_FILLED = "CASE WHEN flags LIKE '%processors_%' THEN 1 ELSE 0 END"
_JOBS_ONLY = "LOWER(resource_type) NOT IN ('storage', 'transfer')"
_KIND = "processors, gpu_model, outcome, cpu_source"
_TOUCHES_DIRTY = "start_day <= (SELECT MAX(day) FROM dirty) AND end_day >= (SELECT MIN(day) FROM dirty)"


def _said(words: Sequence[str]) -> str:
    return ", ".join(f"COALESCE({word}, '') AS {word}" for word in words)


def by_end_day(words: Sequence[str]) -> str:
    """Jobs by the day they ended."""
    return f"""
        SELECT end_day AS day, {_said(words)}, {_KIND},
               COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs,
               CAST(SUM(wall_duration_s) AS BIGINT) AS wall_seconds,
               CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_seconds,
               CAST(SUM({_CPU}) AS BIGINT) AS cpu_us,
               CAST(SUM(wall_duration_s * COALESCE(gpus, 0)) AS BIGINT) AS gpu_seconds,
               CAST(SUM(wall_duration_s * COALESCE(node_count, 0)) AS BIGINT) AS node_seconds,
               CAST(SUM(COALESCE({_WAIT}, 0)) AS BIGINT) AS wait_seconds,
               COUNT({_WAIT}) AS waits,
               CAST(SUM(COALESCE(energy_j, 0)) AS BIGINT) AS energy_j,
               CAST(SUM({_FILLED}) AS BIGINT) AS processors_filled
        FROM usage_records
        WHERE end_day IN (SELECT day FROM dirty) AND {_JOBS_ONLY}
        GROUP BY ALL
    """


def by_end_day_and_user(words: Sequence[str]) -> str:
    """Jobs by the day they ended and whose they were."""
    return f"""
        SELECT end_day AS day, {_said(words)}, COALESCE(global_user, local_user) AS user, outcome, cpu_source,
               COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs,
               CAST(SUM(wall_duration_s) AS BIGINT) AS wall_seconds,
               CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_seconds,
               CAST(SUM({_CPU}) AS BIGINT) AS cpu_us,
               CAST(SUM(wall_duration_s * COALESCE(gpus, 0)) AS BIGINT) AS gpu_seconds,
               CAST(SUM(COALESCE({_WAIT}, 0)) AS BIGINT) AS wait_seconds,
               COUNT({_WAIT}) AS waits
        FROM usage_records
        WHERE end_day IN (SELECT day FROM dirty) AND {_JOBS_ONLY}
        GROUP BY ALL
    """


def _placed(columns: str, slot_seconds: int) -> str:
    """Records with the time [from_s, until_s) that their wall time is placed in, and its first and last slot.

    Times are seconds since 1970, slots are days or hours since 1970. Where the time would be empty, it is one
    second long, so that everything falls into the slot of the start.
    """
    return f"""
        SELECT {columns}, wall_duration_s, from_s, until_s, from_s // {slot_seconds} AS first_slot, (until_s - 1) // {slot_seconds} AS last_slot
        FROM (
            SELECT {columns}, wall_duration_s, from_s, from_s + GREATEST(1, LEAST(wall_duration_s, to_s - from_s)) AS until_s
            FROM (
                SELECT {columns}, wall_duration_s, CAST(EPOCH(DATE_TRUNC('second', start_time)) AS BIGINT) AS from_s,
                       CAST(EPOCH(DATE_TRUNC('second', end_time)) AS BIGINT) AS to_s
                FROM usage_records
                WHERE {_TOUCHES_DIRTY} AND {_JOBS_ONLY}
            ) AS timed
        ) AS bounded
    """


def _share(amount: str, slot_seconds: int) -> str:
    """What of a whole amount falls into the slot: cumulative floor at its end less that at its begin."""
    end = f"LEAST(until_s, (slot + 1) * {slot_seconds}) - from_s"
    begin = f"GREATEST(from_s, slot * {slot_seconds}) - from_s"
    return f"(({amount}) * ({end}) // (until_s - from_s) - ({amount}) * ({begin}) // (until_s - from_s))"


def _day_of(slot: str) -> str:
    return f"CAST(DATE '1970-01-01' + CAST({slot} AS INTEGER) AS DATE)"


def by_days_run(words: Sequence[str]) -> str:
    """Jobs split over the days they ran; most run within one day and need no splitting."""
    names = ", ".join(words)
    amounts = "njobs, gpus, node_count, cpu_user_us, cpu_system_us, energy_j, flags, submit_time, start_time"
    wall = _share("wall_duration_s", _DAY_S)
    cpu = _share(f"CAST({_CPU} AS HUGEINT)", _DAY_S)
    energy = _share("CAST(COALESCE(energy_j, 0) AS HUGEINT)", _DAY_S)
    return f"""
        WITH placed AS ({_placed(f"{names}, {_KIND}, {amounts}", _DAY_S)}),
        parts AS (
            SELECT first_slot AS slot, {_said(words)}, {_KIND}, wall_duration_s AS wall, {_CPU} AS cpu, COALESCE(energy_j, 0) AS energy,
                   gpus, node_count, njobs, 1 AS begins, {_WAIT} AS wait, {_FILLED} AS filled
            FROM placed WHERE first_slot = last_slot
            UNION ALL
            SELECT slot, {_said(words)}, {_KIND}, {wall} AS wall, CAST({cpu} AS BIGINT) AS cpu, CAST({energy} AS BIGINT) AS energy,
                   gpus, node_count, njobs, CASE WHEN slot = first_slot THEN 1 ELSE 0 END AS begins, {_WAIT} AS wait, {_FILLED} AS filled
            FROM (SELECT *, UNNEST(RANGE(first_slot, last_slot + 1)) AS slot FROM placed WHERE first_slot < last_slot) AS split
        ),
        ended AS (
            SELECT end_day AS day, {_said(words)}, {_KIND}, COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs
            FROM usage_records WHERE end_day IN (SELECT day FROM dirty) AND {_JOBS_ONLY} GROUP BY ALL
        )
        SELECT {_day_of("slot")} AS day, {names}, {_KIND}, CAST(0 AS BIGINT) AS records, CAST(0 AS BIGINT) AS jobs,
               CAST(SUM(wall) AS BIGINT) AS wall_seconds, CAST(SUM(wall * processors) AS BIGINT) AS core_seconds,
               CAST(SUM(cpu) AS BIGINT) AS cpu_us, CAST(SUM(wall * COALESCE(gpus, 0)) AS BIGINT) AS gpu_seconds,
               CAST(SUM(wall * COALESCE(node_count, 0)) AS BIGINT) AS node_seconds,
               CAST(SUM(begins * COALESCE(wait, 0)) AS BIGINT) AS wait_seconds,
               CAST(SUM(CASE WHEN begins = 1 AND wait IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS waits,
               CAST(SUM(energy) AS BIGINT) AS energy_j, CAST(SUM(begins * filled) AS BIGINT) AS processors_filled,
               CAST(SUM(begins * njobs) AS BIGINT) AS started_jobs, CAST(SUM(njobs) AS BIGINT) AS active_jobs
        FROM parts WHERE {_day_of("slot")} IN (SELECT day FROM dirty)
        GROUP BY ALL
        UNION ALL
        SELECT day, {names}, {_KIND}, records, jobs, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM ended
    """


def by_hours_run(words: Sequence[str]) -> str:
    """Wall and core seconds in each hour.

    A job's first and last hour are added up as they are. The whole hours between are not written out one by
    one: each job adds 3600 seconds at the first of them and takes them away after the last, and a running sum
    over these edges gives every hour (a job of twelve hours costs four rows, not twelve). A job whose wall
    time is not its time from start to end is spread hour by hour.
    """
    names = ", ".join(words)
    share = _share("wall_duration_s", _HOUR_S)
    return f"""
        WITH placed AS ({_placed(f"{names}, processors", _HOUR_S)}),
        told AS (SELECT {_said(words)}, processors, wall_duration_s, from_s, until_s, first_slot, last_slot FROM placed),
        even AS (SELECT * FROM told WHERE wall_duration_s = until_s - from_s),
        edges AS (
            SELECT {names}, slot, CAST(SUM(wall) AS BIGINT) AS wall, CAST(SUM(core) AS BIGINT) AS core
            FROM (
                SELECT {names}, first_slot + 1 AS slot, {_HOUR_S} AS wall, {_HOUR_S} * processors AS core FROM even WHERE last_slot > first_slot + 1
                UNION ALL
                SELECT {names}, last_slot, -{_HOUR_S}, -{_HOUR_S} * processors FROM even WHERE last_slot > first_slot + 1
            ) AS each_edge
            GROUP BY ALL
        ),
        steps AS (
            SELECT {names}, slot, SUM(wall) OVER before AS wall, SUM(core) OVER before AS core, LEAD(slot) OVER (PARTITION BY {names} ORDER BY slot) AS next_slot
            FROM edges
            WINDOW before AS (PARTITION BY {names} ORDER BY slot)
        ),
        parts AS (
            SELECT {names}, first_slot AS slot, LEAST(until_s, (first_slot + 1) * {_HOUR_S}) - from_s AS wall, processors FROM even
            UNION ALL
            SELECT {names}, last_slot, until_s - last_slot * {_HOUR_S}, processors FROM even WHERE last_slot > first_slot
            UNION ALL
            SELECT {names}, slot, {share}, processors
            FROM (SELECT *, UNNEST(RANGE(first_slot, last_slot + 1)) AS slot FROM told WHERE wall_duration_s <> until_s - from_s) AS split
        ),
        hours AS (
            SELECT {names}, slot, CAST(SUM(wall) AS BIGINT) AS wall, CAST(SUM(wall * processors) AS BIGINT) AS core FROM parts GROUP BY ALL
            UNION ALL
            SELECT {names}, UNNEST(RANGE(slot, next_slot)) AS slot, CAST(wall AS BIGINT), CAST(core AS BIGINT) FROM steps WHERE wall <> 0
        )
        SELECT {_day_of("slot // 24")} AS day, MAKE_TIMESTAMP(slot * 3600000000) AS hour, {names},
               CAST(SUM(wall) AS BIGINT) AS wall_seconds, CAST(SUM(core) AS BIGINT) AS core_seconds
        FROM hours WHERE {_day_of("slot // 24")} IN (SELECT day FROM dirty)
        GROUP BY ALL
    """


def transfers_by_start_day(words: Sequence[str]) -> str:
    """Transfers by the day they began."""
    return f"""
        SELECT start_day AS day, {_said(words)}, transfer_protocol, transfer_is_write, outcome,
               COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS transfers, CAST(SUM(COALESCE(network_bytes, 0)) AS BIGINT) AS bytes,
               CAST(SUM(wall_duration_s) AS BIGINT) AS wall_seconds
        FROM usage_records
        WHERE start_day IN (SELECT day FROM dirty) AND NOT ({_JOBS_ONLY})
        GROUP BY ALL
    """

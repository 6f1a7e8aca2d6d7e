"""The SQL that adds records up: one statement per summary, over the days in the table `dirty`.

Where a job's wall time is shorter than its time from start to end, the wall time is placed from the start
on; where it is longer, it is spread evenly over that time. What falls into a day (or hour) is the difference
of two cumulative floors, so the parts of a job add up to exactly its total.
"""

from __future__ import annotations

from gridkeeper.federation.mapping import WORDS

_WORDS = ", ".join(f"COALESCE({word}, '') AS {word}" for word in WORDS)
_WORD_NAMES = ", ".join(WORDS)
_CPU = "COALESCE(cpu_user_us, 0) + COALESCE(cpu_system_us, 0)"
_WAIT = "CASE WHEN submit_time IS NOT NULL AND start_time >= submit_time THEN CAST(DATE_DIFF('second', submit_time, start_time) AS BIGINT) END"
_FILLED = "CASE WHEN flags LIKE '%processors_%' THEN 1 ELSE 0 END"
_JOBS_ONLY = "LOWER(resource_type) NOT IN ('storage', 'transfer')"

BY_END_DAY = f"""
    SELECT end_day AS day, {_WORDS}, processors, gpu_model, outcome, cpu_source,
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

BY_END_DAY_AND_USER = f"""
    SELECT end_day AS day, {_WORDS}, COALESCE(global_user, local_user) AS user, outcome, cpu_source,
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
    """Records with the slots (days or hours, numbered from 1970) that their wall time touches.

    from_s and until_s bound the time that the wall time is placed in; where it is empty, it counts as one
    second long, so that everything falls into the slot of the start.
    """
    return f"""
        SELECT {columns}, wall_duration_s, from_s, until_s, UNNEST(RANGE(from_s // {slot_seconds}, (until_s - 1) // {slot_seconds} + 1)) AS slot
        FROM (
            SELECT *, CAST(EPOCH(DATE_TRUNC('second', start_time)) AS BIGINT) AS from_s,
                   from_s + GREATEST(1, LEAST(wall_duration_s, CAST(EPOCH(DATE_TRUNC('second', end_time)) AS BIGINT) - from_s)) AS until_s
            FROM usage_records
            WHERE start_day <= (SELECT MAX(day) FROM dirty) AND end_day >= (SELECT MIN(day) FROM dirty) AND {_JOBS_ONLY}
        )
    """


def _share(amount: str, slot_seconds: int) -> str:
    """What of a whole amount falls into the slot: cumulative floor at its end less that at its begin."""
    end = f"LEAST(until_s, (slot + 1) * {slot_seconds}) - from_s"
    begin = f"GREATEST(from_s, slot * {slot_seconds}) - from_s"
    return f"(({amount}) * ({end}) // (until_s - from_s) - ({amount}) * ({begin}) // (until_s - from_s))"


_DAY_S = 86_400
_HOUR_S = 3_600
_WALL_BY_DAY = _share("wall_duration_s", _DAY_S)
_WALL_BY_HOUR = _share("wall_duration_s", _HOUR_S)
_CPU_BY_DAY = _share(f"CAST({_CPU} AS HUGEINT)", _DAY_S)
_ENERGY_BY_DAY = _share("CAST(COALESCE(energy_j, 0) AS HUGEINT)", _DAY_S)

BY_DAYS_RUN = f"""
    WITH placed AS ({_placed(f"{_WORD_NAMES}, processors, gpu_model, outcome, cpu_source, njobs, gpus, node_count, cpu_user_us, cpu_system_us, energy_j, flags, submit_time, start_time, start_day, end_day", _DAY_S)}),
    parts AS (
        SELECT CAST(DATE '1970-01-01' + CAST(slot AS INTEGER) AS DATE) AS day, {_WORDS}, processors, gpu_model, outcome, cpu_source,
               {_WALL_BY_DAY} AS wall, gpus, node_count, {_CPU_BY_DAY} AS cpu, {_ENERGY_BY_DAY} AS energy, njobs,
               CASE WHEN slot = from_s // {_DAY_S} THEN 1 ELSE 0 END AS begins, {_WAIT} AS wait, {_FILLED} AS filled
        FROM placed
    ),
    ended AS (
        SELECT end_day AS day, {_WORDS}, processors, gpu_model, outcome, cpu_source, COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs
        FROM usage_records WHERE end_day IN (SELECT day FROM dirty) AND {_JOBS_ONLY} GROUP BY ALL
    )
    SELECT day, {_WORD_NAMES}, processors, gpu_model, outcome, cpu_source, CAST(0 AS BIGINT) AS records, CAST(0 AS BIGINT) AS jobs,
           CAST(SUM(wall) AS BIGINT) AS wall_seconds, CAST(SUM(wall * processors) AS BIGINT) AS core_seconds,
           CAST(SUM(cpu) AS BIGINT) AS cpu_us, CAST(SUM(wall * COALESCE(gpus, 0)) AS BIGINT) AS gpu_seconds,
           CAST(SUM(wall * COALESCE(node_count, 0)) AS BIGINT) AS node_seconds,
           CAST(SUM(CASE WHEN begins = 1 THEN COALESCE(wait, 0) ELSE 0 END) AS BIGINT) AS wait_seconds,
           CAST(SUM(CASE WHEN begins = 1 AND wait IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS waits,
           CAST(SUM(energy) AS BIGINT) AS energy_j, CAST(SUM(begins * filled) AS BIGINT) AS processors_filled,
           CAST(SUM(begins * njobs) AS BIGINT) AS started_jobs, CAST(SUM(njobs) AS BIGINT) AS active_jobs
    FROM parts WHERE day IN (SELECT day FROM dirty)
    GROUP BY ALL
    UNION ALL BY NAME
    SELECT *, 0 AS wall_seconds, 0 AS core_seconds, 0 AS cpu_us, 0 AS gpu_seconds, 0 AS node_seconds, 0 AS wait_seconds, 0 AS waits,
           0 AS energy_j, 0 AS processors_filled, 0 AS started_jobs, 0 AS active_jobs
    FROM ended
"""

BY_HOURS_RUN = f"""
    WITH placed AS ({_placed(f"{_WORD_NAMES}, processors", _HOUR_S)}),
    parts AS (
        SELECT slot, {_WORDS}, processors, {_WALL_BY_HOUR} AS wall FROM placed
    )
    SELECT CAST(DATE '1970-01-01' + CAST(slot // 24 AS INTEGER) AS DATE) AS day, MAKE_TIMESTAMP(slot * 3600000000) AS hour, {_WORD_NAMES},
           CAST(SUM(wall) AS BIGINT) AS wall_seconds, CAST(SUM(wall * processors) AS BIGINT) AS core_seconds
    FROM parts WHERE CAST(DATE '1970-01-01' + CAST(slot // 24 AS INTEGER) AS DATE) IN (SELECT day FROM dirty)
    GROUP BY ALL
"""

TRANSFERS_BY_START_DAY = f"""
    SELECT start_day AS day, {_WORDS}, transfer_protocol, transfer_is_write, outcome,
           COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS transfers, CAST(SUM(COALESCE(network_bytes, 0)) AS BIGINT) AS bytes,
           CAST(SUM(wall_duration_s) AS BIGINT) AS wall_seconds
    FROM usage_records
    WHERE start_day IN (SELECT day FROM dirty) AND NOT ({_JOBS_ONLY})
    GROUP BY ALL
"""

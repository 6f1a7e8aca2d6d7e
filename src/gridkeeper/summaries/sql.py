"""The SQL that adds records up: one statement per summary, over what a stage holds.

A stage (see making.py) holds records in a narrow table `staged`: their words and labels as one number, `combo`,
and the facts below. The statements of this file read `records`, where `part` says which of the summary's rows by
names (where, whose, what kind) a record belongs to. So records are grouped by numbers, and names are put to
the sums. Rows are wanted for the days in the table `dirty`.

Where a job's wall time is shorter than its time from start to end, the wall time is placed from the start
on; where it is longer, it is spread evenly over that time. What falls into a day (or hour) is the difference
of two cumulative floors, so the parts of a job add up to exactly its total.
"""

from __future__ import annotations

from gridkeeper.records.usage import FAILED_OUTCOMES

_DAY_S = 86_400
_HOUR_S = 3_600
_MOST_WRITTEN_OUT = 8

# What a record says in a few words of its own kind; the mapping does not look at them.
LABELS = ("gpu_model", "outcome", "cpu_source", "transfer_protocol")


def _seconds(time: str) -> str:
    """A time as whole seconds since 1970; cutting it with DATE_TRUNC, which asks for the time zone's rules, takes ten times as long."""
    return f"CAST(FLOOR(EPOCH({time})) AS BIGINT)"


# What else the statements need of a record: name here → where it comes from. Times are seconds since 1970.
FACTS = {
    "start_day": "start_day",
    "end_day": "end_day",
    "from_s": _seconds("start_time"),
    "to_s": _seconds("end_time"),
    "njobs": "njobs",
    "wall_s": "wall_duration_s",
    "processors": "processors",
    "cpu_us": "COALESCE(cpu_user_us, 0) + COALESCE(cpu_system_us, 0)",
    "gpus": "COALESCE(gpus, 0)",
    "nodes": "COALESCE(node_count, 0)",
    "energy_j": "COALESCE(energy_j, 0)",
    "wait_s": f"CASE WHEN submit_time IS NOT NULL AND start_time >= submit_time THEN {_seconds('start_time')} - {_seconds('submit_time')} END",
    "filled": "CASE WHEN flags LIKE '%processors_%' THEN 1 ELSE 0 END",
    "whose": "COALESCE(global_user, local_user)",
    "is_measured": "CASE WHEN chosen.cpu_source = 'measured' THEN 1 ELSE 0 END",
    "is_failed": f"CASE WHEN chosen.outcome IN {FAILED_OUTCOMES} THEN 1 ELSE 0 END",
    "has_outcome": "CASE WHEN chosen.outcome <> 'unknown' THEN 1 ELSE 0 END",
    "bytes": "COALESCE(network_bytes, 0)",
    "transfer_is_write": "transfer_is_write",
}
ALL_THAT_TOUCH = """
    SELECT * FROM usage_records
    WHERE start_day <= (SELECT MAX(day) FROM dirty) AND end_day >= (SELECT MIN(day) FROM dirty)
"""
THOSE_THAT_END = "SELECT * FROM usage_records WHERE end_day IN (SELECT day FROM dirty)"

BY_END_DAY = """
    SELECT end_day AS day, part, processors,
           COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs,
           CAST(SUM(wall_s) AS BIGINT) AS wall_seconds, CAST(SUM(wall_s * processors) AS BIGINT) AS core_seconds,
           CAST(SUM(cpu_us) AS BIGINT) AS cpu_us, CAST(SUM(wall_s * gpus) AS BIGINT) AS gpu_seconds,
           CAST(SUM(wall_s * nodes) AS BIGINT) AS node_seconds,
           CAST(SUM(COALESCE(wait_s, 0)) AS BIGINT) AS wait_seconds, COUNT(wait_s) AS waits,
           CAST(SUM(energy_j) AS BIGINT) AS energy_j, CAST(SUM(filled) AS BIGINT) AS processors_filled
    FROM records
    WHERE end_day IN (SELECT day FROM dirty)
    GROUP BY ALL
"""
BY_END_DAY_IN_BRIEF = """
    SELECT end_day AS day, part,
           COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs,
           CAST(SUM(wall_s) AS BIGINT) AS wall_seconds, CAST(SUM(wall_s * processors) AS BIGINT) AS core_seconds,
           CAST(SUM(is_measured) AS BIGINT) AS measured, CAST(SUM(is_measured * cpu_us) AS BIGINT) AS measured_cpu_us,
           CAST(SUM(is_measured * wall_s * processors) AS BIGINT) AS measured_core_seconds,
           CAST(SUM(CASE WHEN processors = 1 THEN is_measured ELSE 0 END) AS BIGINT) AS measured_1core,
           CAST(SUM(CASE WHEN processors = 1 THEN is_measured * cpu_us ELSE 0 END) AS BIGINT) AS measured_1core_cpu_us,
           CAST(SUM(CASE WHEN processors = 1 THEN is_measured * wall_s ELSE 0 END) AS BIGINT) AS measured_1core_seconds,
           CAST(SUM(has_outcome) AS BIGINT) AS with_outcome, CAST(SUM(is_failed * njobs) AS BIGINT) AS failed_jobs,
           CAST(SUM(is_failed * wall_s * processors) AS BIGINT) AS failed_core_seconds,
           CAST(SUM(wall_s * gpus) AS BIGINT) AS gpu_seconds, CAST(SUM(wall_s * nodes) AS BIGINT) AS node_seconds,
           CAST(SUM(COALESCE(wait_s, 0)) AS BIGINT) AS wait_seconds, COUNT(wait_s) AS waits,
           CAST(SUM(energy_j) AS BIGINT) AS energy_j, CAST(SUM(filled) AS BIGINT) AS processors_filled
    FROM records
    WHERE end_day IN (SELECT day FROM dirty)
    GROUP BY ALL
"""
BY_END_DAY_AND_USER = """
    SELECT end_day AS day, part, whose AS user,
           COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs,
           CAST(SUM(wall_s) AS BIGINT) AS wall_seconds, CAST(SUM(wall_s * processors) AS BIGINT) AS core_seconds,
           CAST(SUM(cpu_us) AS BIGINT) AS cpu_us, CAST(SUM(wall_s * gpus) AS BIGINT) AS gpu_seconds,
           CAST(SUM(COALESCE(wait_s, 0)) AS BIGINT) AS wait_seconds, COUNT(wait_s) AS waits
    FROM records
    WHERE end_day IN (SELECT day FROM dirty)
    GROUP BY ALL
"""


def _placed(slot_seconds: int) -> str:
    """Records with the time [from_s, until_s) that their wall time is placed in, and its first and last slot.

    Slots are days or hours since 1970. Where the time would be empty, it is one second long, so that
    everything falls into the slot of the start.
    """
    return f"""
        SELECT *, from_s // {slot_seconds} AS first_slot, (until_s - 1) // {slot_seconds} AS last_slot, to_s // {slot_seconds} AS end_slot
        FROM (SELECT *, from_s + GREATEST(1, LEAST(wall_s, to_s - from_s)) AS until_s FROM records) AS bounded
    """


def _bounds(slot_seconds: int) -> tuple[str, str]:
    """The slot's end and begin in seconds since the job began, as far as the job runs in it."""
    end = f"LEAST(until_s, (slot + 1) * {slot_seconds}) - from_s"
    begin = f"GREATEST(from_s, slot * {slot_seconds}) - from_s"
    return end, begin


def _share(amount: str, slot_seconds: int) -> str:
    """What of a whole amount falls into the slot: cumulative floor at its end less that at its begin."""
    end, begin = _bounds(slot_seconds)
    return f"(({amount}) * ({end}) // (until_s - from_s) - ({amount}) * ({begin}) // (until_s - from_s))"


def _big_share(amount: str, slot_seconds: int) -> str:
    """The same of an amount that times the seconds would be too large: what the seconds divide it into, and of what is left over."""
    end, begin = _bounds(slot_seconds)
    of_left = _share(f"{amount} % (until_s - from_s)", slot_seconds)
    return f"({amount} // (until_s - from_s) * (({end}) - ({begin})) + {of_left})"


def _day_of(slot: str) -> str:
    return f"CAST(DATE '1970-01-01' + CAST({slot} AS INTEGER) AS DATE)"


# Most jobs run within one day and need no splitting. `runs`, `begins` and `ends` say whether the job runs, begins and
# ends in the slot; a job that ends at midnight, or after its wall time, ends on a day on which it does not run.
BY_DAYS_RUN = f"""
    WITH placed AS ({_placed(_DAY_S)}),
    parts AS (
        SELECT first_slot AS slot, part, processors, wall_s, cpu_us, energy_j, gpus, nodes, njobs, wait_s, filled,
               1 AS runs, 1 AS begins, CASE WHEN end_slot = first_slot THEN 1 ELSE 0 END AS ends
        FROM placed WHERE first_slot = last_slot
        UNION ALL
        SELECT slot, part, processors, {_share("wall_s", _DAY_S)}, {_big_share("cpu_us", _DAY_S)}, {_big_share("energy_j", _DAY_S)}, gpus, nodes, njobs, wait_s, filled,
               1 AS runs, CASE WHEN slot = first_slot THEN 1 ELSE 0 END AS begins, CASE WHEN slot = end_slot THEN 1 ELSE 0 END AS ends
        FROM (SELECT *, UNNEST(RANGE(first_slot, last_slot + 1)) AS slot FROM placed WHERE first_slot < last_slot) AS split
        UNION ALL
        SELECT end_slot AS slot, part, processors, 0, 0, 0, 0, 0, njobs, NULL, 0, 0 AS runs, 0 AS begins, 1 AS ends
        FROM placed WHERE end_slot > last_slot
    )
    SELECT {_day_of("slot")} AS day, part, processors,
           CAST(SUM(ends) AS BIGINT) AS records, CAST(SUM(ends * njobs) AS BIGINT) AS jobs,
           CAST(SUM(wall_s) AS BIGINT) AS wall_seconds, CAST(SUM(wall_s * processors) AS BIGINT) AS core_seconds,
           CAST(SUM(cpu_us) AS BIGINT) AS cpu_us, CAST(SUM(wall_s * gpus) AS BIGINT) AS gpu_seconds,
           CAST(SUM(wall_s * nodes) AS BIGINT) AS node_seconds,
           CAST(SUM(begins * COALESCE(wait_s, 0)) AS BIGINT) AS wait_seconds,
           CAST(SUM(CASE WHEN begins = 1 AND wait_s IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS waits,
           CAST(SUM(energy_j) AS BIGINT) AS energy_j, CAST(SUM(begins * filled) AS BIGINT) AS processors_filled,
           CAST(SUM(begins * njobs) AS BIGINT) AS started_jobs, CAST(SUM(runs * njobs) AS BIGINT) AS active_jobs
    FROM parts WHERE {_day_of("slot")} IN (SELECT day FROM dirty)
    GROUP BY ALL
"""

# A job of a few hours is written out hour by hour. Of a longer one, the first and last hour are; for the hours between
# it adds 3600 seconds at the first of them and takes them away after the last, and a running sum over these edges gives
# every hour. A job whose wall time is not its time from start to end is always spread hour by hour.
_IS_LONG = f"wall_s = until_s - from_s AND last_slot - first_slot > {_MOST_WRITTEN_OUT}"
BY_HOURS_RUN = f"""
    WITH placed AS ({_placed(_HOUR_S)}),
    long AS (SELECT * FROM placed WHERE {_IS_LONG}),
    edges AS (
        SELECT part, slot, CAST(SUM(wall) AS BIGINT) AS wall, CAST(SUM(core) AS BIGINT) AS core
        FROM (
            SELECT part, first_slot + 1 AS slot, {_HOUR_S} AS wall, {_HOUR_S} * processors AS core FROM long
            UNION ALL
            SELECT part, last_slot, -{_HOUR_S}, -{_HOUR_S} * processors FROM long
        ) AS each_edge
        GROUP BY ALL
    ),
    steps AS (
        SELECT part, slot, SUM(wall) OVER before AS wall, SUM(core) OVER before AS core, LEAD(slot) OVER (PARTITION BY part ORDER BY slot) AS next_slot
        FROM edges
        WINDOW before AS (PARTITION BY part ORDER BY slot)
    ),
    pieces AS (
        SELECT part, slot, {_share("wall_s", _HOUR_S)} AS wall, processors
        FROM (SELECT *, UNNEST(RANGE(first_slot, last_slot + 1)) AS slot FROM placed WHERE NOT ({_IS_LONG})) AS split
        UNION ALL
        SELECT part, first_slot, (first_slot + 1) * {_HOUR_S} - from_s, processors FROM long
        UNION ALL
        SELECT part, last_slot, until_s - last_slot * {_HOUR_S}, processors FROM long
    ),
    hours AS (
        SELECT part, slot, wall, wall * processors AS core FROM pieces
        UNION ALL
        SELECT part, UNNEST(RANGE(slot, next_slot)) AS slot, CAST(wall AS BIGINT), CAST(core AS BIGINT) FROM steps WHERE wall <> 0
    ),
    added AS (SELECT slot, part, CAST(SUM(wall) AS BIGINT) AS wall_seconds, CAST(SUM(core) AS BIGINT) AS core_seconds FROM hours GROUP BY ALL)
    SELECT {_day_of("slot // 24")} AS day, MAKE_TIMESTAMP(slot * 3600000000) AS hour, part, wall_seconds, core_seconds
    FROM added WHERE {_day_of("slot // 24")} IN (SELECT day FROM dirty)
"""
TRANSFERS_BY_START_DAY = """
    SELECT start_day AS day, part, transfer_is_write,
           COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS transfers, CAST(SUM(bytes) AS BIGINT) AS bytes,
           CAST(SUM(wall_s) AS BIGINT) AS wall_seconds
    FROM records
    WHERE start_day IN (SELECT day FROM dirty)
    GROUP BY ALL
"""

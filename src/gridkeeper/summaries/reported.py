"""What others summed up (`usage_reported`), mapped and in the shape of a summary, under the name `usage_reported_monthly`.

These rows are months of whole groups, not jobs, and never stand in one sum with jobs. There are few of them:
they are read and mapped with each question.
"""

from __future__ import annotations

from gridkeeper.federation.mapping import WORDS

NAME = "usage_reported_monthly"

_WORDS_HERE = {"resource", "site_reported", "vo_reported", "probe"}
_WORDS_SQL = ", ".join(
    f"COALESCE({word}, '') AS {word}"
    if word in _WORDS_HERE
    else "COALESCE(vo_group, '') AS fqan"
    if word == "fqan"
    else f"'' AS {word}"
    for word in WORDS
)

RAW_SQL = f"""
    SELECT start_day AS day, {_WORDS_SQL}, processors, cpu_source, global_user AS user, COUNT(*) AS records,
           CAST(SUM(njobs) AS BIGINT) AS jobs, CAST(SUM(wall_duration_s) AS BIGINT) AS wall_seconds,
           CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_seconds,
           CAST(SUM(COALESCE(cpu_duration_s, 0)) * 1000000 AS BIGINT) AS cpu_us,
           CAST(SUM(normalised_wall_s) AS BIGINT) AS normalised_wall_s, CAST(SUM(normalised_cpu_s) AS BIGINT) AS normalised_cpu_s
    FROM usage_reported
    GROUP BY ALL
"""

FOLD_SQL = f"""
    SELECT raw.day, meanings.meant_resource AS resource, meanings.meant_site AS site, meanings.meant_facility AS facility,
           meanings.meant_vo AS vo, meanings.meant_experiment AS experiment, meanings.meant_grid AS grid, TRUE AS in_grid, TRUE AS counted,
           'batch' AS level, 'Batch' AS resource_type, NULLIF(raw.probe, '') AS probe, CAST(NULL AS VARCHAR) AS queue, raw.processors,
           CAST(NULL AS VARCHAR) AS gpu_model, 'unknown' AS outcome, raw.cpu_source, CAST(NULL AS VARCHAR) AS project, raw.user,
           raw.records, raw.jobs, raw.wall_seconds, raw.core_seconds, raw.cpu_us, CAST(NULL AS BIGINT) AS gpu_seconds,
           CAST(NULL AS BIGINT) AS node_seconds, CAST(NULL AS BIGINT) AS wait_seconds, CAST(NULL AS BIGINT) AS waits, CAST(NULL AS BIGINT) AS energy_j,
           CAST(NULL AS BIGINT) AS started_jobs, CAST(NULL AS BIGINT) AS active_jobs, CAST(0 AS BIGINT) AS processors_filled,
           raw.normalised_wall_s, raw.normalised_cpu_s
    FROM raw JOIN meanings ON {" AND ".join(f"raw.{word} = meanings.{word}" for word in (*WORDS, "as_of"))}
"""

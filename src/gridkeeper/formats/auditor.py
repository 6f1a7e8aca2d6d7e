"""`auditor`: the records that AUDITOR keeps and hands out, as JSON: an array, one to a line, or one behind the other.

A record is an id, a start, a stop, `meta` (lists of texts by name) and `components` (amounts by name, with scores).
Names and units are what a site's collectors were configured to write; read are those of AUDITOR's own examples.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.gratia_tree import Refused
from gridkeeper.formats.gratia_values import times
from gridkeeper.formats.json_records import BLANKS, Found, json_blocks, json_values
from gridkeeper.formats.text_columns import MOST_SECONDS
from gridkeeper.records.draft import Draft, Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery

CORES, NODES, MEMORY, POD_CPU = "Cores", "NNodes", "memory", "cpu"
USER_CPU, SYSTEM_CPU, TOTAL_CPU = "UserCPU", "SystemCPU", "TotalCPU"
# Where a record bears several scores of its cores, the first of these holds; then whichever stands first.
BENCHMARKS = {"hepscore23": "HEPscore23", "hepspec06": "HEPSPEC06", "hepspec": "HEPSPEC"}
MOST_COUNT = 2**31 - 1
MOST_BYTES = 2**62
_RECORD_ID = re.compile(rb'"record_id"\s*:\s*"')
_PARTS = (b'"components"', b'"start_time"')
# The collector of HTCondor names a record by its prefix and the job's GlobalJobId.
_OF_CONDOR = re.compile(r".+#[0-9]+\.[0-9]+#[0-9]+")
_FQAN = re.compile(r"(?P<group>/(?P<vo>[^/=]+)(?:/[^/=]+)*)(?:/(?P<role>Role=[^/]+))?(?:/.*)?", re.DOTALL)
_TYPES = {column.name: column.type for column in USAGE_RECORDS.columns}


class Auditor:
    """Reads AUDITOR's records."""

    name = "auditor"
    describes = "AUDITOR's records as JSON: an array, or one to a line"

    def recognise(self, head: bytes) -> bool:
        """JSON with a record's id, and its components or its start."""
        if not head.lstrip(BLANKS).startswith((b"{", b"[")):
            return False
        return _RECORD_ID.search(head) is not None and any(part in head for part in _PARTS)

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut between objects; the context says how they are arranged."""
        return json_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of objects."""
        parsed = Parsed(rejects=list(block.refused))
        rows: list[dict[str, Any]] = []
        origin: list[Found] = []
        for found in json_values(block, parsed):
            for record in found.value if isinstance(found.value, list) else [found.value]:
                try:
                    row = _row(record, parsed)
                except Refused as why:
                    parsed.rejects.append(Reject.of(why.rule, found.line, why.detail, found.text))
                    continue
                if row is not None:
                    rows.append(row)
                    origin.append(found)
        if rows:
            draft = _draft(rows, origin, parsed)
            if len(draft):
                finish_usage(draft, "auditor", self.name, delivery, parsed)
        return parsed


def _draft(rows: list[dict[str, Any]], origin: list[Found], parsed: Parsed) -> Draft:
    """Turn rows into columns; refuse those whose times cannot be read."""
    columns: dict[str, pa.Array] = {}
    fine = np.ones(len(rows), dtype=bool)
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name not in ("start_time", "end_time"):
            columns[name] = pa.array(values, _TYPES[name])
            continue
        columns[name], unreadable = times(pa.array(values, pa.string()))
        broken = pc.fill_null(unreadable, False).to_numpy(zero_copy_only=False) & fine
        for row in np.flatnonzero(broken).tolist():
            detail = f"{'start_time' if name == 'start_time' else 'stop_time'} is no time with its zone"
            parsed.rejects.append(Reject.of(Rule.BAD_TIME, origin[row].line, detail, origin[row].text))
        fine &= ~broken
    if not fine.all():
        columns = {name: column.filter(pa.array(fine)) for name, column in columns.items()}
    kept = np.flatnonzero(fine).tolist()
    return Draft(columns, [origin[row].line for row in kept], lambda row: origin[kept[row]].text)


def _row(record: object, parsed: Parsed) -> dict[str, Any] | None:
    """Read one record; None, and counted as skipped, for one that has not stopped."""
    if not isinstance(record, dict):
        raise Refused(Rule.NOT_WELL_FORMED, "a value where an object should be")
    if "record_id" not in record:
        raise Refused(Rule.UNKNOWN_RECORD_TYPE, "an object without a record_id")
    record_id = _text(record["record_id"], "record_id")
    start, stop = _text(record.get("start_time"), "start_time"), _text(record.get("stop_time"), "stop_time")
    if stop is None:
        parsed.skipped["not_ended"] += 1
        return None
    if start is None:
        raise Refused(Rule.MISSING_FIELD, "start_time is missing")
    meta, components = _meta(record), _components(record)
    site = meta.get("site_id") or meta.get("site")
    user_us, system_us = _cpu_us(components, record_id or "")
    benchmark, score = _score(components.get(CORES, {}))
    memory = _amount(components, MEMORY)
    return {
        "resource": site,
        "site_reported": site,
        "local_job_id": record_id,
        "submit_host": meta.get("headnode") or meta.get("submithost"),
        "local_user": meta.get("user_id") or meta.get("user"),
        "global_user": meta.get("subject"),
        "unix_group": meta.get("group_id"),
        **_vo(meta),
        "start_time": start,
        "end_time": stop,
        "wall_duration_s": _bounded(_whole(record.get("runtime"), "runtime"), MOST_SECONDS),
        "cpu_user_us": user_us,
        "cpu_system_us": system_us,
        "processors": _bounded(_amount(components, CORES), MOST_COUNT),
        "node_count": _bounded(_amount(components, NODES), MOST_COUNT),
        "memory_bytes": _bounded(memory, MOST_BYTES),
        "benchmark_name": benchmark,
        "benchmark_per_core": score,
    }


def _text(value: object, name: str) -> str | None:
    """A text, without blanks around it; null for the empty one."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused(Rule.NOT_WELL_FORMED, f"{name} is no text")
    return value.strip() or None


def _whole(value: object, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, float) and math.isfinite(value):
        value = math.floor(value + 0.5)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(Rule.BAD_NUMBER, f"{name} is no number")
    return value


def _bounded(number: int | None, most: int) -> int | None:
    """What is beyond `most` becomes `most`, which no rule lets pass where a rule knows the column."""
    return None if number is None else max(-most, min(number, most))


def _meta(record: dict[str, Any]) -> dict[str, str]:
    """The first value of each name; AUDITOR forbids a slash in values, so that collectors write it as %2F."""
    meta = record.get("meta")
    if meta is None:
        return {}
    if not isinstance(meta, dict):
        raise Refused(Rule.NOT_WELL_FORMED, "meta is no object")
    first: dict[str, str] = {}
    for name, values in meta.items():
        value = values[0] if isinstance(values, list) and values else values
        if isinstance(value, str) and value.strip():
            first[name] = value.strip().replace("%2F", "/").replace("%2f", "/")
    return first


def _components(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The components by name; of two with one name the last holds."""
    listed = record.get("components")
    if listed is None:
        return {}
    if not isinstance(listed, list):
        raise Refused(Rule.NOT_WELL_FORMED, "components is no array")
    found = {}
    for component in listed:
        if not isinstance(component, dict) or not isinstance(component.get("name"), str):
            raise Refused(Rule.NOT_WELL_FORMED, "a component without a name")
        found[component["name"]] = component
    return found


def _amount(components: dict[str, dict[str, Any]], name: str) -> int | None:
    return _whole(components.get(name, {}).get("amount"), f"the amount of {name}")


def _cpu_us(components: dict[str, dict[str, Any]], record_id: str) -> tuple[int | None, int | None]:
    """User and system CPU time: what the three collectors write, each in its own unit."""
    pod_s = _amount(components, POD_CPU)
    unit_us = MICROSECONDS_PER_SECOND if _OF_CONDOR.fullmatch(record_id) else 1000
    user, system, total = (_amount(components, name) for name in (USER_CPU, SYSTEM_CPU, TOTAL_CPU))
    most = MOST_SECONDS * MICROSECONDS_PER_SECOND
    if user is None or system is None:  # one of the two alone is not the whole
        user, system = (total if total is not None else user), (None if total is not None else system)
    if user is None and system is None and pod_s is not None:
        user, unit_us = pod_s, MICROSECONDS_PER_SECOND
    return (
        None if user is None else _bounded(user * unit_us, most),
        None if system is None else _bounded(system * unit_us, most),
    )


def _score(cores: dict[str, Any]) -> tuple[str | None, float | None]:
    """Name and value of the benchmark that the cores bear."""
    scores: dict[str, float] = {}
    listed = cores.get("scores")
    for score in listed if isinstance(listed, list) else []:
        name, value = (score.get("name"), score.get("value")) if isinstance(score, dict) else (None, None)
        # Collectors write 0 where they found no value.
        if isinstance(name, str) and isinstance(value, int | float) and 0 < value < math.inf:
            scores.setdefault(BENCHMARKS.get(name.lower(), name), float(value))
    for name in (*BENCHMARKS.values(), *scores):
        if name in scores:
            return name, scores[name]
    return None, None


def _vo(meta: dict[str, str]) -> dict[str, str | None]:
    """The VO: of the VOMS attribute, else the group as HTCondor's collector is shown to set it."""
    voms = meta.get("voms")
    found = _FQAN.fullmatch(voms) if voms else None
    role = found["role"] if found else None
    return {
        "vo_reported": found["vo"] if found else voms or meta.get("group"),
        "fqan": voms if found else None,
        "vo_group": found["group"] if found else None,
        "vo_role": role,
    }


FORMAT = Auditor()

"""`sacct-json`: what Slurm's `sacct --json` writes, of version 22.05 and of the newer data parsers.

A run is the same record here and in sacct's text: cluster, job id and submit time name it. CPU time is the sum
over the steps, because 22.05 writes 0 at the job itself.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import pyarrow as pa

from gridkeeper.formats import slurm_fields
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.json_objects import INSIDE, array_blocks, objects
from gridkeeper.formats.text_columns import EARLIEST_EPOCH_S, FARTHEST_EPOCH_S, MOST_SECONDS
from gridkeeper.records.draft import Draft, Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery

MOST_COUNT = 2**31 - 1
_TYPES = {column.name: column.type for column in USAGE_RECORDS.columns}


class _Unreadable(Exception):
    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(detail)
        self.rule, self.detail = rule, detail


class SacctJson:
    """Reads `sacct --json`."""

    name = "sacct-json"
    describes = "Slurm's accounting as JSON: `sacct --json`"

    def recognise(self, head: bytes) -> bool:
        """An object that says it is Slurm's, or whose `jobs` have what sacct says of a job."""
        if not head.lstrip().startswith(b"{"):
            return False
        return b'"jobs"' in head and any(
            mark in head for mark in (b'"association"', b'"allocation_nodes"', b'"derived_exit_code"')
        )

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut between the objects of the array `jobs`; the context says whether a block stands inside it."""
        return array_blocks(stream, block_bytes, "jobs")

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of jobs."""
        parsed = Parsed(rejects=list(block.refused))
        if block.context != INSIDE:
            return parsed
        rows: list[dict[str, Any]] = []
        lines: list[int] = []
        texts: list[bytes] = []
        line, counted = block.first_line, 0
        for begin, end in objects(block.data):
            line += block.data.count(b"\n", counted, begin)
            counted, text = begin, block.data[begin:end]
            try:
                row = _row(_job(text), parsed)
            except _Unreadable as unreadable:
                stray = len(text) - len(text.lstrip(b" \t\r\n,"))
                parsed.rejects.append(
                    Reject.of(
                        unreadable.rule, line + text[:stray].count(b"\n"), unreadable.detail, text[stray:]
                    )
                )
                continue
            if row is not None:
                rows.append(row)
                lines.append(line)
                texts.append(text)
        if rows:
            columns = {name: pa.array([row[name] for row in rows], _TYPES[name]) for name in rows[0]}
            finish_usage(Draft(columns, lines, texts.__getitem__), "slurm", self.name, delivery, parsed)
        return parsed


def _job(text: bytes) -> dict[str, Any]:
    try:
        job = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            text.decode()
        except UnicodeDecodeError:
            raise _Unreadable(Rule.NOT_UTF8, "bytes that are no UTF-8") from None
        raise _Unreadable(Rule.NOT_WELL_FORMED, f"no JSON object: {error}") from None
    if not isinstance(job, dict):
        raise _Unreadable(Rule.NOT_WELL_FORMED, "something other than an object among the jobs")
    return job


def _row(job: dict[str, Any], parsed: Parsed) -> dict[str, Any] | None:
    """Read one job into columns; None, and counted as skipped, for what is no finished run."""
    state = _state(job)
    start, end = _moment(job, "time", "start"), _moment(job, "time", "end")
    nodes = _text(job, "nodes")
    if end is None or (state or "").split(" ", 1)[0] in slurm_fields.UNFINISHED_STATES:
        parsed.skipped["not_ended"] += 1
        return None
    if nodes == slurm_fields.NEVER_STARTED or start is None:
        parsed.skipped["never_ran"] += 1
        return None
    job_id = _number(job, "job_id")
    user_us, system_us = _cpu_us(job)
    gpus, model = _gpus(job)
    energy = _energy_j(job)
    cluster = _text(job, "cluster") or _text(job, "association", "cluster")
    code, signal = _exit(job, state)
    return {
        "resource": cluster,
        "machine": cluster,
        "local_job_id": None if job_id is None else str(job_id),
        "array_task": _array_task(job, job_id),
        "queue": _text(job, "partition"),
        "host": nodes,
        "exit_code": code,
        "exit_signal": signal,
        "status_reported": state,
        "outcome": slurm_fields.outcome(state),
        "local_user": _text(job, "user") or _text(job, "association", "user"),
        "account": _text(job, "account") or _text(job, "association", "account"),
        "unix_group": _text(job, "group"),
        "submit_time": _moment(job, "time", "submission") or start,
        "start_time": start,
        "end_time": end,
        "wall_duration_s": _seconds(job, "time", "elapsed"),
        "suspended_s": _seconds(job, "time", "suspended"),
        "cpu_user_us": user_us,
        "cpu_system_us": system_us,
        "processors": _count(_allocated(job, "cpu"), "the CPUs"),
        "node_count": _count(_number(job, "allocation_nodes"), "allocation_nodes"),
        "gpus": _count(gpus, "the GPUs"),
        "gpu_model": model,
        "memory_bytes": _memory_bytes(job),
        "energy_j": energy,
        "energy_source": None if energy is None else "slurm",
    }


def _at(thing: Any, *path: str) -> Any:
    """What stands at a path of keys; None where the path ends early."""
    for key in path:
        if not isinstance(thing, dict):
            return None
        thing = thing.get(key)
    return thing


def _listed(thing: Any, *path: str) -> list[Any]:
    found = _at(thing, *path)
    return found if isinstance(found, list) else []


def _text(thing: Any, *path: str) -> str | None:
    """A text; null for the empty one."""
    found = _at(thing, *path)
    if found is None or isinstance(found, str):
        return found or None
    raise _Unreadable(Rule.NOT_WELL_FORMED, f"{'.'.join(path)} is no text")


def _number(thing: Any, *path: str) -> int | None:
    """A whole number, also as {set, infinite, number}; null where it is not set or infinite."""
    found = _at(thing, *path)
    if isinstance(found, dict):
        if found.get("set") is False or found.get("infinite") is True:
            return None
        found = found.get("number")
    if found is None:
        return None
    if isinstance(found, float) and math.isfinite(found):
        found = math.floor(found + 0.5)
    if isinstance(found, str) and found.isascii() and found.removeprefix("-").isdecimal() and len(found) < 20:
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= 2**63:
        raise _Unreadable(Rule.BAD_NUMBER, f"{'.'.join(path)} is no whole number")
    return found


def _moment(job: dict[str, Any], *path: str) -> datetime | None:
    """A time; 0 means that it has not come."""
    seconds = _number(job, *path)
    if not seconds:
        return None
    if not EARLIEST_EPOCH_S <= seconds <= FARTHEST_EPOCH_S:
        raise _Unreadable(Rule.BAD_TIME, f"{'.'.join(path)} is no time")
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(thing: Any, *path: str) -> int | None:
    seconds = _number(thing, *path)
    return None if seconds is None else max(-MOST_SECONDS, min(seconds, MOST_SECONDS))


def _count(number: int | None, what: str) -> int | None:
    if number is not None and abs(number) > MOST_COUNT:
        raise _Unreadable(Rule.ABSURD_VALUE, f"{what} are {number}")
    return number


def _state(job: dict[str, Any]) -> str | None:
    """The state; newer versions write a list of the state and its flags."""
    found = _at(job, "state", "current")
    if isinstance(found, list) and all(isinstance(word, str) for word in found):
        return " ".join(found) or None
    return _text(job, "state", "current")


def _cpu_us(job: dict[str, Any]) -> tuple[int | None, int | None]:
    """User and system CPU time: the sum over the steps, else what the job says unless that is nothing."""
    steps = _listed(job, "steps")
    parts = [tuple(_microseconds(step, "time", mode) for mode in ("user", "system")) for step in steps]
    if not parts:
        user, system = (_microseconds(job, "time", mode) for mode in ("user", "system"))
        parts = [(user, system)] if user or system else []
    if not parts:
        return None, None
    most = MOST_SECONDS * MICROSECONDS_PER_SECOND
    user, system = (max(-most, min(sum(column), most)) for column in zip(*parts, strict=True))
    return user, system


def _microseconds(thing: Any, *path: str) -> int:
    seconds, micro = _number(thing, *path, "seconds"), _number(thing, *path, "microseconds")
    return (seconds or 0) * MICROSECONDS_PER_SECOND + (micro or 0)


def _tres(thing: Any, *path: str) -> Iterator[tuple[str, str, int | None]]:
    """Type, name and count of each trackable resource of a list."""
    for each in _listed(thing, *path):
        kind, name = _at(each, "type"), _at(each, "name")
        if isinstance(kind, str):
            yield kind, name if isinstance(name, str) else "", _number(each, "count")


def _allocated(job: dict[str, Any], wanted: str) -> int | None:
    return next((count for kind, _, count in _tres(job, "tres", "allocated") if kind == wanted), None)


def _gpus(job: dict[str, Any]) -> tuple[int | None, str | None]:
    """GPUs and their model, by the same rule as in sacct's text."""
    text = ",".join(
        f"gres/{name}={count}"
        for kind, name, count in _tres(job, "tres", "allocated")
        if kind == "gres" and count is not None and name.split(":")[0] == "gpu"
    )
    return slurm_fields.gpus(text)


def _memory_bytes(job: dict[str, Any]) -> int | None:
    """The most memory that a step used."""
    used = [
        count
        for step in _listed(job, "steps")
        for kind, _, count in _tres(step, "tres", "requested", "max")
        if kind == "mem" and count is not None
    ]
    return max(used, default=None)


def _energy_j(job: dict[str, Any]) -> int | None:
    """The energy of all steps; Slurm writes 0 where it measures none."""
    used = [_number(step, "statistics", "energy", "consumed") or 0 for step in _listed(job, "steps")]
    total = sum(used)
    return total if 0 < total < 2**63 else None


def _exit(job: dict[str, Any], state: str | None) -> tuple[int | None, int | None]:
    code = _number(job, "exit_code", "return_code")
    signal = _number(job, "exit_code", "signal", "signal_id")
    if signal is None:
        signal = _number(job, "exit_code", "signal", "id")
    if code is None and signal is None:
        return None, None
    signal = _count(signal or 0, "the exit signal")
    if not code and not signal and slurm_fields.outcome(state) == "failed":
        return None, signal  # 22.05 writes every job's exit code as 0; of a failed one it is not known
    return _count(code or 0, "the exit code"), signal


def _array_task(job: dict[str, Any], job_id: int | None) -> str | None:
    """The job's name within its array or heterogeneous job, as sacct's text writes it."""
    array, task = _number(job, "array", "job_id"), _number(job, "array", "task_id")
    if array and task is not None:
        return f"{array}_{task}"
    het, offset = _number(job, "het", "job_id"), _number(job, "het", "job_offset")
    if het and offset is not None:
        return f"{het}+{offset}"
    return None


FORMAT = SacctJson()

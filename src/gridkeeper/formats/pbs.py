"""`pbs`: the accounting files of Torque, OpenPBS and PBS Professional, `server_priv/accounting/YYYYMMDD`.

One line is one event of a job: `MM/DD/YYYY HH:MM:SS;TYPE;JOBID;key=value key=value ...`. The time it begins with is
the server's local time without its zone and is never read; the times of the job are seconds since 1970. A run is
counted where it ended: in its `E` line, or in the `R` line that PBS Professional writes when it is to run again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from gridkeeper.formats import pbs_values
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.lines import line_blocks
from gridkeeper.formats.text_columns import FARTHEST_EPOCH_S
from gridkeeper.records.draft import Draft, Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery

ENDED, RERUN = "E", "R"
# What no run ended with, by the letter of the line.
SKIPPED = {
    "Q": "queued", "S": "started", "s": "started", "D": "deleted", "A": "aborted", "C": "checkpointed", "T": "restarted",
    "M": "moved", "a": "altered", "z": "suspended", "r": "resumed", "u": "phase", "c": "phase", "e": "phase", "L": "licence",
    "U": "reservation", "Y": "reservation", "B": "reservation", "F": "reservation", "K": "reservation", "k": "reservation",
    "P": "provisioning", "p": "provisioning",
}  # fmt: skip
NO_PROJECT = "_pbs_project_default"
# What `grep` puts before a line when it searches several files is passed over.
_BEGIN = r"(?:[^\s;]*:)?[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2};(?P<type>[A-Za-z]);(?P<job>[^;]*);"
_LINE = re.compile(_BEGIN)
_FIRST_LINE = re.compile(_BEGIN.encode())
_FIELD = re.compile(r"([A-Za-z_][\w.@-]*)=(.*)", re.DOTALL)
_JOB = re.compile(r"(?P<name>(?P<number>[^.\[]+)(?P<task>\[[^\]]*\])?)(?:\.(?P<server>.+))?")
_OLD_ARRAY_TASK = re.compile(r"[0-9]+-[0-9]+")
_SECONDS = re.compile(r"[0-9]{1,12}")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_TYPES = {column.name: column.type for column in USAGE_RECORDS.columns}


class _Unreadable(Exception):
    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(detail)
        self.rule, self.detail = rule, detail


class Pbs:
    """Reads PBS accounting files."""

    name = "pbs"
    describes = "PBS accounting files: Torque, OpenPBS and PBS Professional"

    def recognise(self, head: bytes) -> bool:
        """A first line that begins with a date, a time, a letter and a job's id, as PBS sets them apart."""
        return _FIRST_LINE.match(head.lstrip()[:1024]) is not None

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut at line ends."""
        return line_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of lines."""
        parsed = Parsed(rejects=list(block.refused))
        rows: list[dict[str, Any]] = []
        lines: list[int] = []
        pieces = block.data.split(b"\n")
        for index, piece in enumerate(pieces):
            if not piece.strip():
                continue
            try:
                row = _row(_text(piece, index == len(pieces) - 1), parsed)
            except _Unreadable as why:
                parsed.rejects.append(Reject.of(why.rule, block.first_line + index, why.detail, piece))
                continue
            if row is not None:
                rows.append(row)
                lines.append(block.first_line + index)
        if rows:
            columns = {name: pa.array([row[name] for row in rows], _TYPES[name]) for name in rows[0]}
            draft = Draft(columns, lines, lambda row: pieces[lines[row] - block.first_line])
            finish_usage(draft, "pbs", self.name, delivery, parsed)
        return parsed


def _text(piece: bytes, is_open: bool) -> str:
    """The text of a line; `is_open` says that no line end follows, so that its last number may have been cut."""
    if b"\0" in piece:
        raise _Unreadable(Rule.BINARY_JUNK, "a NUL byte in a line of text")
    try:
        text = piece.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise _Unreadable(Rule.NOT_UTF8, "bytes that are no UTF-8") from None
    if is_open:
        raise _Unreadable(Rule.TRUNCATED, "a line without its end")
    return text


def _row(text: str, parsed: Parsed) -> dict[str, Any] | None:
    """Read one line into columns; None, and counted as skipped, for what is no run that ended."""
    line = _LINE.match(text)
    if line is None:
        raise _Unreadable(Rule.NOT_WELL_FORMED, "a line that is no `date time;type;job;fields`")
    kind = line["type"]
    if kind not in (ENDED, RERUN):
        if kind not in SKIPPED:
            raise _Unreadable(
                Rule.UNKNOWN_RECORD_TYPE, f"a line of type {kind!r}, which no PBS is known to write"
            )
        parsed.skipped[SKIPPED[kind]] += 1
        return None
    job = _JOB.fullmatch(line["job"])
    if job is None:
        raise _Unreadable(Rule.NO_IDENTITY, "a line without a job id")
    fields = _fields(text[line.end() :])
    reason = _no_run(kind, job, fields)
    if reason:
        parsed.skipped[reason] += 1
        return None
    return _run(kind, job, fields)


def _no_run(kind: str, job: re.Match[str], fields: dict[str, str]) -> str | None:
    """Say why an E or R line tells of no run of its own."""
    if job["task"] == "[]":
        return "array_parent"  # its tasks have lines of their own
    if kind == RERUN and "end" not in fields:
        return "rerun_without_usage"  # Torque says no more
    return "never_ran" if fields.get("start") == "0" else None


def _fields(text: str, with_quotes: bool = True) -> dict[str, str]:
    """Take `key=value` pairs apart: values may be quoted, and a word without `=` belongs to the value before it."""
    parts = text.split(" ")
    if '"' not in text and "'" not in text and all("=" in part for part in parts):
        return dict(part.split("=", 1) for part in parts)
    found: dict[str, list[str]] = {}
    value: list[str] = []
    quote = ""
    for part in parts:
        field = None if quote else _FIELD.fullmatch(part)
        rest = part
        if field is None:
            value.append(part)
        else:
            value = found[field[1]] = [field[2]]
            if with_quotes and field[2][:1] in ('"', "'"):
                quote, rest = field[2][0], field[2][1:]
        if quote and rest.endswith(quote):
            quote = ""
    if quote:  # a name may begin with a quotation mark that nothing ends
        return _fields(text, with_quotes=False)
    return {key: _unquoted(" ".join(words).strip()) for key, words in found.items()}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0] else value


def _run(kind: str, job: re.Match[str], fields: dict[str, str]) -> dict[str, Any]:
    """The columns of one run."""
    hosts, slots = pbs_values.hosts_and_slots(fields.get("exec_host"))
    by_nodes, node_gpus = pbs_values.requested(fields.get("Resource_List.nodes"), "ppn", "gpus")
    by_select, select_gpus = pbs_values.requested(fields.get("Resource_List.select"), "ncpus", "ngpus")
    start, end = _moment(fields, "start"), _moment(fields, "end")
    if start is None:
        raise _Unreadable(Rule.MISSING_FIELD, "start is missing")
    wall, cpu = _duration_us(fields, "resources_used.walltime"), _duration_us(fields, "resources_used.cput")
    status = fields.get("Exit_status") or None
    code, signal = pbs_values.exit_of(status)
    project = fields.get("project")
    _, _, submit_host = fields.get("owner", "").partition("@")
    is_task = job["task"] is not None or _OLD_ARRAY_TASK.fullmatch(job["name"]) is not None
    return {
        "resource": job["server"],
        "machine": job["server"],
        "local_job_id": job[0],
        "array_task": job["name"] if is_task else None,
        "queue": fields.get("queue") or None,
        "submit_host": submit_host or None,
        "host": ",".join(hosts) or None,
        "exit_code": code,
        "exit_signal": signal,
        "status_reported": status,
        "outcome": "requeued" if kind == RERUN else _outcome(status, fields, wall),
        "local_user": fields.get("user") or None,
        "account": fields.get("account") or None,
        "unix_group": fields.get("group") or None,
        "project_reported": project if project and project != NO_PROJECT else None,
        "submit_time": _moment(fields, "ctime") or _moment(fields, "qtime") or start,
        "start_time": start,
        "end_time": end,
        "wall_duration_s": None if wall is None else _whole_seconds(wall),
        "cpu_user_us": cpu,
        "processors": _first(_count(fields, "Resource_List.ncpus"), slots, by_nodes, by_select),
        "node_count": len(hosts) or _count(fields, "Resource_List.nodect"),
        "gpus": _first(_count(fields, "Resource_List.ngpus"), node_gpus, select_gpus),
        "memory_bytes": pbs_values.size_bytes(fields.get("resources_used.mem")),
    }


def _outcome(status: str | None, fields: dict[str, str], wall_us: int | None) -> str:
    is_pro = any(
        key in fields for key in ("run_count", "exec_vnode", "Resource_List.select", "Resource_List.place")
    )
    limit_us = pbs_values.duration_us(fields.get("Resource_List.walltime", ""))
    out_of_time = bool(limit_us and wall_us is not None and wall_us >= limit_us)
    return pbs_values.outcome(status, "pbs-pro" if is_pro else "torque", out_of_time)


def _moment(fields: dict[str, str], key: str) -> datetime | None:
    """A time in seconds since 1970; 0 means that it has not come."""
    text = fields.get(key)
    if not text or text == "0":
        return None
    if not _SECONDS.fullmatch(text) or int(text) > FARTHEST_EPOCH_S:
        raise _Unreadable(Rule.BAD_TIME, f"{key} is no number of seconds since 1970")
    return datetime.fromtimestamp(int(text), UTC)


def _duration_us(fields: dict[str, str], key: str) -> int | None:
    text = fields.get(key)
    if not text:
        return None
    made = pbs_values.duration_us(text)
    if made is None:
        raise _Unreadable(Rule.BAD_DURATION, f"{key} is neither H:M:S nor a number of seconds")
    return made


def _whole_seconds(microseconds: int) -> int:
    """Half up; what is negative stays negative, so that it is refused."""
    if microseconds < 0:
        return -(-microseconds // MICROSECONDS_PER_SECOND or 1)
    return (microseconds + MICROSECONDS_PER_SECOND // 2) // MICROSECONDS_PER_SECOND


def _count(fields: dict[str, str], key: str) -> int | None:
    text = fields.get(key)
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        raise _Unreadable(Rule.BAD_NUMBER, f"{key} is no whole number")
    return max(-pbs_values.MOST_COUNT, min(int(text), pbs_values.MOST_COUNT))


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


FORMAT = Pbs()

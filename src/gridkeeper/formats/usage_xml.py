"""Makes usage records of blocks of XML in OGF's words, for the formats that share them: `ogf-ur` and `car`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats import gratia_values
from gridkeeper.formats.gratia_blocks import UNDER_DTD
from gridkeeper.formats.gratia_spans import Kind, Piece, document_pieces
from gridkeeper.formats.gratia_tree import Refused
from gridkeeper.formats.text_columns import NO_TEXT, by_distinct, real_numbers, small
from gridkeeper.formats.usage_elements import Record, read_record, submitted
from gridkeeper.records.draft import Draft
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.formats.contract import Block
    from gridkeeper.records.draft import Parsed

    Reader = Callable[[pa.Array], tuple[pa.Array, pa.Array]]

COMPUTE, USAGE_BLOCKS_OF_A_JOB = "ComputeUsageBlock", ("ComputeUsageBlock", "JobUsageBlock")
# States of a job that has not ended; its record will come again when it has.
UNFINISHED = ("queued", "held", "started", "suspended")
BENCHMARKS = {"hepscore23": "HEPscore23", "hepspec": "HEPSPEC", "si2k": "Si2k", "sf2k": "Sf2k"}
_OUTCOME_OF_STATUS = {"completed": "success", "failed": "failed", "aborted": "failed"}
_TEXTS = (
    "global_job_id", "local_job_id", "queue", "submit_host", "host", "local_user", "global_user", "unix_group",
    "fqan", "vo_group",
)  # fmt: skip
_NO_NUMBER = pa.scalar(None, pa.int64())


class UsageRows:
    """The usage records of one block: what they say, where they stand, and what of them is refused or skipped.

    skips_sums: whether sums of jobs (CAR's SummaryRecord) are known, and skipped as `summary`; else they are refused.
    """

    def __init__(self, block: Block, parsed: Parsed, *, skips_sums: bool) -> None:
        self._data, self._parsed, self._skips_sums = block.data, parsed, skips_sums
        self._records: list[Record] = []
        self._pieces: list[tuple[Piece, int]] = []
        pieces, _ = document_pieces(block.data, block.context == UNDER_DTD)
        newlines = np.flatnonzero(np.frombuffer(block.data, np.uint8) == ord("\n"))
        starts = np.array([piece.start for piece in pieces], dtype=np.int64)
        lines = (block.first_line + np.searchsorted(newlines, starts)).tolist()
        for piece, line in zip(pieces, lines, strict=True):
            try:
                record = self._read(piece)
            except Refused as why:
                self._refuse(piece, line, why.rule, why.detail)
                continue
            if record is not None:
                self._records.append(record)
                self._pieces.append((piece, line))

    def _text(self, piece: Piece) -> bytes:
        return self._data[piece.start : piece.end]

    def _refuse(self, piece: Piece, line: int, rule: Rule, detail: str) -> None:
        self._parsed.rejects.append(Reject.of(rule, line, detail, self._text(piece)))

    def _read(self, piece: Piece) -> Record | None:
        """Read one record; None, and counted as skipped, for what is no job that ended."""
        if piece.kind is Kind.REFUSED:
            raise Refused(piece.rule, piece.detail)
        if piece.kind is not Kind.USAGE and not (piece.kind is Kind.SUMMARY and self._skips_sums):
            raise Refused(Rule.UNKNOWN_RECORD_TYPE, f"a {piece.kind.value} record, where jobs should be")
        record = read_record(self._text(piece))
        reason = "summary" if piece.kind is Kind.SUMMARY else _no_job(record)
        if reason:
            self._parsed.skipped[reason] += 1
            return None
        return record

    def draft(self, resource: tuple[str, ...]) -> Draft:
        """The rows of `usage_records`; those with a field that cannot be read are refused.

        resource: the fields of which the first that a record has is its resource.
        """
        columns, broken = _Columns(self._records).of_usage(resource)
        fine = np.ones(len(self._records), dtype=bool)
        for rule, detail, mask in broken:
            rows = pc.fill_null(mask, False).to_numpy(zero_copy_only=False) & fine
            for row in np.flatnonzero(rows).tolist():
                self._refuse(*self._pieces[row], rule, detail)
            fine &= ~rows
        kept = np.flatnonzero(fine).tolist()
        if len(kept) < len(fine):
            columns = {name: column.filter(pa.array(fine)) for name, column in columns.items()}
        return Draft(
            columns,
            [self._pieces[row][1] for row in kept],
            lambda row: self._text(self._pieces[kept[row]][0]),
        )

    def __len__(self) -> int:
        return len(self._records)


def _no_job(record: Record) -> str | None:
    """Say why a record is of no job that ended. Raises: Refused (permanent) where it is of several."""
    if record.blocks.count(COMPUTE) > 1:
        raise Refused(Rule.NOT_WELL_FORMED, f"more than one {COMPUTE}, of which only one can be the job's")
    if record.blocks and not any(block in USAGE_BLOCKS_OF_A_JOB for block in record.blocks):
        return "no_compute_usage"
    return "not_ended" if record.fields.get("status", "").lower() in UNFINISHED else None


class _Columns:
    def __init__(self, records: list[Record]) -> None:
        self._records = records
        self._broken: list[tuple[Rule, str, pa.Array]] = []

    def _text(self, name: str) -> pa.Array:
        return pa.array([record.fields.get(name) or None for record in self._records], pa.string())

    def _value(self, read: Reader, text: pa.Array, rule: Rule, what: str) -> pa.Array:
        values, bad = read(text)
        self._broken.append((rule, f"{what} cannot be read", bad))
        return values

    def of_usage(
        self, resource: tuple[str, ...]
    ) -> tuple[dict[str, pa.Array], list[tuple[Rule, str, pa.Array]]]:
        """The columns, and by rule the rows whose text cannot be read."""
        columns = {name: self._text(name) for name in _TEXTS}
        columns["resource"] = pc.coalesce(*map(self._text, resource))
        columns["machine"], columns["site_reported"] = self._text("machine"), self._text("site")
        columns["project_reported"] = self._text("project")
        # A record with neither id is told from others by the name that its sender gave it.
        no_id = pc.and_(pc.is_null(columns["global_job_id"]), pc.is_null(columns["local_job_id"]))
        columns["local_job_id"] = pc.if_else(no_id, self._text("record_id"), columns["local_job_id"])
        local = pc.fill_null(pc.equal(self._text("infrastructure"), "local"), False)
        columns["grid_reported"] = pc.if_else(local, "Local", NO_TEXT)
        fallback = pc.coalesce(columns["fqan"], columns["vo_group"])
        columns["vo_reported"] = pc.coalesce(self._text("vo"), by_distinct(fallback, _vo, pa.string()))
        columns["vo_role"] = by_distinct(self._text("vo_role"), _role, pa.string())
        columns["memory_bytes"] = pa.array([record.memory for record in self._records], pa.int64())
        columns |= self._end() | self._times() | self._cpu() | self._counts() | self._benchmark()
        return columns, self._broken

    def _end(self) -> dict[str, pa.Array]:
        status = self._text("status")
        # PBS's own exit status stood for the state in the first records.
        code_text = pc.coalesce(self._text("exit_status"), status)
        codes, _ = gratia_values.whole_numbers(code_text)
        code = pc.cast(pc.if_else(pc.less(pc.abs(codes), 2**31), codes, _NO_NUMBER), pa.int32())
        words = by_distinct(status, lambda word: _OUTCOME_OF_STATUS.get((word or "").lower()), pa.string())
        by_code = pc.if_else(pc.equal(code, 0), "success", "failed")
        # A completed job may have failed; one that was aborted never succeeded, whatever code it left.
        succeeded = pc.fill_null(pc.equal(words, "success"), False)
        return {
            "status_reported": status,
            "exit_code": code,
            "outcome": pc.coalesce(pc.if_else(succeeded, by_code, words), by_code, words),
        }

    def _times(self) -> dict[str, pa.Array]:
        moments = {
            "start_time": (self._text("start"), "StartTime"),
            "end_time": (self._text("end"), "EndTime"),
            "submit_time": (
                pa.array([submitted(record.fields) for record in self._records], pa.string()),
                "TimeInstant",
            ),
        }
        columns = {
            name: self._value(gratia_values.times, text, Rule.BAD_TIME, what)
            for name, (text, what) in moments.items()
        }
        wall = self._duration("wall", "WallDuration")
        return columns | {"wall_duration_s": gratia_values.whole_seconds(wall)}

    def _duration(self, name: str, what: str) -> pa.Array:
        return self._value(gratia_values.iso_durations_us, self._text(name), Rule.BAD_DURATION, what)

    def _cpu(self) -> dict[str, pa.Array]:
        """User and system time where they are the whole; what the record calls all of it wins over them."""
        user, system, whole = (
            self._duration(name, "CpuDuration") for name in ("cpu_user", "cpu_system", "cpu_all")
        )
        told = pc.fill_null(pc.equal(pc.add(pc.fill_null(user, 0), pc.fill_null(system, 0)), whole), False)
        parts = pc.or_(pc.is_null(whole), pc.and_(told, pc.or_(pc.is_valid(user), pc.is_valid(system))))
        return {
            "cpu_user_us": pc.if_else(parts, user, whole),
            "cpu_system_us": pc.if_else(parts, system, _NO_NUMBER),
        }

    def _counts(self) -> dict[str, pa.Array]:
        read = gratia_values.whole_numbers
        counts = {"processors": "Processors", "node_count": "NodeCount"}
        return {
            name: small(self._value(read, self._text(name), Rule.BAD_NUMBER, what))
            for name, what in counts.items()
        }

    def _benchmark(self) -> dict[str, pa.Array]:
        """The benchmark, where the service level is one; in other records it is a class of service."""
        names = by_distinct(
            self._text("benchmark_name"), lambda name: BENCHMARKS.get((name or "").lower()), pa.string()
        )
        text = pc.if_else(pc.is_valid(names), self._text("benchmark"), NO_TEXT)
        return {
            "benchmark_name": names,
            "benchmark_per_core": self._value(real_numbers, text, Rule.BAD_NUMBER, "ServiceLevel"),
        }


def _vo(path: str | None) -> str | None:
    """The first part of an FQAN or of a VO's group."""
    return (path or "").removeprefix("/").split("/", 1)[0] or None


def _role(text: str | None) -> str | None:
    """A role as `Role=pilot`, whether it came so, as `/Role=pilot` or as `pilot`; a group is none."""
    if not text:
        return None
    _, _, named = text.rpartition("Role=")
    role = named.split("/", 1)[0]  # nothing where a group, which begins with a slash, stands for a role
    return f"Role={role}" if role else None

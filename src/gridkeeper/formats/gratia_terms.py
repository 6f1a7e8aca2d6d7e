"""What GRACC's flat field names mean in our columns, for the XML and the JSON of Gratia records alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats import gratia_values
from gridkeeper.formats.gratia_tokens import Wanted
from gridkeeper.records.draft import Draft
from gridkeeper.records.finish import finish_space, finish_usage
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gridkeeper.records.draft import Delivery, Parsed

    Reader = Callable[[pa.Array], tuple[pa.Array, pa.Array]]

USAGE_WANTED = Wanted(
    elements=(
        "GlobalJobId", "LocalJobId", "LocalUserId", "GlobalUsername", "DN", "VOName", "ReportableVOName",
        "StartTime", "EndTime", "QueueTime", "WallDuration", "CpuDuration", "CpuDuration_user", "CpuDuration_system",
        "TimeDuration_CumulativeSuspensionTime", "MachineName", "SubmitHost", "Host", "Queue", "ProjectName", "NodeCount",
        "Processors", "GPUs", "Memory", "Network", "Njobs", "Status", "ProbeName", "SiteName", "Grid", "ResourceType",
        "Resource_ExitCode", "Resource_ExitBySignal", "Resource_ExitSignal", "Resource_condor-JobStatus",
        "Resource_AccountingGroup", "Resource_LocalUserGroup", "Resource_Protocol", "Resource_IsNew", "Resource_Source",
        "Resource_Destination",
    ),
    attributes={
        "RecordId": ("RecordIdentity", "recordId"),
        "Host_description": ("Host", "description"),
        "Host_primary": ("Host", "primary"),
        "Memory_storageUnit": ("Memory", "storageUnit"),
        "Network_storageUnit": ("Network", "storageUnit"),
    },
)  # fmt: skip
SPACE_FIELDS = (
    "UniqueID", "SE", "Name", "ParentID", "VO", "OwnerDN", "SpaceType", "Implementation", "Version", "Status", "SiteName",
    "Grid", "ProbeName", "MeasurementType", "StorageType", "Timestamp", "TotalSpace", "UsedSpace", "FreeSpace", "FileCount",
    "FileCountLimit",
)  # fmt: skip

PAYLOAD, PAYLOAD_REPORTED, BATCH = "Payload", "BatchPilot", "Batch"
# Senders that have no measured CPU time and write cores x wall in its place.
ASSUMING_PROBES = "(?i)kubernetes|kuantifier|kapel"
_FQAN = r"^(?P<group>/(?P<vo>[^/]+)(?:/[^/=]+)*)(?:/(?P<role>Role=[^/]+))?(?:/.*)?$"
_OUTCOME_OF_STATUS = {"completed": "success", "failed": "failed", "aborted": "failed"}
# Made once: turning a Python value into an Arrow scalar costs as much as a thousand rows.
_EMPTY, _NO_TEXT = pa.scalar(""), pa.scalar(None, pa.string())
_PAYLOAD, _PAYLOAD_REPORTED, _BATCH, _ASSUMED = map(pa.scalar, (PAYLOAD, PAYLOAD_REPORTED, BATCH, "assumed"))
_SUCCESS, _FAILED, _CANCELLED, _UNKNOWN = map(pa.scalar, ("success", "failed", "cancelled", "unknown"))
_TRUE, _FALSE, _REMOVED = map(pa.scalar, ("true", "false", "3"))
_YES, _NO, _NEITHER = pa.scalar(True), pa.scalar(False), pa.scalar(None, pa.bool_())
_ZERO, _NO_CODE = pa.scalar(0, pa.int32()), pa.scalar(None, pa.int32())
_NO_NUMBER, _BEYOND = pa.scalar(None, pa.int64()), pa.scalar(2**31)
_LEAST, _GREATEST = pa.scalar(-(2**31)), pa.scalar(2**31 - 1)
_PAYLOADS, _TRANSFERS = pa.array([PAYLOAD, PAYLOAD_REPORTED]), pa.array(["Storage", "Transfer"])
_TRUTHS, _UNTRUTHS = pa.array(["1", "true"]), pa.array(["0", "false"])


@dataclass(frozen=True)
class Origin:
    """Where the records of one table stand in their source.

    lines: 1-based line where each begins.
    text:  gives the original bytes of one.
    """

    lines: Sequence[int]
    text: Callable[[int], bytes]


def deliver_usage(
    fields: Mapping[str, pa.Array], origin: Origin, durations: Reader, format_name: str, delivery: Delivery, parsed: Parsed
) -> None:  # fmt: skip
    """Make `usage_records` of flat fields (the names of USAGE_WANTED, as text, null where absent).

    durations: reads the source's way of writing durations, into microseconds.
    """
    columns, broken = _Usage(fields, durations).columns()
    if draft := _draft(columns, broken, origin, parsed):
        finish_usage(draft, "gratia", format_name, delivery, parsed)


def deliver_space(
    fields: Mapping[str, pa.Array], types: pa.Array, origin: Origin, format_name: str, delivery: Delivery, parsed: Parsed
) -> None:  # fmt: skip
    """Make `storage_space` rows of flat fields (SPACE_FIELDS); `types` says which of the two types each is."""
    read = _Fields(fields)
    columns = {
        "record_type": types,
        "measured_at": read.value(gratia_values.times, "Timestamp", Rule.BAD_TIME),
    }
    texts = {
        "unique_id": "UniqueID", "storage_element": "SE", "name": "Name", "parent_id": "ParentID", "vo_reported": "VO",
        "owner_dn": "OwnerDN", "space_type": "SpaceType", "implementation": "Implementation", "version": "Version",
        "status_reported": "Status", "site_reported": "SiteName", "grid_reported": "Grid", "probe": "ProbeName",
        "measurement_type": "MeasurementType", "storage_type": "StorageType",
    }  # fmt: skip
    columns |= {column: read.text(field) for column, field in texts.items()}
    counts = {
        "total_bytes": "TotalSpace", "used_bytes": "UsedSpace", "free_bytes": "FreeSpace", "file_count": "FileCount",
        "file_count_limit": "FileCountLimit",
    }  # fmt: skip
    columns |= {
        column: read.value(gratia_values.whole_numbers, field, Rule.BAD_NUMBER)
        for column, field in counts.items()
    }
    if draft := _draft(columns, read.broken, origin, parsed):
        finish_space(draft, format_name, delivery, parsed)


class _Fields:
    """Flat fields of some records, without blanks around them, null where empty; notes what cannot be read."""

    def __init__(self, fields: Mapping[str, pa.Array]) -> None:
        self._fields = fields
        self._trimmed: dict[str, pa.Array] = {}
        self.broken: list[tuple[str, Rule, pa.Array]] = []

    def text(self, name: str) -> pa.Array:
        if name not in self._trimmed:
            values = self._fields[name]
            if values.null_count < len(values):
                values = pc.ascii_trim_whitespace(values)
                values = pc.if_else(pc.equal(values, _EMPTY), _NO_TEXT, values)
            self._trimmed[name] = values
        return self._trimmed[name]

    def value(self, read: Reader, name: str, rule: Rule) -> pa.Array:
        values, bad = read(self.text(name))
        self.broken.append((name, rule, bad))
        return values

    def amount(self, name: str) -> pa.Array:
        values, bad = gratia_values.amounts_bytes(self.text(name), self.text(f"{name}_storageUnit"))
        self.broken.append((name, Rule.BAD_NUMBER, bad))
        return values


class _Usage(_Fields):
    def __init__(self, fields: Mapping[str, pa.Array], durations: Reader) -> None:
        super().__init__(fields)
        self._durations = durations

    def columns(self) -> tuple[dict[str, pa.Array], list[tuple[str, Rule, pa.Array]]]:
        """The columns of `usage_records`, and by field the rows whose text cannot be read."""
        texts = {
            "probe": "ProbeName", "machine": "MachineName", "site_reported": "SiteName", "grid_reported": "Grid",
            "global_job_id": "GlobalJobId", "queue": "Queue", "submit_host": "SubmitHost", "status_reported": "Status",
            "host_description": "Host_description", "local_user": "LocalUserId", "global_user": "GlobalUsername", "dn": "DN",
            "unix_group": "Resource_LocalUserGroup", "accounting_group": "Resource_AccountingGroup",
            "project_reported": "ProjectName",
        }  # fmt: skip
        columns = {column: self.text(field) for column, field in texts.items()}
        columns["host"] = pc.replace_substring_regex(self.text("Host"), r"\s*\(primary\)$", "")
        # Of a record that no probe made, the primary host is the machine, as in OGF's own format; else it is a node.
        primary = pc.equal(pc.utf8_lower(self.text("Host_primary")), _TRUE)
        of_no_probe = pc.and_(pc.is_null(self.text("ProbeName")), pc.fill_null(primary, _NO))
        host = pc.if_else(of_no_probe, columns["host"], _NO_TEXT)
        columns["resource"] = pc.coalesce(self.text("SiteName"), self.text("MachineName"), host)
        # A record with neither id is told from others by the name that its sender gave it.
        record_id = pc.if_else(pc.is_valid(self.text("GlobalJobId")), _NO_TEXT, self.text("RecordId"))
        columns["local_job_id"] = pc.coalesce(self.text("LocalJobId"), record_id)
        columns |= self._type() | self._vo() | self._end() | self._times() | self._counts()
        columns |= self._transfer(columns["resource_type"])
        assumed = pc.match_substring_regex(self.text("ProbeName"), ASSUMING_PROBES)
        columns["cpu_source"] = pc.if_else(pc.fill_null(assumed, _NO), _ASSUMED, _NO_TEXT)
        return columns, self.broken

    def _type(self) -> dict[str, pa.Array]:
        reported = self.text("ResourceType")
        payload = pc.is_in(reported, _PAYLOADS)
        return {
            "resource_type": pc.if_else(payload, _PAYLOAD, pc.fill_null(reported, _BATCH)),
            # GRACC renames it before it writes its JSON; a record is the same in both.
            "resource_type_reported": pc.if_else(payload, _PAYLOAD_REPORTED, reported),
        }

    def _vo(self) -> dict[str, pa.Array]:
        name, reportable = self.text("VOName"), self.text("ReportableVOName")
        is_fqan, is_issuer = _begins(name, "/"), pc.or_(_begins(name, "https://"), _begins(name, "http://"))
        fqan = pc.if_else(is_fqan, name, _NO_TEXT).dictionary_encode()
        parts = pc.extract_regex(fqan.dictionary, _FQAN)
        group, vo, role = (
            pc.struct_field(parts, part).take(fqan.indices) for part in ("group", "vo", "role")
        )
        from_name = pc.if_else(is_fqan, vo, pc.if_else(is_issuer, _NO_TEXT, name))
        return {
            "vo_reported": pc.coalesce(reportable, from_name),
            "fqan": pc.if_else(is_fqan, name, _NO_TEXT),
            "vo_group": group,
            "vo_role": pc.if_else(pc.equal(role, _EMPTY), _NO_TEXT, role),
            "token_issuer": pc.if_else(is_issuer, name, _NO_TEXT),
        }

    def _end(self) -> dict[str, pa.Array]:
        by_signal = pc.utf8_lower(self.text("Resource_ExitBySignal"))
        killed = pc.fill_null(pc.equal(by_signal, _TRUE), _NO)
        removed = pc.fill_null(pc.equal(self.text("Resource_condor-JobStatus"), _REMOVED), _NO)
        told = _small_or_null(self.text("Resource_ExitCode"))
        from_status = pc.if_else(pc.or_(killed, removed), _NO_CODE, _small_or_null(self.text("Status")))
        code = pc.coalesce(told, from_status)
        signal = _small_or_null(self.text("Resource_ExitSignal"))
        unhurt = pc.if_else(pc.equal(by_signal, _FALSE), _ZERO, _NO_CODE)
        words, _ = gratia_values.by_distinct(
            self.text("Status"), lambda word: _OUTCOME_OF_STATUS.get(word.lower(), "unknown"), pa.string()
        )
        by_code = pc.if_else(pc.equal(code, _ZERO), _SUCCESS, _FAILED)
        outcome = pc.if_else(killed, _FAILED, pc.coalesce(by_code, words, _UNKNOWN))
        return {
            "exit_code": code,
            "exit_signal": pc.if_else(killed, signal, unhurt),
            "outcome": pc.if_else(removed, _CANCELLED, outcome),
        }

    def _times(self) -> dict[str, pa.Array]:
        moments = {"start_time": "StartTime", "end_time": "EndTime", "submit_time": "QueueTime"}
        columns = {
            column: self.value(gratia_values.times, field, Rule.BAD_TIME) for column, field in moments.items()
        }
        wall, suspended, total, user, system = (
            self.value(self._durations, field, Rule.BAD_DURATION)
            for field in (
                "WallDuration", "TimeDuration_CumulativeSuspensionTime", "CpuDuration", "CpuDuration_user", "CpuDuration_system",
            )
        )  # fmt: skip
        neither = pc.and_(pc.is_null(user), pc.is_null(system))
        return columns | {
            "wall_duration_s": gratia_values.whole_seconds(wall),
            "suspended_s": gratia_values.whole_seconds(suspended),
            "cpu_user_us": pc.if_else(neither, total, user),
            "cpu_system_us": system,
        }

    def _counts(self) -> dict[str, pa.Array]:
        def number(field: str) -> pa.Array:
            return self.value(gratia_values.whole_numbers, field, Rule.BAD_NUMBER)

        return {
            "processors": _small(number("Processors")),
            "node_count": _small(number("NodeCount")),
            "gpus": _small(number("GPUs")),
            "njobs": number("Njobs"),
            "memory_bytes": self.amount("Memory"),
            "network_bytes": self.amount("Network"),
        }

    def _transfer(self, resource_type: pa.Array) -> dict[str, pa.Array]:
        is_transfer = pc.is_in(resource_type, _TRANSFERS)
        if not pc.any(is_transfer).as_py():
            return {}
        flag = pc.utf8_lower(self.text("Resource_IsNew"))
        is_read = pc.if_else(pc.is_in(flag, _UNTRUTHS), _NO, _NEITHER)
        is_write = pc.if_else(pc.is_in(flag, _TRUTHS), _YES, is_read)
        remote = pc.if_else(is_write, self.text("Resource_Source"), self.text("Resource_Destination"))
        return {
            "transfer_protocol": pc.if_else(is_transfer, self.text("Resource_Protocol"), _NO_TEXT),
            "transfer_is_write": pc.if_else(is_transfer, is_write, _NEITHER),
            "transfer_remote": pc.if_else(is_transfer, remote, _NO_TEXT),
        }


def _begins(text: pa.Array, with_: str) -> pa.Array:
    return pc.fill_null(pc.starts_with(text, with_), _NO)


def _small_or_null(text: pa.Array) -> pa.Array:
    """Exit codes and signals; what is no whole number of 32 bits is none."""
    numbers, _ = gratia_values.whole_numbers(text)
    fits = pc.less(pc.abs(numbers), _BEYOND)
    return pc.cast(pc.if_else(fits, numbers, _NO_NUMBER), pa.int32())


def _small(numbers: pa.Array) -> pa.Array:
    """Counts as 32 bits; what does not fit becomes the greatest that does, which no rule lets pass."""
    bounded = pc.max_element_wise(numbers, _LEAST, skip_nulls=False)
    return pc.cast(pc.min_element_wise(bounded, _GREATEST, skip_nulls=False), pa.int32())


def _draft(
    columns: dict[str, pa.Array], broken: list[tuple[str, Rule, pa.Array]], origin: Origin, parsed: Parsed
) -> Draft | None:
    """Refuse the rows with a field that cannot be read; return the others, None where there are none."""
    fine = np.ones(len(origin.lines), dtype=bool)
    for field, rule, mask in broken:
        rows = pc.fill_null(mask, _NO).to_numpy(zero_copy_only=False) & fine
        for row in np.flatnonzero(rows).tolist():
            parsed.rejects.append(
                Reject.of(rule, int(origin.lines[row]), f"{field} cannot be read", origin.text(row))
            )
        fine &= ~rows
    kept = np.flatnonzero(fine)
    if not kept.size:
        return None
    if kept.size < len(fine):
        columns = {name: values.filter(pa.array(fine)) for name, values in columns.items()}
    lines = np.asarray(origin.lines)[kept]
    return Draft(columns, lines, lambda row: origin.text(int(kept[row])))

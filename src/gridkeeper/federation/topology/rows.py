"""The registry's downtimes as rows of the room `downtimes`; what is wrong with one is a fault that names its key and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.osg_yaml import row_of
from gridkeeper.federation.downtimes.times import UnreadableTime, Window, worded
from gridkeeper.federation.downtimes.words import classification, severity
from gridkeeper.federation.topology.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.downtimes.model import Row
    from gridkeeper.federation.downtimes.times import Stamp
    from gridkeeper.federation.topology.models import DowntimeEntry, Topology


class Rows:
    """Rows made of entries, each with the entry it came from, and what was wrong with those that gave none."""

    def __init__(self, topology: Topology) -> None:
        self.rows: list[Row] = []
        self.faults: list[Fault] = []
        self._entries: dict[int, DowntimeEntry] = {}
        self._stamps: dict[str, Stamp] = {}
        for hidden, entries in ((False, topology.downtimes), (True, topology.swallowed)):
            self._add(entries, hidden)

    def entry(self, row: Row) -> DowntimeEntry:
        """The entry of a row."""
        return self._entries[id(row)]

    def _add(self, entries: Iterable[DowntimeEntry], hidden: bool) -> None:
        for entry in entries:
            try:
                row = self._row(entry, hidden)
            except _Unreadable as error:
                self.faults.append(error.fault)
            else:
                self.rows.append(row)
                self._entries[id(row)] = entry

    def _row(self, entry: DowntimeEntry, hidden: bool) -> Row:
        start, end = self._stamp(entry, "StartTime", entry.start), self._stamp(entry, "EndTime", entry.end)
        try:
            declared = classification(entry.class_)
        except UserMistake as error:
            raise _Unreadable(
                entry, "Class", "unknown-class", error, "write SCHEDULED or UNSCHEDULED"
            ) from None
        try:
            grave = severity(entry.severity)
        except UserMistake as error:
            fix = "write Outage, Severe, Intermittent Outage or No Significant Outage Expected"
            raise _Unreadable(entry, "Severity", "unknown-severity", error, fix) from None
        created = self._stamp(entry, "CreatedTime", entry.created) if entry.created else None
        return row_of(entry, Window(start, end), declared, grave, created, site=entry.site, hidden=hidden)

    def _stamp(self, entry: DowntimeEntry, key: str, text: str) -> Stamp:
        found = self._stamps.get(text)
        if found is None:
            try:
                found = self._stamps[text] = worded(text)
            except UnreadableTime as error:
                fix = "write it as Jul 31, 2018 14:00 -0500"
                raise _Unreadable(entry, key, "unreadable-time", error, fix) from None
        return found


class _Unreadable(Exception):
    """No row can be made of an entry; holds the fault. Permanent."""

    def __init__(self, entry: DowntimeEntry, key: str, code: str, error: UserMistake, fix: str) -> None:
        super().__init__(code)
        called = f"downtime {entry.id}" if entry.id is not None else "a downtime"
        line = entry.lines.get(key, entry.line)
        self.fault = Fault(code, "error", entry.file, line, f"{called}, {key}: {error}", fix)

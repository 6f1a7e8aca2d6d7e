"""Replaces names of people by keyed hashes before text enters the outbox.

The same name under the same key gives the same hash in every field and format, so work can still be added up by
person without saying who it is. What is hashed and what is blanked is listed in docs/probes.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from gridkeeper.probes import redaction_condor
from gridkeeper.probes.errors import SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.probes.hashed_names import Names

# Columns of sacct that name people, and free text that may.
SACCT_NAMES = ("User", "UID")
SACCT_NAMES_IF_LIKE_USER = ("Account", "Group", "GID", "WCKey")
SACCT_BLANKED = (
    "JobName", "Comment", "AdminComment", "SystemComment", "SubmitLine", "WorkDir", "StdIn", "StdOut", "StdErr", "Extra",
)  # fmt: skip
PBS_NAMES = ("user", "owner", "requestor", "euser", "authorized_users", "Authorized_Users")
PBS_NAMES_IF_LIKE_USER = ("group", "account", "egroup", "project")
PBS_BLANKED = ("jobname", "submit_args", "Submit_arguments", "name", "comment", "message")

_CANCELLED_BY = re.compile(rb"^(CANCELLED by )(\S+)")
_PBS_PAIR = re.compile(rb'(?<![^ ;])([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*"|\S*)')


class Redactor(Protocol):
    """Makes names in whole records unreadable."""

    def text(self, records: bytes, preamble: bytes) -> bytes:
        """Redact whole records; `preamble` is what stands before them in their file (a header)."""


class Nothing:
    """Redacts nothing."""

    def text(self, records: bytes, preamble: bytes) -> bytes:
        """The records as they are."""
        return records


class SacctRedactor:
    """Redacts lines of sacct by the names in their header."""

    def __init__(self, names: Names, also: Sequence[str] = ()) -> None:
        self._names = names
        self._also = {word.lower() for word in also}

    def text(self, records: bytes, preamble: bytes) -> bytes:
        """Redact lines. Raises: SourceUnreadable (permanent) where there is no header to tell columns by."""
        columns = preamble.rstrip(b"\r\n").decode("utf-8", "replace").split("|")
        if "JobID" not in columns:
            raise SourceUnreadable(
                "text of sacct without a header cannot be redacted: export it with `--parsable2` and a header"
            )
        plan = _SacctPlan(columns, self._also)
        redacted = (self._line(line, plan) for line in records.splitlines())
        return b"".join(line + b"\n" for line in redacted if line is not None)

    def _line(self, line: bytes, plan: _SacctPlan) -> bytes | None:
        fields = plan.aligned(line)
        if fields is None:
            return None
        user = fields[plan.user] if plan.user is not None else b""
        for index in plan.hashed:
            fields[index] = self._names.address(fields[index])
        for index in plan.hashed_if_like_user:
            if user and fields[index] == user:
                fields[index] = self._names.address(user)
        if plan.state is not None:
            fields[plan.state] = _CANCELLED_BY.sub(
                lambda found: found.group(1) + self._names.name(found.group(2)), fields[plan.state]
            )
        return b"|".join(fields)


class _SacctPlan:
    """Which columns of a header are hashed and which blanked."""

    def __init__(self, columns: list[str], also: set[str]) -> None:
        self._count = len(columns)
        place = {name.lower(): index for index, name in enumerate(columns)}
        self.user = place.get("user")
        self.state = place.get("state")
        self.hashed = [
            index for name, index in place.items() if name in also | {word.lower() for word in SACCT_NAMES}
        ]
        self.hashed_if_like_user = [
            place[word.lower()] for word in SACCT_NAMES_IF_LIKE_USER if word.lower() in place
        ]
        self._blanked = sorted(place[word.lower()] for word in SACCT_BLANKED if word.lower() in place)

    def aligned(self, line: bytes) -> list[bytes] | None:
        """The fields of a line with the free text blanked, however many pipes that held.

        Pipes stand only in free text: what is before the first such column is told from the left, what is after
        the last from the right, and what lies between is blanked when there are pipes too many. None for a line
        of which nobody can tell its columns: what a line end inside a job's name cut off, or a damaged line.
        """
        fields = line.split(b"|")
        surplus = len(fields) - self._count
        if surplus < 0 or (surplus and not self._blanked):
            return None
        if surplus:
            first, last = self._blanked[0], self._blanked[-1]
            after = fields[last + 1 + surplus :]
            fields = [*fields[:first], *[b""] * (last - first + 1), *after]
        for index in self._blanked:
            fields[index] = b""
        return fields


class PbsRedactor:
    """Redacts lines of a PBS accounting file."""

    def __init__(self, names: Names, also: Sequence[str] = ()) -> None:
        self._names = names
        self._hashed = {word.lower().encode() for word in (*PBS_NAMES, *also)}
        self._if_like_user = {word.encode() for word in PBS_NAMES_IF_LIKE_USER}
        self._blanked = {word.lower().encode() for word in PBS_BLANKED}

    def text(self, records: bytes, preamble: bytes) -> bytes:
        """Redact lines."""
        return b"\n".join(self._line(line) for line in records.split(b"\n"))

    def _line(self, line: bytes) -> bytes:
        people = {
            value.strip(b'"').split(b"@")[0]
            for name, value in _PBS_PAIR.findall(line)
            if name.lower() in self._hashed
        }

        def mended(found: re.Match[bytes]) -> bytes:
            name, value = found.group(1), found.group(2)
            plain = value.strip(b'"')
            if name.lower() in self._hashed:
                return name + b"=" + b",".join(self._names.address(one) for one in plain.split(b","))
            if name in self._if_like_user and plain in people:
                return name + b"=" + self._names.name(plain)
            return name + b"=redacted" if name.lower() in self._blanked and plain else found.group(0)

        return _PBS_PAIR.sub(mended, line)


def redactor_for(format_name: str, names: Names | None, also: Sequence[str] = ()) -> Redactor:
    """Return what redacts text of a format; without names to hash by, nothing is redacted."""
    if names is None:
        return Nothing()
    if format_name == "sacct":
        return SacctRedactor(names, also)
    if format_name == "pbs":
        return PbsRedactor(names, also)
    return redaction_condor.CondorRedactor(names, also)

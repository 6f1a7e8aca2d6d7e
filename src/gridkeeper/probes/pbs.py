"""`pbs`: the accounting files of Torque, OpenPBS and PBS Professional, one a day; what runs and waits from qstat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gridkeeper.probes import commands
from gridkeeper.probes.contract import CRITICAL, LINES, PASSED, WARNING, Finding, Notes
from gridkeeper.probes.errors import ProbeError
from gridkeeper.probes.file import check_files
from gridkeeper.probes.queues import PENDING, RUNNING, Tally
from gridkeeper.probes.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from gridkeeper.probes.contract import Reading
    from gridkeeper.probes.cursor import Cursor
    from gridkeeper.probes.hashed_names import Names
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.redaction import Redactor
    from gridkeeper.probes.settings import PbsSettings

_A_DAY = re.compile(r"\d{8}", re.ASCII)
_ATTRIBUTE = re.compile(r"^    (\w[\w.]*) = (.*)$")
_CORES_OF_NODES = re.compile(r"(\d+)(?::ppn=(\d+))?")
_STATES = {"R": RUNNING, "E": RUNNING, "B": RUNNING, "Q": PENDING, "W": PENDING, "T": PENDING}
# What OpenPBS writes for a job without project or account.
_NO_PROJECT = "_pbs_project_default"


class Pbs:
    """Reads the accounting files of one PBS server."""

    def __init__(
        self, settings: PbsSettings, batch_bytes: int, redactor: Redactor, names: Names | None
    ) -> None:
        self.notes = Notes()
        self.format = settings.format
        self._settings = settings
        self._names = names
        self._tails = Tails(self._list, settings.format, LINES, batch_bytes, redactor, self.notes)

    def readings(self, cursor: Cursor, now: datetime) -> Generator[Reading, None, None]:
        """Yield new whole lines, day by day."""
        return self._tails.readings(cursor, now)

    def adopt(self, cursor: Cursor, move: dict[str, Any], text: bytes) -> None:
        """Move behind what was shipped."""
        self._tails.adopt(cursor, move)

    def read_again(self, cursor: Cursor, since: datetime) -> None:
        """Begin again the files that changed since then."""
        self._tails.read_again(cursor, since)

    def samples(self) -> list[Sample]:
        """Ask qstat. Raises: SourceUnreadable (permanent), SourceFailed (retryable)."""
        if self._settings.queue == "none":
            return []
        tally = Tally()
        with commands.output([*self._settings.qstat, "-f"], self._settings.timeout_s) as stream:
            for job in _jobs(
                line.decode("utf-8", "replace").rstrip("\r\n") for line in commands.lines(stream)
            ):
                state = _STATES.get(job.get("job_state", ""))
                if state:
                    tally.add(self._account(job), None, state, _cores(job))
        return tally.samples()

    def _account(self, job: dict[str, str]) -> str | None:
        account = job.get("Account_Name") or job.get("project")
        if not account or account == _NO_PROJECT:
            return None
        if self._names and account == job.get("Job_Owner", "").split("@")[0]:
            return self._names.address(account.encode()).decode()
        return account

    def check(self, now: datetime) -> list[Finding]:
        """Say whether the accounting files and qstat can be read."""
        folder = self._settings.accounting_dir
        if not folder.is_dir():
            remedy = "look at [pbs] accounting_dir; it is the server's server_priv/accounting, often readable by root only"
            return [Finding(CRITICAL, "files", f"there is no folder {folder}, or it may not be read", remedy)]
        found = check_files(self._list(), f"{folder}/YYYYMMDD")
        if self._settings.queue != "none":
            try:
                jobs = sum(sample.jobs for sample in self.samples())
                found.append(Finding(PASSED, "qstat", f"qstat tells of {jobs} jobs that run or wait"))
            except ProbeError as error:
                remedy = "without it, heartbeats lack what runs now; queue = none switches it off"
                found.append(Finding(WARNING, "qstat", str(error), remedy))
        return found

    def _list(self) -> list[Path]:
        since = self._settings.since
        first = since.strftime("%Y%m%d") if since else ""
        try:
            entries = sorted(self._settings.accounting_dir.iterdir())
        except OSError as error:
            self.notes.say(f"{self._settings.accounting_dir} cannot be read: {error.strerror}")
            return []
        return [path for path in entries if _A_DAY.fullmatch(path.name) and path.name >= first]


def _jobs(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Read `qstat -f`: a block a job, `    Name = value`, long values going on in lines that begin with a tab."""
    job: dict[str, str] = {}
    last = ""
    for line in lines:
        if line.startswith("Job Id:"):
            if job:
                yield job
            job, last = {"Job Id": line[7:].strip()}, ""
        elif line.startswith("\t") and last:
            job[last] += line.strip()
        elif found := _ATTRIBUTE.match(line):
            last = found.group(1)
            job[last] = found.group(2)
    if job:
        yield job


def _cores(job: dict[str, str]) -> int:
    """The cores a job asks for: OpenPBS says ncpus; Torque procs or nodes (`2:ppn=8+1`). PBS itself assumes one."""
    for name in ("Resource_List.ncpus", "Resource_List.procs"):
        if job.get(name, "").isdecimal():
            return int(job[name])
    cores = 0
    for part in job.get("Resource_List.nodes", "").split("+"):
        found = _CORES_OF_NODES.match(part)
        cores += int(found.group(1)) * int(found.group(2) or 1) if found else bool(part)
    return cores or 1

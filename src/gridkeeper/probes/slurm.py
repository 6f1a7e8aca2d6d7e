"""`slurm`: finished runs from sacct, what runs and waits from squeue.

sacct selects runs by the time in which they ran; the probe picks those that *ended* in a window. A window begins
`overlap` before the newest end that was shipped, never at what this host's clock said, so neither an idle week nor
a clock that stepped makes a gap. What the overlap brings again is known by its hash and not shipped again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from gridkeeper.probes import clock, commands
from gridkeeper.probes.contract import CRITICAL, LINES, PASSED, WARNING, Finding, Notes, Reading
from gridkeeper.probes.errors import ProbeError, SourceFailed
from gridkeeper.probes.queues import PENDING, RUNNING, Tally
from gridkeeper.probes.sacct_text import Lines, records

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from gridkeeper.probes.cursor import Cursor
    from gridkeeper.probes.hashed_names import Names
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.redaction import Redactor
    from gridkeeper.probes.settings import SlurmSettings

# JobName last: it may hold pipes. No -X: with it, sacct writes no CPU time.
FIELDS = (
    "JobID", "JobIDRaw", "Cluster", "Partition", "QOS", "Account", "Group", "User", "Submit", "Eligible", "Start", "End", "Elapsed",
    "Suspended", "TotalCPU", "UserCPU", "SystemCPU", "ExitCode", "State", "NNodes", "NCPUS", "AllocTRES", "ReqMem", "MaxRSS",
    "Timelimit", "ConsumedEnergyRaw", "NodeList", "JobName",
)  # fmt: skip
# Jobs that are completing still hold their cores.
_STATES = {"RUNNING": RUNNING, "COMPLETING": RUNNING, "CONFIGURING": RUNNING, "PENDING": PENDING}
_DAY = timedelta(days=1)


class Slurm:
    """Reads one Slurm, or several clusters of one Slurm database."""

    format = "sacct"

    def __init__(
        self, settings: SlurmSettings, batch_bytes: int, redactor: Redactor, names: Names | None
    ) -> None:
        self.notes = Notes()
        self._settings = settings
        self._fields = settings.fields or FIELDS
        self._batch_bytes = batch_bytes
        self._redactor = redactor
        self._names = names
        self._overlap = timedelta(hours=settings.overlap_hours)
        self._window = timedelta(hours=settings.window_hours)

    def readings(self, cursor: Cursor, now: datetime) -> Generator[Reading, None, None]:
        """Yield runs that ended since the cursor, window by window, and move it as each is complete."""
        for cluster in self._settings.clusters or ("",):
            yield from self._cluster(cursor, cluster, now)

    def adopt(self, cursor: Cursor, move: dict[str, Any], text: bytes) -> None:
        """Remember the lines shipped; at the end of a window, move behind it and forget what is out of reach."""
        if text:
            stream = BytesIO(text)
            lines = Lines(stream.readline())
            for record in records(stream, lines.count):
                cursor.seen.add(record, lines.stamp(record))
        anchors = cursor.source.setdefault("anchors", {})
        floors = cursor.source.setdefault("floors", {})
        if "anchor" not in move:
            return
        cluster, anchor = move["cluster"], clock.from_text(move["anchor"])
        anchors[cluster] = move["anchor"]
        if move.get("back"):
            floors.pop(cluster, None)
            cursor.seen.forgotten_to = 0
        elif cursor.seen.forgotten_to:
            floors[cluster] = min(cursor.seen.forgotten_to, int(anchor.timestamp()))
        oldest = min(clock.from_text(moment) for moment in anchors.values())
        cursor.seen.forget_before(int((oldest - self._overlap).timestamp()))

    def read_again(self, cursor: Cursor, since: datetime) -> None:
        """Begin again at `since`, with nothing known as shipped."""
        anchor = clock.as_text(since + self._overlap)
        cursor.source["anchors"] = dict.fromkeys(self._settings.clusters or ("",), anchor)
        cursor.source["floors"] = {}
        cursor.seen.clear()

    def _cluster(self, cursor: Cursor, cluster: str, now: datetime) -> Generator[Reading, None, None]:
        anchor = self._anchor(cursor, cluster, now)
        known = cursor.source.get("anchors", {})
        # Where no time to begin at is given, this host's clock says it, until Slurm's own times are known.
        provisional = cluster not in known and self._settings.since is None
        if anchor > now:
            # Some clock was ahead when this was written. To begin earlier costs time; to believe it, jobs.
            anchor = now
            yield Reading(b"", {"cluster": cluster, "anchor": clock.as_text(now), "back": True})
        elif cluster not in known:
            yield Reading(b"", {"cluster": cluster, "anchor": clock.as_text(anchor)})
        begin = self._begin(cursor, cluster, anchor, now)
        width = self._overlap + self._window
        while begin < now:
            end = min(begin + width, now)
            try:
                newest = yield from self._between(cursor, cluster, begin, end)
            except SourceFailed:
                if width <= self._window:
                    raise
                width = self._window  # the database may refuse to look at so long a time (MaxQueryTimeRange)
                continue
            if newest and (newest > anchor or provisional or cursor.seen.forgotten_to > begin.timestamp()):
                anchor = newest if provisional else max(anchor, newest)
                provisional = False
                yield Reading(b"", {"cluster": cluster, "anchor": clock.as_text(anchor)})
            # Where nothing ended, wider windows come at no cost; so an idle year is a few questions, not 365.
            width = self._window if newest else min(width * 2, 365 * _DAY)
            begin = end

    def _anchor(self, cursor: Cursor, cluster: str, now: datetime) -> datetime:
        said = cursor.source.get("anchors", {}).get(cluster)
        if said:
            return clock.from_text(said)
        since = self._settings.since
        return since + self._overlap if since else now

    def _begin(self, cursor: Cursor, cluster: str, anchor: datetime, now: datetime) -> datetime:
        begin = min(anchor, now) - self._overlap
        floor = cursor.source.get("floors", {}).get(cluster, 0)
        if floor < begin.timestamp():
            return begin
        shortened = clock.from_epoch(floor + 1)
        self.notes.say(
            f"more than {self._settings.seen_limit} runs ended within the overlap, which is therefore shortened "
            f"to {(anchor - shortened).total_seconds() / 3600:.1f} h; raise [slurm] seen_limit (100 bytes each)"
        )
        return shortened

    def _between(
        self, cursor: Cursor, cluster: str, begin: datetime, end: datetime
    ) -> Generator[Reading, None, datetime | None]:
        """Yield the new runs that ended in [begin, end). Returns: the newest end, None for no run."""
        held: list[bytes] = []
        size, newest = 0, None
        with commands.output(self._command(cluster, begin, end), self._settings.timeout_s) as stream:
            header, stamped = self._stamped(stream, begin, end)
            lines = Lines(header)
            for record, stamp in stamped:
                newest = max(newest or stamp, stamp)
                text = self._redactor.text(record, header)
                if not text or cursor.seen.has(text, lines.stamp(text)):
                    continue
                if held and size + len(text) > self._batch_bytes:
                    yield _reading(header, held, cluster, newest)
                    held, size = [], 0
                held.append(text)
                size += len(text)
        self._refuse_unasked(header)
        # Only a sacct that ended well has told all; what it had told before is read again otherwise.
        if held and newest is not None:
            yield _reading(header, held, cluster, newest)
        return None if newest is None else clock.from_epoch(newest)

    def _stamped(
        self, stream: IO[bytes], begin: datetime, end: datetime
    ) -> tuple[bytes, Iterator[tuple[bytes, int]]]:
        """Read sacct's header. Returns: it, and the records that ended in [begin, end), each with its end."""
        header = next(commands.lines(stream), b"")
        lines = Lines(header)
        first, until = int(begin.timestamp()), int(end.timestamp())
        asked = self._is_asked(header)
        told = (
            (record, lines.end_of(record, first, until, self._settings.steps))
            for record in records(commands.lines(stream), lines.count)
        )
        return lines.header, ((record, stamp) for record, stamp in told if asked and stamp is not None)

    def _is_asked(self, header: bytes) -> bool:
        return Lines(header).names == [name.lower() for name in self._fields]

    def _refuse_unasked(self, header: bytes) -> None:
        if not self._is_asked(header):
            said = header[:200].decode("utf-8", "replace").strip()
            raise SourceFailed(
                f"sacct did not begin with the names of the fields asked for but with {said!r}; "
                "if this Slurm lacks one of them, list the others in [slurm] fields"
            )

    def _command(self, cluster: str, begin: datetime, end: datetime) -> list[str]:
        asked = [
            *self._settings.sacct,
            "--allusers",
            "--duplicates",
            "--parsable2",
            "--noconvert",
            f"--starttime={begin:%Y-%m-%dT%H:%M:%S}",
            f"--endtime={end:%Y-%m-%dT%H:%M:%S}",
            f"--format={','.join(self._fields)}",
        ]
        return [*asked, f"--clusters={cluster}"] if cluster else asked

    def samples(self) -> list[Sample]:
        """Ask squeue. Raises: SourceUnreadable (permanent), SourceFailed (retryable)."""
        clusters = self._settings.clusters
        asked = [*self._settings.squeue, "--all", "--noheader", "--array", "--format=%T|%C|%u|%a"]
        asked += [f"--clusters={','.join(clusters)}"] if clusters else []
        tally = Tally()
        with commands.output(asked, self._settings.timeout_s) as stream:
            for line in commands.lines(stream):
                parts = line.decode("utf-8", "replace").rstrip("\n").split("|", 3)
                if len(parts) == 4 and parts[0] in _STATES and parts[1].isdecimal():
                    tally.add(self._account(parts[3], parts[2]), None, _STATES[parts[0]], int(parts[1]))
        return tally.samples()

    def _account(self, account: str, user: str) -> str:
        """The account, hashed where it is but the user's own name."""
        if self._names is None or account != user:
            return account
        return self._names.address(account.encode()).decode()

    def check(self, now: datetime) -> list[Finding]:
        """Ask sacct for the last day, and squeue, and say what came."""
        jobs = 0
        try:
            jobs = sum(sample.jobs for sample in self.samples())
            queue = Finding(PASSED, "squeue", f"squeue tells of {jobs} jobs that run or wait")
        except ProbeError as error:
            queue = Finding(WARNING, "squeue", str(error), "without it, heartbeats lack what runs now")
        try:
            return [_judged(*self._runs_and_users(now), jobs), queue]
        except ProbeError as error:
            remedy = "run the same sacct as the probe's account and read what it says"
            return [Finding(CRITICAL if error.permanent else WARNING, "sacct", str(error), remedy), queue]

    def _runs_and_users(self, now: datetime) -> tuple[int, int]:
        runs, users, begin = 0, set(), now - _DAY
        for cluster in self._settings.clusters or ("",):
            with commands.output(self._command(cluster, begin, now), self._settings.timeout_s) as stream:
                header, stamped = self._stamped(stream, begin, now)
                for record, _ in stamped:
                    runs += 1
                    users.add(Lines(header).user(record))
            self._refuse_unasked(header)
        return runs, len(users)


def _reading(header: bytes, held: list[bytes], cluster: str, newest: int) -> Reading:
    move = {"cluster": cluster}
    return Reading(header + b"".join(held), move, LINES, len(header), clock.from_epoch(newest))


def _judged(runs: int, users: int, jobs: int) -> Finding:
    sentence = f"sacct tells of {runs} runs of {users} users that ended in the last 24 hours"
    if runs == 0 and jobs > 0:
        return Finding(WARNING, "sacct", sentence, "if jobs did end, the probe's account may not see them")
    if users == 1 and runs > 1:
        remedy = (
            "if there are more users, let the account see all jobs (Slurm's PrivateData, AdminLevel=Operator)"
        )
        return Finding(WARNING, "sacct", sentence, remedy)
    return Finding(PASSED, "sacct", sentence)

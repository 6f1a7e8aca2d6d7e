"""A site in a temporary folder: fake batch commands, a configuration, a clock that can be moved."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.probes import wiring
from gridkeeper.probes.clock import Clock
from gridkeeper.probes.configuration import load
from gridkeeper.probes.slurm import FIELDS
from tests.probes.fake_collector import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.probes.probe import Probe
    from gridkeeper.probes.status import Verdict

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

_SACCT = """\
import json, os, sys
options = dict(part.lstrip("-").partition("=")[::2] for part in sys.argv[1:])
if os.environ.get("TZ") != "UTC" or "SLURM_TIME_FORMAT" in os.environ or "GRIDKEEPER_PROBE_TOKEN" in os.environ:
    sys.exit("sacct: wrong environment")
if not {"allusers", "parsable2", "noconvert"} <= set(options) or "allocations" in options:
    sys.exit("sacct: wrong options")
with open(@LOG@, "a") as log:
    log.write(options["starttime"] + " " + options["endtime"] + "\\n")
if os.path.exists(@FAIL@):
    sys.stderr.write(open(@FAIL@).read())
    sys.exit(1)
fields = options["format"].split(",")
print("|".join(fields))
for line in open(@JOBS@):
    job = json.loads(line)
    if "clusters" in options and job["Cluster"] != options["clusters"]:
        continue
    ended = job["End"] if job["End"] not in ("Unknown", "None") else "9999"
    if job["Start"] < options["endtime"] and ended >= options["starttime"]:
        if "duplicates" in options or job["State"] != "REQUEUED":
            print("|".join(job.get(name, "") for name in fields))
if os.path.exists(@CUT@):
    sys.stdout.write("999|99")
    sys.stdout.flush()
    os._exit(1)
"""


class FakeClock(Clock):
    """A clock that stands still until somebody sleeps or moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the clock: the time jumps, but no time passes."""
        self._now += timedelta(seconds=seconds)


class Site:
    """A folder with everything a probe needs."""

    def __init__(self, folder: Path, url: str, kind: str = "slurm") -> None:
        self.folder = folder
        self.kind = kind
        self.bin = folder / "bin"
        self.jobs = folder / "jobs.jsonl"
        self.sacct_log = folder / "sacct.log"
        self.sacct_fails = folder / "sacct-fails"
        self.sacct_cut = folder / "sacct-cut"
        self.state = folder / "state"
        self.config = folder / "probe.ini"
        self.clock = FakeClock()
        self.said: list[str] = []
        self.sections: dict[str, dict[str, str]] = {
            "probe": {
                "name": "utah-probe",
                "resource": "Utah Slurm",
                "kind": kind,
                "state_dir": str(self.state),
            },
            "collector": {"url": url, "token_file": str(folder / "token"), "timeout_s": "5"},
            "outbox": {"keep_free_mb": "0"},
        }
        self.bin.mkdir()
        self.jobs.touch()
        (folder / "token").write_text(TOKEN + "\n")
        (folder / "token").chmod(0o600)
        places = {
            "@LOG@": self.sacct_log, "@JOBS@": self.jobs, "@FAIL@": self.sacct_fails, "@CUT@": self.sacct_cut,
        }  # fmt: skip
        script = _SACCT
        for mark, place in places.items():
            script = script.replace(mark, repr(str(place)))
        self.command("sacct", script)
        self.command("squeue", 'print("RUNNING|8|alice|physics")\nprint("PENDING|4|bob|physics")\n')
        if kind == "slurm":
            self.set("slurm", sacct=str(self.bin / "sacct"), squeue=str(self.bin / "squeue"))

    def set(self, section: str, **settings: object) -> None:
        """Set settings; the configuration is written when the probe is made."""
        self.sections.setdefault(section, {}).update({name: str(value) for name, value in settings.items()})

    def command(self, name: str, script: str) -> Path:
        """Make a command of Python text."""
        path = self.bin / name
        path.write_text(f"#!{sys.executable} -SE\n{script}")
        path.chmod(0o755)
        return path

    def write_config(self) -> Path:
        text = ""
        for section, settings in self.sections.items():
            text += (
                f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()) + "\n"
            )
        self.config.write_text(text)
        return self.config

    def probe(self) -> Probe:
        """Make the probe anew, as each run does."""
        settings = load(self.write_config())
        return wiring.probe_of(settings, self.clock, self.said.append, random.Random(1))

    def once(self) -> Verdict:
        return self.probe().once()

    def ended(self, job: int, ended: datetime, **fields: str) -> str:
        """Let a job end; gives its line."""
        known = {
            "JobID": str(job), "JobIDRaw": str(job), "Cluster": "utah", "Partition": "normal", "Account": "physics", "User": "alice",
            "Submit": slurm_time(ended - timedelta(hours=2)), "Start": slurm_time(ended - timedelta(hours=1)), "End": slurm_time(ended),
            "Elapsed": "01:00:00", "State": "COMPLETED", "NNodes": "1", "NCPUS": "4", "NodeList": "n1", "JobName": f"job{job}",
        } | fields  # fmt: skip
        with self.jobs.open("a") as stream:
            stream.write(json.dumps(known) + "\n")
        return "|".join(known.get(name, "") for name in FIELDS)

    def run_for_real(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the command line in a process of its own, with the machine's clock."""
        command = [sys.executable, "-m", "gridkeeper.probes", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


def slurm_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def json_of(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))

"""The command `gridkeeper-probe`: run, doctor, and the files an admin begins with."""

from __future__ import annotations

import argparse
import io
import os
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gridkeeper import __version__
from gridkeeper.probes import clock, doctor, wiring
from gridkeeper.probes.configuration import load
from gridkeeper.probes.contract import CRITICAL, PASSED
from gridkeeper.probes.errors import AnotherRun, BadSettings, ProbeError
from gridkeeper.probes.settings import KINDS
from gridkeeper.probes.status import LEVEL_NAMES, UNKNOWN, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

PROGRAM = "gridkeeper-probe"
UNITS = ("gridkeeper-probe@.service", "gridkeeper-probe@.timer")
INSTALLED = Path("/usr/local/bin/gridkeeper-probe")
_STOPPED = 130
_EXAMPLES = f"""\
examples:
  {PROGRAM} sample-config slurm > /etc/gridkeeper-probe/slurm.ini
  {PROGRAM} doctor --config /etc/gridkeeper-probe/slurm.ini
  {PROGRAM} run --once --config /etc/gridkeeper-probe/slurm.ini
  {PROGRAM} run --once --since 2026-11-01 --config /etc/gridkeeper-probe/slurm.ini
  {PROGRAM} systemd-units /etc/systemd/system

exit codes, as Nagios has them: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (the command or the configuration is wrong)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns: the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that this terminal's letters cannot show must not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _obey(_parser().parse_args(arguments))
    finally:
        _say()  # what --help wrote, too


def _obey(asked: argparse.Namespace) -> int:
    try:
        return int(asked.do(asked))
    except BadSettings as error:
        return _tell(Verdict(UNKNOWN, str(error)))
    except (ProbeError, OSError) as error:
        return _tell(Verdict(CRITICAL, str(error)))
    except KeyboardInterrupt:
        return _STOPPED


def _say(line: str | None = None) -> None:
    """Write a line now; where nobody listens any more (`doctor | head -1`), write into the void and go on."""
    try:
        if line is not None:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        void = os.open(os.devnull, os.O_WRONLY)
        os.dup2(void, sys.stdout.fileno())
        os.close(void)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is a Nagios line with the exit code UNKNOWN."""

    def error(self, message: str) -> None:  # type: ignore[override]
        _say(f"{LEVEL_NAMES[UNKNOWN]} - {message}; see {self.prog} --help")
        sys.exit(UNKNOWN)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Ships the batch system's own accounting text to the federation's collector.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="read and send, once or for ever")
    run.add_argument("--once", action="store_true", help="one round, for a timer or cron")
    run.add_argument("--since", metavar="DAY", help="with --once: read again what ended since then")
    run.add_argument("--quiet", action="store_true", help="with --once: say nothing when all is well (cron)")
    run.set_defaults(do=_run)

    examine = commands.add_parser("doctor", help="say in words what is wrong and what to do")
    examine.set_defaults(do=_doctor)
    for command in (run, examine):
        command.add_argument("--config", metavar="FILE", type=Path, required=True, help="the configuration")

    sample = commands.add_parser("sample-config", help="print a configuration to begin with")
    sample.add_argument("kind", choices=KINDS)
    sample.set_defaults(do=_sample)

    units = commands.add_parser("systemd-units", help="write the systemd units into a folder")
    units.add_argument("folder", type=Path, metavar="FOLDER")
    units.set_defaults(do=_units)
    return parser


def _run(asked: argparse.Namespace) -> int:
    settings = load(asked.config)
    probe = wiring.probe_of(settings, clock.Clock(), lambda sentence: _log(settings.probe.name, sentence))
    if not asked.once:
        if asked.since:
            raise BadSettings("--since goes with --once")
        probe.run()
        return PASSED
    try:
        verdict = probe.once(_moment(asked.since))
    except AnotherRun as error:
        # A round that takes longer than the timer's pause is no fault; the doctor tells one that never ends.
        verdict = Verdict(PASSED, str(error))
    return verdict.level if asked.quiet and verdict.level == PASSED else _tell(verdict)


def _moment(text: str | None) -> datetime | None:
    try:
        return clock.from_text(text) if text else None
    except ValueError as error:
        raise BadSettings(f"--since {error}") from error


def _doctor(asked: argparse.Namespace) -> int:
    settings, clock_ = load(asked.config), clock.Clock()
    now = clock_.now()
    findings = doctor.examine(
        settings, wiring.source_of(settings), wiring.collector_of(settings, clock_), now
    )
    level = _tell(doctor.verdict(findings, doctor.figures(settings, now)))
    for finding in findings:
        _say(f"{LEVEL_NAMES[finding.level]:8} {finding.about}: {finding.sentence}")
        if finding.level != PASSED and finding.remedy:
            _say(f"{'':8} -> {finding.remedy}")
    return level


def _sample(asked: argparse.Namespace) -> int:
    _say(_resource(f"examples/{asked.kind}.ini").rstrip("\n"))
    return PASSED


def _units(asked: argparse.Namespace) -> int:
    for name in UNITS:
        path = asked.folder / name
        text = _resource(f"systemd/{name}")
        # The Python that runs this is known to be new enough; `python3` of an older system may not be.
        for mark, place in (("@PYTHON@", sys.executable), ("@PROGRAM@", str(_program()))):
            text = text.replace(mark, place.replace("%", "%%"))
        path.write_text(text, encoding="utf-8")
        _say(f"wrote {path}")
    _say("now: systemctl daemon-reload && systemctl enable --now gridkeeper-probe@NAME.timer")
    _say("NAME.ini is the configuration under /etc/gridkeeper-probe")
    return PASSED


def _program() -> Path:
    """Where this program lies, for the unit that runs it; from its source, where it is to be put."""
    program = Path(sys.argv[0]).resolve()
    return INSTALLED if program.suffix == ".py" else program


def _resource(name: str) -> str:
    # Not importlib.resources: that of Python 3.9 cannot look into folders of an archive that are no packages.
    content = pkgutil.get_data("gridkeeper.probes", name)
    if content is None:
        raise BadSettings(
            f"this program was put together without {name}; build it with gridkeeper.probes.package"
        )
    return content.decode("utf-8")


def _tell(verdict: Verdict) -> int:
    _say(verdict.line)
    return verdict.level


def _log(name: str, sentence: str) -> None:
    if not os.environ.get("JOURNAL_STREAM"):
        sentence = f"{clock.as_text(clock.Clock().now())} {sentence}"
    print(f"{PROGRAM} {name}: {sentence}", file=sys.stderr, flush=True)

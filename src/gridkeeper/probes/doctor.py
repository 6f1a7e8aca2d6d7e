"""The doctor: looks at everything a probe needs, and says in words what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from gridkeeper.probes import collector as answers
from gridkeeper.probes import tokens
from gridkeeper.probes.contract import CRITICAL, PASSED, WARNING, Finding
from gridkeeper.probes.durable import write_durably
from gridkeeper.probes.errors import BadSettings, DiskRefused, ProbeError
from gridkeeper.probes.heartbeat import beat
from gridkeeper.probes.outbox import Outbox
from gridkeeper.probes.settings import MEGABYTE
from gridkeeper.probes.status import Status, Verdict, age_s, backlog_problem, in_words

if TYPE_CHECKING:
    from datetime import datetime

    from gridkeeper.probes.collector import Collector
    from gridkeeper.probes.contract import Source
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.settings import Settings

CLOCK_WARN_S, CLOCK_CRITICAL_S = 30.0, 300.0
# A probe that has not run for so many intervals does not run.
MISSED_ROUNDS = 4


def examine(settings: Settings, source: Source, collector: Collector, now: datetime) -> list[Finding]:
    """Check everything. Returns: a finding for each check, in the order an admin would look."""
    outbox = Outbox(settings.probe.state_dir, settings.probe.name, settings.outbox)
    status = Status.load(settings.probe.state_dir)
    findings = [*_secrets(settings), *_state(settings, outbox)]
    findings += source.check(now)
    findings += _collector(settings, source, collector, outbox, status, now)
    findings += _backlog(settings, outbox, status, now)
    # What the last round met and is looked at anew above is left out: it may be mended by now.
    rest = replace(status, refused="", failed="", heartbeat_problem="", samples_problem="", limit="")
    findings += [Finding(level, "last round", sentence) for level, sentence in rest.problems()]
    return findings


def verdict(findings: list[Finding], figures: dict[str, str]) -> Verdict:
    """Sum findings up as one status: the worst level, and what is at that level."""
    level = max((finding.level for finding in findings), default=PASSED)
    if level == PASSED:
        return Verdict(PASSED, f"all {len(findings)} checks passed", figures)
    worst = [f"{finding.about}: {finding.sentence}" for finding in findings if finding.level == level]
    return Verdict(level, "; ".join(worst), figures)


def figures(settings: Settings, now: datetime) -> dict[str, str]:
    """The doctor's performance data: batches, bytes, seconds."""
    outbox = Outbox(settings.probe.state_dir, settings.probe.name, settings.outbox)
    limits = settings.outbox
    try:
        outbox.take_stock()
        oldest = age_s(outbox.oldest_at(), now) or 0.0
        warn, critical = limits.warn_hours * 3600, limits.critical_hours * 3600
        return {
            "backlog": f"{outbox.count};;;0;{limits.limit_files}",
            "backlog_bytes": f"{outbox.size_bytes}B;;;0;{limits.limit_mb * MEGABYTE}",
            "oldest": f"{oldest:.0f}s;{warn};{critical}",
        }
    except DiskRefused:
        return {}


def _secrets(settings: Settings) -> list[Finding]:
    found = []
    files = {"token": settings.collector.token_file}
    if settings.redaction.enabled:
        files["redaction key"] = settings.redaction.key_file
    try:
        tokens.token(settings.collector)
        if settings.redaction.key_file and settings.redaction.enabled:
            tokens.site_key(settings.redaction.key_file)
    except BadSettings as error:
        return [
            Finding(
                CRITICAL, "token", str(error), "ask the federation's operators for a new token if it is lost"
            )
        ]
    for about, path in files.items():
        if path is not None and tokens.readable_by_others(path):
            found.append(
                Finding(WARNING, about, f"everybody on this host can read {path}", f"chmod 640 {path}")
            )
    return found or [Finding(PASSED, "token", "there is a token, and not everybody can read it")]


def _state(settings: Settings, outbox: Outbox) -> list[Finding]:
    folder = settings.probe.state_dir
    if not folder.is_dir():
        # Not made here: whoever runs the doctor may be another account than the probe's.
        remedy = f"the first run makes it; else: install -d -o ACCOUNT -m 700 {folder}"
        return [Finding(WARNING, "state folder", f"there is no folder {folder} yet", remedy)]
    try:
        trial = folder / f"doctor-{os.getpid()}"
        write_durably(trial, b"trial\n")
        trial.unlink()
        outbox.take_stock()
        full = outbox.full() if outbox.folder.is_dir() else None
        free = shutil.disk_usage(folder).free
    except (DiskRefused, OSError) as error:
        remedy = (
            f"give {folder} to the probe's account, on a disk with room, and run the doctor as that account"
        )
        return [Finding(CRITICAL, "state folder", str(error), remedy)]
    found = []
    if full:
        remedy = "mend the sending, or raise the limit; until then nothing new is read"
        found.append(Finding(CRITICAL, "outbox", full, remedy))
    damaged = outbox.damaged_count()
    if damaged:
        remedy = f"look at {folder}/damaged (disk errors?), send the files to the operators, then remove them"
        found.append(Finding(WARNING, "outbox", f"{damaged} damaged batches were set aside", remedy))
    sentence = f"{folder} can be written, {free / MEGABYTE:,.0f} MB are free"
    return found or [Finding(PASSED, "state folder", sentence)]


def _collector(
    settings: Settings, source: Source, collector: Collector, outbox: Outbox, status: Status, now: datetime
) -> list[Finding]:
    """Ask for the time, then send a heartbeat: only that tells whether the token is good for this resource."""
    try:
        offset, answer = collector.clock_offset_s()
        if not answer.answered:
            return [
                Finding(
                    CRITICAL,
                    "collector",
                    answer.sentence,
                    "nothing is lost meanwhile: it waits in the outbox",
                )
            ]
        found = [_clock(offset)]
        answer = beat(collector, settings.probe, source.format, outbox, status, _samples(source), now)
    except BadSettings as error:
        return [Finding(CRITICAL, "collector", str(error))]
    if answer.kind == answers.DELIVERED:
        sentence = f"{settings.collector.url} takes this token for {settings.probe.resource}"
        return [*found, Finding(PASSED, "collector", sentence)]
    if answer.kind == answers.REFUSED:
        remedy = "compare [probe] name and resource with what the token was given for, or ask for a new token"
        return [*found, Finding(CRITICAL, "token", f"refused: {answer.sentence}", remedy)]
    return [
        *found,
        Finding(WARNING, "collector", answer.sentence, "tell the federation's operators if it stays so"),
    ]


def _samples(source: Source) -> list[Sample]:
    try:
        return source.samples()
    except ProbeError:
        return []  # the source's own check has said it


def _clock(offset: float | None) -> Finding:
    if offset is None:
        return Finding(WARNING, "clock", "the collector does not tell the time", "is [collector] url right?")
    size = abs(offset)
    level = CRITICAL if size >= CLOCK_CRITICAL_S else WARNING if size >= CLOCK_WARN_S else PASSED
    sentence = f"this host's clock is {size:.1f} s {'ahead of' if offset > 0 else 'behind'} the collector's"
    return Finding(level, "clock", sentence, "let chronyd or ntpd set it" if level else "")


def _backlog(settings: Settings, outbox: Outbox, status: Status, now: datetime) -> list[Finding]:
    limits, probe = settings.outbox, settings.probe
    found = []
    late = backlog_problem(outbox.oldest_at(), outbox.count, now, limits.warn_hours, limits.critical_hours)
    if late:
        found.append(Finding(late[0], "backlog", late[1], "the checks above say why"))
    else:
        found.append(Finding(PASSED, "backlog", f"{outbox.count} batches wait, none for long"))
    since = age_s(status.last_round_at, now)
    remedy = "systemctl enable --now gridkeeper-probe@NAME.timer, or a line in cron (docs: probes.md)"
    if since is None:
        found.append(Finding(WARNING, "rounds", "this probe has never run", remedy))
    elif since > MISSED_ROUNDS * probe.interval_s:
        found.append(Finding(CRITICAL, "rounds", f"the last round was {in_words(since)} ago", remedy))
    else:
        found.append(Finding(PASSED, "rounds", f"the last round was {in_words(since)} ago"))
    receipt_age = age_s(status.last_receipt_at, now)
    if receipt_age is not None:
        sentence = f"the last receipt, {status.last_receipt}, came {in_words(receipt_age)} ago"
        found.append(Finding(PASSED, "receipt", sentence))
    else:
        found.append(Finding(PASSED, "receipt", "no batch has been delivered yet"))
    return found

"""Writes jobs as Gratia's probes do: XML records in an envelope, with a handshake of the probe now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo import jobs as outcomes
from gridkeeper.demo.clock_text import iso_texts, time_texts
from gridkeeper.demo.people import PROJECTS, distinguished_name, fqan_of, group_of, user_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.places import Place
    from gridkeeper.demo.plan import Cell

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<RecordEnvelope>\n'
TAIL = "</RecordEnvelope>\n"
HANDSHAKE_EVERY = 250
_BEYOND = 50_000_000
_NODES = 300
_SENT_AFTER_S = 900
_BY_SIGNAL = (outcomes.OUT_OF_MEMORY, outcomes.NODE_FAIL, outcomes.PREEMPTED, outcomes.CANCELLED)
_NAMESPACES = 'xmlns="http://www.gridforum.org/2003/ur-wg" xmlns:urwg="http://www.gridforum.org/2003/ur-wg"'


def records(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write ended jobs, one record each."""
    who = [_who(place, cell) for cell in cells]
    host, is_condor = place.host, place.system != "pbs-lsf"
    numbers = [_numbers(place, number, submit) for number, submit in zip(jobs.number.tolist(), jobs.submit.tolist(), strict=True)]  # fmt: skip
    columns = zip(
        jobs.cell.tolist(), jobs.number.tolist(), numbers, jobs.user.tolist(), time_texts(jobs.start), time_texts(jobs.end),
        time_texts(jobs.end + _SENT_AFTER_S), iso_texts(jobs.wall), iso_texts(jobs.suspended), iso_texts(jobs.cpu_user),
        iso_texts(jobs.cpu_system), jobs.reported_cores.tolist(), jobs.outcome.tolist(), strict=True,
    )  # fmt: skip
    found = []
    for (
        cell, number, ids, user, start, end, sent, wall, suspended, own, system, cores, outcome,
    ) in columns:  # fmt: skip
        people, tail, described = who[cell]
        code = 1 if outcome == outcomes.FAILED else 0
        signal = "true" if outcome in _BY_SIGNAL else "false"
        status = "Condor Exit Status" if is_condor else "exit status"
        queue = (
            '<Queue urwg:description="Condor\'s JobUniverse field">5</Queue>'
            if is_condor
            else "<Queue>batch</Queue>"
        )
        found.append(
            f'<JobUsageRecord {_NAMESPACES}>\n<RecordIdentity urwg:recordId="{host}:{number % 30000}.{number}" urwg:createTime="{sent}Z"/>\n'
            f"<JobIdentity>\n{ids}</JobIdentity>\n{people[user]}\t<MachineName>{host}</MachineName>\n\t<SubmitHost>{host}</SubmitHost>\n"
            f'\t<Status urwg:description="{status}">{code}</Status>\n\t<WallDuration urwg:description="Was entered in seconds">{wall}</WallDuration>\n'
            f'\t<TimeDuration urwg:type="CumulativeSuspensionTime">{suspended}</TimeDuration>\n\t<TimeDuration urwg:type="CommittedTime">{wall}</TimeDuration>\n'
            f'\t<CpuDuration urwg:usageType="system">{system}</CpuDuration>\n\t<CpuDuration urwg:usageType="user">{own}</CpuDuration>\n'
            f"\t<EndTime>{end}Z</EndTime>\n\t<StartTime>{start}Z</StartTime>\n"
            f'\t<Host primary="true"{described}>wn{number % _NODES:03d}.example.edu</Host>\n\t{queue}\n'
            f'\t<NodeCount urwg:metric="max">1</NodeCount>\n\t<Processors urwg:metric="max">{cores}</Processors>\n'
            f'\t<Resource urwg:description="ExitBySignal">{signal}</Resource>\n\t<Resource urwg:description="ExitCode">{code}</Resource>\n{tail}'
        )
    return found


def broken_records(place: Place, cells: Sequence[Cell], jobs: Jobs) -> tuple[list[str], str]:
    """Write likenesses of jobs that cannot be read.

    Returns: those that stand among the others (an end that is no time, a tag that does not match), and one that
    breaks off, to be the end of its file; "" for none.
    """
    likenesses = jobs.take(np.arange(len(jobs)))
    likenesses.number = jobs.number + 2 * _BEYOND
    found, cut_off = [], ""
    for record, kind in zip(records(place, cells, likenesses), (jobs.number // 3 % 3).tolist(), strict=True):
        if kind == 0 and not cut_off:
            cut_off = record[: int(len(record) * 0.6)]
        elif kind == 1:
            found.append(record.replace("</WallDuration>", "</Walltime>"))
        else:
            head, _, rest = record.partition("<EndTime>")
            found.append(head + "<EndTime>yesterday" + rest[rest.index("</EndTime>") :])
    return found, cut_off


def with_handshakes(place: Place, texts: Sequence[str], until: int) -> tuple[list[str], int]:
    """Put a handshake of the probe before every HANDSHAKE_EVERY records. Returns: texts, number of handshakes."""
    found = []
    for number, text in enumerate(texts):
        if number % HANDSHAKE_EVERY == 0:
            found.append(_handshake(place, until, number // HANDSHAKE_EVERY))
        found.append(text)
    return found, -(-len(texts) // HANDSHAKE_EVERY)


def _handshake(place: Place, until: int, number: int) -> str:
    (sent,) = time_texts(np.array([until]))
    return (
        f'<ProbeDetails>\n<RecordIdentity recordId="{place.host}:{until % 30000}.{number}" createTime="{sent}Z"/>\n'
        f"\t<ProbeName>{place.probe}</ProbeName>\n\t<SiteName>{place.name}</SiteName>\n\t<Grid>OSG</Grid>\n"
        '\t<ReporterLibrary version="1.18">Gratia</ReporterLibrary>\n\t<Reporter version="1.18">invented</Reporter>\n</ProbeDetails>\n'
    )


def _numbers(place: Place, number: int, submit: int) -> str:
    if place.system == "pbs-lsf":
        return f"\t<LocalJobId>{number}.{place.host}</LocalJobId>\n"
    return f"\t<GlobalJobId>condor.{place.host}#{number}.0#{submit}</GlobalJobId>\n\t<LocalJobId>{number}</LocalJobId>\n"


def _who(place: Place, cell: Cell) -> tuple[list[str], str, str]:
    """A cell's users as XML, the end of its records, and the attribute that says where a pilot ran."""
    vo, is_payload = cell.vo or "", cell.level == "payload"
    people = []
    for user in user_names(group_of(cell.vo)):
        name, group = (
            (f"/OU=LocalUser/CN={user}", "/osg/LocalGroup=users")
            if is_payload
            else (distinguished_name(user), fqan_of(vo, cell.experiment))
        )
        people.append(
            f"<UserIdentity>\n\t<LocalUserId>{user}</LocalUserId>\n\t<GlobalUsername>{user}@{place.host}</GlobalUsername>\n\t<DN>{name}</DN>\n"
            f"\t<VOName>{group}</VOName>\n\t<ReportableVOName>{vo}</ReportableVOName>\n</UserIdentity>\n"
        )
    project = (
        f"\t<ProjectName>{PROJECTS[len(cell.resource) % len(PROJECTS)]}</ProjectName>\n" if is_payload else ""
    )
    tail = (
        f"{project}\t<ProbeName>{place.probe}</ProbeName>\n\t<SiteName>{place.name}</SiteName>\n\t<Grid>OSG</Grid>\n\t<Njobs>1</Njobs>\n"
        f'\t<Resource urwg:description="ResourceType">{"BatchPilot" if is_payload else "Batch"}</Resource>\n</JobUsageRecord>\n'
    )
    return people, tail, f' urwg:description="{cell.resource}"' if is_payload else ""

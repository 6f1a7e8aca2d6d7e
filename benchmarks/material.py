"""Invented raw files of any size, and lakes of any size, for measuring."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.records.draft import Delivery, Draft, Parsed
from gridkeeper.records.finish import finish_usage

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.lake.lake import Lake

SITES, VOS, QUEUES = 60, 40, 3
RECORDS_A_DAY = 50_000
LAST_END = datetime(2017, 2, 14, tzinfo=UTC)
ARRIVES_AFTER = timedelta(hours=2)
BEGIN = datetime(2017, 1, 1, tzinfo=UTC)
DAYS = 60
SACCT_HEADER = (
    "JobID|JobIDRaw|DBIndex|Cluster|Partition|QOS|Account|Group|GID|User|UID|Submit|Eligible|Start|End|Elapsed|ElapsedRaw|Suspended|CPUTimeRAW|"
    "TotalCPU|SystemCPU|UserCPU|ExitCode|DerivedExitCode|State|Reason|NNodes|NCPUS|AllocCPUS|ReqCPUS|ReqMem|ReqTRES|AllocTRES|Timelimit|NodeList|JobName"
)


def sacct_file(path: Path, lines: int, first: int = 0) -> Path:
    """Write `lines` jobs as sacct text (about 350 bytes each), numbered from `first` on."""
    chance = random.Random(first + 1)
    minutes = [(BEGIN + timedelta(minutes=minute)).isoformat()[:16] for minute in range(DAYS * 1440 + 3000)]
    with path.open("w", encoding="utf-8") as stream:
        stream.write(SACCT_HEADER + "\n")
        for number in range(first, first + lines):
            minute, wall, cores = (
                chance.randrange(DAYS * 1440),
                chance.randrange(1, 1300),
                chance.choice((1, 1, 1, 8, 8, 4)),
            )
            submit = f"{minutes[minute]}:{chance.randrange(60):02d}"
            start, end = f"{minutes[minute + 3]}:00", f"{minutes[minute + 3 + wall]}:00"
            elapsed = f"{wall // 60:02d}:{wall % 60:02d}:00"
            cpu = f"{wall // 70:02d}:{wall % 59:02d}:03"
            tres = f"billing={cores},cpu={cores},mem={cores * 2000}M,node=1"
            stream.write(
                f"{number}|{number}|{number}|alpha|normal|normal|acct{number % 30}|grp{number % 10}|1001|user{number % 500}|1001|{submit}|{submit}|{start}|{end}|"
                f"{elapsed}|{wall * 60}|00:00:00|{wall * 60 * cores}|{cpu}|00:00:03|{cpu}|0:0|0:0|COMPLETED|None|1|{cores}|{cores}|{cores}|{cores * 2000}M|"
                f"{tres}|{tres}|1-00:00:00|node{number % 300:04d}|job name {number}\n"
            )
    return path


def gratia_file(path: Path, records: int, first: int = 0) -> Path:
    """Write job usage records in one envelope (about 2.6 kB each)."""
    durations = "".join(
        f'\t<TimeDuration urwg:type="{kind}">PT0S</TimeDuration>\n'
        for kind in ("LocalUserCpu", "LocalSysCpu", "CumulativeSuspensionTime", "CommittedSuspensionTime")
    )
    head = (
        '<JobUsageRecord xmlns="http://www.gridforum.org/2003/ur-wg" xmlns:urwg="http://www.gridforum.org/2003/ur-wg" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.gridforum.org/2003/ur-wg file:///u:/OSG/urwg-schema.11.xsd">'
    )
    with path.open("w", encoding="utf-8") as stream:
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n<RecordEnvelope>\n')
        for number in range(first, first + records):
            start = BEGIN + timedelta(seconds=number * 37 % (DAYS * 86_400))
            wall = 60 + number * 7919 % 90_000
            end = start + timedelta(seconds=wall)
            stream.write(
                f'{head}\n<RecordIdentity urwg:createTime="{end:%Y-%m-%dT%H:%M:%SZ}" urwg:recordId="ce.example.org:4711.{number}"/>\n'
                f"<JobIdentity>\n\t<GlobalJobId>condor.ce.example.org#{number}.0#{int(start.timestamp())}</GlobalJobId>\n\t<LocalJobId>{number}</LocalJobId>\n</JobIdentity>\n"
                f"<UserIdentity>\n\t<LocalUserId>user{number % 50}</LocalUserId>\n\t<GlobalUsername>user{number % 50}@example.org</GlobalUsername>\n"
                f"\t<DN>/DC=org/DC=example/CN=user {number % 50}</DN>\n\t<VOName>/cms/Role=pilot/Capability=NULL</VOName>\n\t<ReportableVOName>cms</ReportableVOName>\n</UserIdentity>\n"
                f"\t<JobName>ce.example.org#{number}.0</JobName>\n\t<MachineName>ce.example.org</MachineName>\n\t<SubmitHost>ce.example.org</SubmitHost>\n"
                f'\t<Status urwg:description="Condor Exit Status">0</Status>\n\t<WallDuration urwg:description="Was entered in seconds">PT{wall}S</WallDuration>\n'
                f'\t<TimeDuration urwg:type="RemoteUserCpu">PT{wall // 2}S</TimeDuration>\n{durations}'
                f'\t<CpuDuration urwg:description="Was entered in seconds" urwg:usageType="system">PT1.0S</CpuDuration>\n'
                f'\t<CpuDuration urwg:description="Was entered in seconds" urwg:usageType="user">PT{wall // 2}.5S</CpuDuration>\n'
                f'\t<EndTime urwg:description="Was entered in seconds">{end:%Y-%m-%dT%H:%M:%SZ}</EndTime>\n'
                f'\t<StartTime urwg:description="Was entered in seconds">{start:%Y-%m-%dT%H:%M:%SZ}</StartTime>\n'
                f'\t<Host primary="true">wn{number % 300}.example.org</Host>\n\t<Queue urwg:description="Condor\'s JobUniverse field">5</Queue>\n'
                '\t<NodeCount urwg:metric="max">1</NodeCount>\n\t<Processors urwg:metric="max">8</Processors>\n'
                '\t<Resource urwg:description="CondorMyType">Job</Resource>\n\t<Resource urwg:description="ExitBySignal">false</Resource>\n'
                '\t<Resource urwg:description="ExitCode">0</Resource>\n\t<Resource urwg:description="condor.JobStatus">4</Resource>\n'
                f'\t<Network urwg:metric="total" urwg:phaseUnit="PT{wall}S" urwg:storageUnit="b">0</Network>\n\t<ProbeName>condor:ce.example.org</ProbeName>\n'
                "\t<SiteName>EXAMPLE_CE</SiteName>\n\t<Grid>OSG</Grid>\n\t<Njobs>1</Njobs>\n"
                '\t<Resource urwg:description="ResourceType">Batch</Resource>\n</JobUsageRecord>\n'
            )
        stream.write("</RecordEnvelope>\n")
    return path


def condor_file(path: Path, ads: int) -> Path:
    """Write a history file of ads with about 100 attributes (3 kB) each."""
    filler = "".join(f'Filler{number} = "attribute that accounting does not read"\n' for number in range(60))
    with path.open("w", encoding="utf-8") as stream:
        offset = 0
        for number in range(ads):
            queued = int(BEGIN.timestamp()) + number * 37 % (DAYS * 86_400)
            wall = 60 + number * 7919 % 90_000
            ad = (
                f'MyType = "Job"\nClusterId = {number}\nProcId = 0\nQDate = {queued}\nJobStartDate = {queued + 60}\nJobCurrentStartDate = {queued + 60}\n'
                f'CompletionDate = {queued + 60 + wall}\nEnteredCurrentStatus = {queued + 60 + wall}\nOwner = "user{number % 50}"\nUser = "user{number % 50}@example.org"\n'
                f"RemoteWallClockTime = {wall}.000000\nRemoteUserCpu = {wall // 2}.000000\nRemoteSysCpu = 3.000000\nLocalUserCpu = 0.000000\nLocalSysCpu = 0.000000\n"
                f"NumJobStarts = 1\nCumulativeSuspensionTime = 0\nExitBySignal = false\nExitCode = 0\nExitStatus = 0\nJobStatus = 4\nJobUniverse = 5\nRequestCpus = 8\nCpusProvisioned = 8\n"
                f'GlobalJobId = "schedd.example.org#{number}.0#{queued}"\nLastRemoteHost = "slot1@wn{number % 300}.example.org"\nx509UserProxyVOName = "cms"\n'
                f'x509UserProxyFirstFQAN = "/cms/Role=pilot/Capability=NULL"\nx509userproxysubject = "/DC=org/DC=example/CN=user {number % 50}"\nMemoryUsage = 1800\n{filler}'
            )
            stream.write(
                ad
                + f'*** Offset = {offset} ClusterId = {number} ProcId = 0 Owner = "user{number % 50}" CompletionDate = {queued + 60 + wall}\n'
            )
            offset += len(ad)
    return path


def apel_files(folder: Path, records: int, first: int = 0) -> list[Path]:
    """Write individual job messages of 1000 records each."""
    chance = random.Random(first + 7)
    paths = []
    for begin in range(first, first + records, 1000):
        lines = ["APEL-individual-job-message: v0.3"]
        for number in range(begin, min(begin + 1000, first + records)):
            site, vo = (
                min(int(chance.expovariate(0.08)), SITES - 1),
                min(int(chance.expovariate(0.2)), VOS - 1),
            )
            wall, cores = (
                min(int(chance.lognormvariate(8.5, 1.6)), 6 * 86_400),
                chance.choice((1, 1, 1, 8, 8, 4, 16)),
            )
            end = int(BEGIN.timestamp()) + 7 * 86_400 + chance.randrange((DAYS - 7) * 86_400)
            lines += [
                f"Site: SITE_{site:02d}", f"SubmitHost: ce{site % 3}.site{site:02d}.example.org:9619/ce", f"MachineName: batch{site:02d}.example.org",
                f"Queue: {('long', 'short', 'gpu')[number % 3]}", f"LocalJobId: {1000 + number}", f"LocalUserId: u{vo % 20:03d}",
                f"GlobalUserName: /DC=org/DC=example/CN=user {vo % 20:03d}", f"FQAN: /vo{vo:02d}/Role=pilot/Capability=NULL", f"VO: vo{vo:02d}",
                f"VOGroup: /vo{vo:02d}", "VORole: Role=pilot", f"WallDuration: {wall}", f"CpuDuration: {int(wall * cores * 0.8)}", f"Processors: {cores}",
                "NodeCount: 1", f"StartTime: {end - wall}", f"EndTime: {end}", "InfrastructureType: grid", "MemoryReal: 2000000", "MemoryVirtual: 3000000",
                "ServiceLevelType: HEPscore23", f"ServiceLevel: {9 + site % 14}.5", "%%",
            ]  # fmt: skip
        path = folder / f"message{begin:09d}.apel"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def fill(lake: Lake, first: int, until: int, portion: int = 500_000, *, a_day: int = RECORDS_A_DAY) -> None:
    """Append records number `first` to `until` to a lake, `a_day` of them a day, through the same finishing and committing as a load."""
    from gridkeeper.records.usage import USAGE_RECORDS

    for begin in range(first, until, portion):
        lake.append(USAGE_RECORDS, rows(begin, min(begin + portion, until), a_day))


def rows(first: int, until: int, a_day: int = RECORDS_A_DAY) -> pa.Table:
    """Records of many sites and VOs, `a_day` of them a day, the later numbers the longer ago; each came ARRIVES_AFTER its end.

    So the books grow as those of a federation do: by its history.
    """
    numbers = np.arange(first, until)
    chance = np.random.default_rng(first)
    count = len(numbers)
    wall = np.minimum(chance.lognormal(8.5, 1.6, count), 6 * 86_400).astype(np.int64)
    end = (
        int(LAST_END.timestamp())
        - (numbers * 86_400 / a_day).astype(np.int64)
        - chance.integers(0, 3600, count)
    )
    sites = pa.array([f"SITE_{site:02d}" for site in range(SITES)])
    vos = pa.array([f"vo{vo:02d}" for vo in range(VOS)])
    cores = np.array([1, 1, 1, 8, 8, 4, 16], dtype=np.int32)[chance.integers(0, 7, count)]

    def moment(seconds: np.ndarray) -> pa.Array:
        return (
            pc.cast(pa.array(seconds), pa.timestamp("s"))
            .cast(pa.timestamp("us"))
            .cast(pa.timestamp("us", tz="UTC"))
        )

    columns = {
        "resource": sites.take(
            pa.array(np.minimum(chance.exponential(12, count), SITES - 1).astype(np.int64))
        ),
        "vo_reported": vos.take(pa.array(np.minimum(chance.exponential(5, count), VOS - 1).astype(np.int64))),
        "queue": pa.array(["long", "short", "gpu"]).take(pa.array(numbers % QUEUES)),
        "local_user": pa.array([f"user{user:03d}" for user in range(800)]).take(
            pa.array(chance.integers(0, 800, count))
        ),
        "host": pa.array([f"wn{host:04d}.example.org" for host in range(3000)]).take(
            pa.array(chance.integers(0, 3000, count))
        ),
        "local_job_id": pc.cast(pa.array(numbers), pa.string()),
        "submit_time": moment(end - wall - 60),
        "start_time": moment(end - wall),
        "end_time": moment(end),
        "wall_duration_s": pa.array(wall),
        "processors": pa.array(cores),
        "cpu_user_us": pa.array(wall * cores * 800_000),
        "outcome": pa.array(["success", "failed"]).take(
            pa.array((chance.random(count) < 0.05).astype(np.int64))
        ),
    }
    parsed = Parsed()
    finish_usage(
        Draft(columns, range(count), lambda row: str(row).encode()),
        "slurm",
        "sacct",
        Delivery(LAST_END + timedelta(days=2)),
        parsed,
    )
    made = parsed.tables["usage_records"]
    place = made.schema.get_field_index("received_at")
    arrived = moment(end + int(ARRIVES_AFTER.total_seconds()))
    return made.set_column(place, made.schema.field(place), pa.chunked_array([arrived]))

"""`usage_records`: one finished job, pilot, payload or transfer as its site reported it."""

from __future__ import annotations

from gridkeeper.records.columns import (
    ARRIVAL,
    BOOKKEEPING,
    COUNT,
    DAY,
    FLAG,
    REAL,
    TEXT,
    TIME,
    WHOLE,
    Column,
    Table,
)

_SOURCE = (
    Column("probe", TEXT, "", "Who sent it", "Gratia ProbeName; --probe", content=False),
    Column(
        "resource",
        TEXT,
        "",
        "The machine it is booked on, as declared or reported",
        "--resource; Slurm Cluster; Gratia SiteName; APEL Site",
    ),
    Column(
        "machine",
        TEXT,
        "",
        "The batch system's own name for itself",
        "Slurm Cluster; Gratia MachineName; condor schedd; APEL MachineName",
    ),
    Column("site_reported", TEXT, "", "The site as the record says it", "Gratia SiteName; APEL Site"),
    Column(
        "grid_reported",
        TEXT,
        "",
        "The grid as the record says it",
        "Gratia Grid; Local for jobs no grid sent",
    ),
    Column(
        "resource_type",
        TEXT,
        "",
        "Batch, Payload, Storage, Transfer, ...: what the record describes",
        "Gratia ResourceType; BatchPilot is renamed Payload",
    ),
    Column("resource_type_reported", TEXT, "", "The source's own term for it", "Gratia ResourceType"),
)

_JOB = (
    Column(
        "global_job_id",
        TEXT,
        "",
        "The job's name unique everywhere",
        "HTCondor GlobalJobId; Gratia GlobalJobId",
    ),
    Column(
        "local_job_id",
        TEXT,
        "",
        "The job's name at its batch system",
        "Slurm JobIDRaw; HTCondor ClusterId.ProcId; Gratia LocalJobId; APEL LocalJobId",
    ),
    Column(
        "array_task",
        TEXT,
        "",
        "The job's name within its array or heterogeneous job",
        "Slurm JobID (123_7, 123+1)",
    ),
    Column(
        "attempt",
        COUNT,
        "",
        "Which execution attempt, where each is recorded",
        "HTCondor RunInstanceId (epoch)",
    ),
    Column("queue", TEXT, "", "Queue or partition", "Slurm Partition; Gratia Queue; APEL Queue; SWF queue"),
    Column(
        "submit_host", TEXT, "", "Where it was submitted", "Gratia SubmitHost; APEL SubmitHost; condor schedd"
    ),
    Column(
        "host",
        TEXT,
        "",
        "Where it ran (first or only host, or a host list)",
        "Slurm NodeList; Gratia Host; HTCondor LastRemoteHost",
    ),
    Column(
        "host_description",
        TEXT,
        "",
        "Of a payload: the resource its pilot ran on",
        "Gratia Host@description; MATCH_EXP_JOBGLIDEIN_ResourceName",
    ),
    Column(
        "exit_code", COUNT, "", "Exit code of the job", "Slurm ExitCode (before the colon); HTCondor ExitCode"
    ),
    Column(
        "exit_signal",
        COUNT,
        "",
        "Signal that ended it; 0 for none",
        "Slurm ExitCode (after the colon); HTCondor ExitSignal",
    ),
    Column(
        "status_reported",
        TEXT,
        "",
        "The state in the source's own words",
        "Slurm State; HTCondor JobStatus; Gratia Status; SWF status",
    ),
    Column(
        "outcome",
        TEXT,
        "",
        "success, failed, cancelled, timeout, preempted, requeued, node_fail, out_of_memory or unknown",
        "from state, exit code and signal",
    ),
)

_WHO = (
    Column(
        "local_user",
        TEXT,
        "",
        "Account on the machine",
        "Slurm User; HTCondor Owner; Gratia LocalUserId",
        personal=True,
    ),
    Column(
        "global_user",
        TEXT,
        "",
        "The user's name beyond the machine",
        "HTCondor User; Gratia GlobalUsername; APEL GlobalUserName",
        personal=True,
    ),
    Column(
        "dn",
        TEXT,
        "",
        "Distinguished name of the certificate",
        "Gratia DN; x509userproxysubject",
        personal=True,
    ),
    Column("token_issuer", TEXT, "", "Issuer of the token", "HTCondor AuthTokenIssuer, orig_AuthTokenIssuer"),
    Column(
        "token_subject",
        TEXT,
        "",
        "Subject of the token",
        "HTCondor AuthTokenSubject, orig_AuthTokenSubject",
        personal=True,
    ),
    Column("account", TEXT, "", "Slurm account", "Slurm Account"),
    Column("unix_group", TEXT, "", "Unix group", "Slurm Group; Gratia LocalUserGroup; SWF group"),
    Column("accounting_group", TEXT, "", "HTCondor accounting group", "HTCondor AcctGroup, AccountingGroup"),
    Column(
        "vo_reported",
        TEXT,
        "",
        "The VO as the record says it",
        "Gratia ReportableVOName, VOName; x509UserProxyVOName; APEL VO; --vo",
    ),
    Column(
        "fqan",
        TEXT,
        "",
        "The first VOMS attribute, whole",
        "x509UserProxyFirstFQAN; Gratia VOName where it begins with /; APEL FQAN",
    ),
    Column("vo_group", TEXT, "", "Group part of the FQAN", "APEL VOGroup"),
    Column("vo_role", TEXT, "", "Role part of the FQAN", "APEL VORole"),
    Column(
        "project_reported",
        TEXT,
        "",
        "The project as the record says it",
        "HTCondor ProjectName; Gratia ProjectName",
    ),
)

_WHEN = (
    Column(
        "submit_time",
        TIME,
        "",
        "Handed to the batch system",
        "Slurm Submit; HTCondor QDate; Gratia QueueTime",
    ),
    Column(
        "start_time",
        TIME,
        "",
        "Began to run (its first attempt, where several are one record)",
        "Slurm Start; HTCondor JobStartDate; Gratia StartTime",
    ),
    Column("end_time", TIME, "", "Ended", "Slurm End; HTCondor CompletionDate; Gratia EndTime"),
    Column("start_day", DAY, "day", "UTC day of start_time"),
    Column("end_day", DAY, "day", "UTC day of end_time"),
)

_HOW_MUCH = (
    Column(
        "wall_duration_s",
        WHOLE,
        "s",
        "Allocated time, not multiplied by processors; fractions rounded half up",
        "Slurm Elapsed; HTCondor RemoteWallClockTime; Gratia WallDuration",
    ),
    Column("suspended_s", WHOLE, "s", "Time suspended", "Slurm Suspended; HTCondor CumulativeSuspensionTime"),
    Column(
        "wall_last_attempt_s",
        WHOLE,
        "s",
        "Wall time of the last attempt alone",
        "HTCondor LastRemoteWallClockTime",
    ),
    Column(
        "cpu_user_us",
        WHOLE,
        "us",
        "User CPU time, over all processors",
        "Slurm UserCPU; HTCondor RemoteUserCpu; Gratia CpuDuration@user",
    ),
    Column(
        "cpu_system_us",
        WHOLE,
        "us",
        "System CPU time, over all processors; 0 where the source gives one sum, kept as user",
        "Slurm SystemCPU; HTCondor RemoteSysCpu; Gratia CpuDuration@system",
    ),
    Column("cpu_source", TEXT, "", "measured, assumed (cores x wall, by the sender) or missing"),
    Column(
        "processors",
        COUNT,
        "cores",
        "Allocated processors; 1 where the source said 0 or nothing, see flags",
        "Slurm NCPUS; HTCondor CpusProvisioned; Gratia Processors",
    ),
    Column("processors_reported", COUNT, "cores", "Processors exactly as reported", "as processors"),
    Column("node_count", COUNT, "nodes", "Nodes", "Slurm NNodes; Gratia NodeCount"),
    Column(
        "gpus",
        COUNT,
        "GPUs",
        "Allocated GPUs",
        "Slurm AllocTRES gres/gpu; HTCondor RequestGpus, GPUsProvisioned; Gratia GPUs",
    ),
    Column("gpu_model", TEXT, "", "GPU model", "Slurm AllocTRES gres/gpu:MODEL; HTCondor GPUs_DeviceName"),
    Column(
        "memory_bytes",
        WHOLE,
        "bytes",
        "Most memory used, where measured",
        "Slurm MaxRSS; HTCondor MemoryUsage; Gratia Memory; APEL MemoryReal",
    ),
    Column("energy_j", WHOLE, "J", "Energy used, where measured", "Slurm ConsumedEnergyRaw"),
    Column("energy_source", TEXT, "", "Who measured the energy", "slurm"),
    Column("njobs", WHOLE, "jobs", "How many jobs the record stands for", "Gratia Njobs; else 1"),
    Column(
        "network_bytes", WHOLE, "bytes", "Bytes moved, of a transfer", "Gratia Network with its storageUnit"
    ),
    Column("transfer_protocol", TEXT, "", "Protocol of a transfer", "Gratia Resource Protocol"),
    Column(
        "transfer_is_write",
        FLAG,
        "",
        "True when bytes went into the storage element",
        "Gratia Resource IsNew",
    ),
    Column(
        "transfer_remote", TEXT, "", "The far side of a transfer", "Gratia Resource Source or Destination"
    ),
    Column(
        "benchmark_name", TEXT, "", "Benchmark of the machine as the record says it", "APEL ServiceLevelType"
    ),
    Column("benchmark_per_core", REAL, "benchmark units", "Its value per core", "APEL ServiceLevel"),
    Column(
        "flags", TEXT, "", "What was filled in or looks wrong, in words, comma-separated", "docs/records.md"
    ),
)

USAGE_RECORDS = Table(
    name="usage_records",
    meaning="One finished job, pilot, payload or transfer as its site reported it.",
    columns=BOOKKEEPING + _SOURCE + _JOB + _WHO + _WHEN + _HOW_MUCH + ARRIVAL,
    precedence=("end_time", "wall_duration_s", "content_hash"),
    pruned=("identity_day", "start_day", "end_day", "load_seq"),
)

OUTCOMES = (
    "success",
    "failed",
    "cancelled",
    "timeout",
    "preempted",
    "requeued",
    "node_fail",
    "out_of_memory",
    "unknown",
)
FAILED_OUTCOMES = ("failed", "timeout", "node_fail", "out_of_memory")

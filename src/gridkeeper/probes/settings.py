"""What an admin can set: every section and setting of the configuration file, with its default and its check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gridkeeper.probes import values

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from gridkeeper.probes.values import Reader

MEGABYTE = 1024 * 1024
KINDS = ("slurm", "htcondor", "pbs", "file")


def _by(read: Reader) -> dict[str, Reader]:
    """Say by what a setting's text is read."""
    return {"read": read}


@dataclass(frozen=True)
class ProbeSettings:
    """`[probe]`: who this probe is. Times in seconds."""

    name: str = field(metadata=_by(values.identifier))
    kind: str = field(metadata=_by(values.one_of(*KINDS)))
    resource: str = field(metadata=_by(values.text))
    state_dir: Path = field(metadata=_by(values.path))
    interval_s: int = field(default=300, metadata=_by(values.whole(10, 86_400)))
    heartbeat_s: int = field(default=300, metadata=_by(values.whole(10, 86_400)))


@dataclass(frozen=True)
class CollectorSettings:
    """`[collector]`: where to send, and how to be let in."""

    url: str = field(metadata=_by(values.url))
    token_file: Path | None = field(default=None, metadata=_by(values.path))
    token_env: str = field(default="GRIDKEEPER_PROBE_TOKEN", metadata=_by(values.identifier))
    ca_file: Path | None = field(default=None, metadata=_by(values.path))
    allow_plain_http: bool = field(default=False, metadata=_by(values.flag))
    timeout_s: int = field(default=60, metadata=_by(values.whole(1, 3600)))
    newest_every: int = field(default=5, metadata=_by(values.whole(2, 1000)))


@dataclass(frozen=True)
class OutboxSettings:
    """`[outbox]`: how much may wait. At a limit the probe stops reading; nothing is thrown away."""

    limit_mb: int = field(default=2048, metadata=_by(values.whole(1, 10_000_000)))
    limit_files: int = field(default=20_000, metadata=_by(values.whole(1, 1_000_000)))
    keep_free_mb: int = field(default=200, metadata=_by(values.whole(0, 10_000_000)))
    batch_kb: int = field(default=1024, metadata=_by(values.whole(1, 65_536)))
    warn_hours: int = field(default=6, metadata=_by(values.whole(1, 8760)))
    critical_hours: int = field(default=24, metadata=_by(values.whole(1, 8760)))

    @property
    def batch_bytes(self) -> int:
        """How much text goes into one batch, about."""
        return self.batch_kb * 1024


@dataclass(frozen=True)
class SlurmSettings:
    """`[slurm]`: how sacct and squeue are asked."""

    sacct: tuple[str, ...] = field(default=("sacct",), metadata=_by(values.command))
    squeue: tuple[str, ...] = field(default=("squeue",), metadata=_by(values.command))
    clusters: tuple[str, ...] = field(default=(), metadata=_by(values.words))
    since: datetime | None = field(default=None, metadata=_by(values.moment))
    overlap_hours: int = field(default=24, metadata=_by(values.whole(1, 744)))
    window_hours: int = field(default=24, metadata=_by(values.whole(1, 744)))
    seen_limit: int = field(default=500_000, metadata=_by(values.whole(1000, 5_000_000)))
    steps: bool = field(default=False, metadata=_by(values.flag))
    fields: tuple[str, ...] = field(default=(), metadata=_by(values.words))
    timeout_s: int = field(default=900, metadata=_by(values.whole(1, 86_400)))


@dataclass(frozen=True)
class HTCondorSettings:
    """`[htcondor]`: where the history is, and how the queue is asked."""

    per_job_history_dir: Path | None = field(default=None, metadata=_by(values.path))
    file_names: tuple[str, ...] = field(default=("history.*",), metadata=_by(values.words))
    after_shipping: str = field(default="keep", metadata=_by(values.one_of("keep", "delete", "move")))
    move_to: Path | None = field(default=None, metadata=_by(values.path))
    history_file: Path | None = field(default=None, metadata=_by(values.path))
    queue: str = field(default="schedd", metadata=_by(values.one_of("schedd", "pool", "none")))
    condor_q: tuple[str, ...] = field(default=("condor_q",), metadata=_by(values.command))
    condor_status: tuple[str, ...] = field(default=("condor_status",), metadata=_by(values.command))
    timeout_s: int = field(default=300, metadata=_by(values.whole(1, 86_400)))


@dataclass(frozen=True)
class PbsSettings:
    """`[pbs]`: where the accounting files are, and how the queue is asked."""

    accounting_dir: Path = field(metadata=_by(values.path))
    since: datetime | None = field(default=None, metadata=_by(values.moment))
    format: str = field(default="pbs", metadata=_by(values.identifier))
    queue: str = field(default="server", metadata=_by(values.one_of("server", "none")))
    qstat: tuple[str, ...] = field(default=("qstat",), metadata=_by(values.command))
    timeout_s: int = field(default=300, metadata=_by(values.whole(1, 86_400)))


@dataclass(frozen=True)
class FileSettings:
    """`[file]`: any text that the collector can read."""

    paths: tuple[str, ...] = field(metadata=_by(values.words))
    format: str = field(metadata=_by(values.identifier))
    records: str = field(default="auto", metadata=_by(values.one_of("auto", "lines", "banners", "whole")))
    settle_s: int = field(default=60, metadata=_by(values.whole(0, 86_400)))


@dataclass(frozen=True)
class RedactionSettings:
    """`[redaction]`: whether names of people leave the site only as hashes."""

    enabled: bool = field(default=False, metadata=_by(values.flag))
    key_file: Path | None = field(default=None, metadata=_by(values.path))
    also: tuple[str, ...] = field(default=(), metadata=_by(values.words))


@dataclass(frozen=True)
class Settings:
    """The whole configuration; of slurm, htcondor, pbs and file, only the one that `kind` names is used."""

    probe: ProbeSettings
    collector: CollectorSettings
    outbox: OutboxSettings = OutboxSettings()
    redaction: RedactionSettings = RedactionSettings()
    slurm: SlurmSettings = SlurmSettings()
    htcondor: HTCondorSettings = HTCondorSettings()
    pbs: PbsSettings | None = None
    file: FileSettings | None = None


SECTIONS: dict[str, type[Any]] = {
    "probe": ProbeSettings,
    "collector": CollectorSettings,
    "outbox": OutboxSettings,
    "redaction": RedactionSettings,
    "slurm": SlurmSettings,
    "htcondor": HTCondorSettings,
    "pbs": PbsSettings,
    "file": FileSettings,
}

"""The configuration files of a small Slurm: one node with eight invented cores, listening on the loopback alone."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = (
    "munged",
    "slurmdbd",
    "slurmctld",
    "slurmd",
    "sacctmgr",
    "sreport",
    "sbatch",
    "sacct",
    "mariadb",
    "setpriv",
)
CORES, PARTITION = 8, "batch"


class Ports(NamedTuple):
    """Where the daemons listen."""

    slurmctld: int
    slurmd: int
    slurmdbd: int


_SLURM = """\
ClusterName={cluster}
SlurmctldHost={host}({address})
SlurmctldPort={ports.slurmctld}
SlurmdPort={ports.slurmd}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={ports.slurmdbd}
AccountingStoragePass={folder}/munge/socket
AccountingStorageEnforce=associations
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=2
MpiDefault=none
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/slurmd
PlugStackConfig={folder}/etc/plugstack.conf
KillWait=2
MinJobAge=300
ReturnToService=2
NodeName=node1 NodeHostname={host} NodeAddr={address} CPUs={cores} RealMemory=2000
PartitionName={partition} Nodes=node1 Default=YES MaxTime=60
"""
_SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdAddr={address}
DbdPort={ports.slurmdbd}
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3306
StorageUser=root
StorageLoc={database}
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd
"""


def write_configuration(folder: Path, cluster: str, database: str, ports: Ports) -> None:
    """Write everything that the daemons read into a folder, which users of jobs must be able to enter."""
    for name in ("etc", "log", "munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    host = socket.gethostname().split(".", 1)[0]
    places = {
        "folder": folder, "cluster": cluster, "database": database, "ports": ports, "cores": CORES,
        "partition": PARTITION, "host": host, "address": socket.gethostbyname(socket.gethostname()),
    }  # fmt: skip
    (folder / "etc" / "slurm.conf").write_text(_SLURM.format(**places), encoding="utf-8")
    (folder / "etc" / "plugstack.conf").write_text("", encoding="utf-8")
    secret = folder / "etc" / "slurmdbd.conf"
    secret.write_text(_SLURMDBD.format(**places), encoding="utf-8")
    secret.chmod(0o600)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)

"""What runs and waits in HTCondor: condor_q or condor_status as JSON, read object by object."""

from __future__ import annotations

import codecs
import json
from typing import IO, TYPE_CHECKING, Any

from gridkeeper.probes import commands
from gridkeeper.probes.contract import RECORD_LIMIT_BYTES
from gridkeeper.probes.errors import SourceFailed
from gridkeeper.probes.queues import PENDING, RUNNING, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridkeeper.probes.hashed_names import Names
    from gridkeeper.probes.queues import Sample

_READ_BYTES = 64 * 1024
# Idle; running, and transferring its output. Held jobs neither run nor wait.
_STATES = {1: PENDING, 2: RUNNING, 6: RUNNING}
# These run on the access point itself: DAGMan, and the local universe.
_AT_HOME = (7, 12)
# What a job asks for that does not say it.
_DEFAULT_CORES = 1
_QUEUE = (
    "JobStatus",
    "JobUniverse",
    "CpusProvisioned",
    "RequestCpus",
    "AcctGroup",
    "AcctGroupUser",
    "Owner",
    "x509UserProxyVOName",
)
_SLOT = ("Cpus", "AccountingGroup", "x509UserProxyVOName")


def schedd_samples(command: Sequence[str], timeout_s: float, names: Names | None) -> list[Sample]:
    """Ask condor_q for all users' jobs. JSON, because `-af` does not quote separators inside values.

    Raises: SourceUnreadable (permanent), SourceFailed (retryable).
    """
    tally = Tally()
    asked = [*command, "-allusers", "-json", "-attributes", ",".join(_QUEUE)]
    with commands.output(asked, timeout_s) as stream:
        for job in objects(stream):
            state = _STATES.get(_number(job, "JobStatus") or 0)
            if state and _number(job, "JobUniverse") not in _AT_HOME:
                provisioned = _number(job, "CpusProvisioned") if state == RUNNING else None
                cores = provisioned or _number(job, "RequestCpus") or _DEFAULT_CORES
                people = {_word(job, "AcctGroupUser"), _word(job, "Owner")}
                account = _hidden(_word(job, "AcctGroup"), people, names)
                tally.add(account, _word(job, "x509UserProxyVOName"), state, cores)
    return tally.samples()


def pool_samples(command: Sequence[str], timeout_s: float) -> list[Sample]:
    """Ask condor_status for all claimed slots of the pool; what waits is not known there.

    Raises: SourceUnreadable (permanent), SourceFailed (retryable).
    """
    tally = Tally()
    asked = [*command, "-json", "-constraint", 'State == "Claimed"', "-attributes", ",".join(_SLOT)]
    with commands.output(asked, timeout_s) as stream:
        for slot in objects(stream):
            # The group's last part is the user: group_physics.alice; without a group it is the user alone.
            group = (_word(slot, "AccountingGroup") or "").split("@")[0]
            cores = _number(slot, "Cpus") or _DEFAULT_CORES
            tally.add(group.rpartition(".")[0], _word(slot, "x509UserProxyVOName"), RUNNING, cores)
    return tally.samples()


def objects(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON array, or of objects one after another, with one of them in memory at a time.

    Raises: SourceFailed (retryable) for what is no JSON.
    """
    decoder, letters = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace")
    held = ""
    while True:
        piece = stream.read(_READ_BYTES)
        held += letters.decode(piece)
        while True:
            held = held.lstrip(" \t\r\n,[]")
            if not held:
                break
            try:
                found, end = decoder.raw_decode(held)
            except ValueError:
                break
            held = held[end:]
            if isinstance(found, dict):
                yield found
        if len(held) > RECORD_LIMIT_BYTES or (not piece and held):
            raise SourceFailed(f"the queue's answer is no JSON where it says {held[:60]!r}")
        if not piece:
            return


def _number(ad: dict[str, Any], name: str) -> int | None:
    value = ad.get(name)
    return int(value) if isinstance(value, (int, float)) and 0 <= value < 1e9 else None


def _word(ad: dict[str, Any], name: str) -> str | None:
    value = ad.get(name)
    return value if isinstance(value, str) and value and not value.startswith("/Expr(") else None


def _hidden(account: str | None, people: set[str | None], names: Names | None) -> str | None:
    """The account, hashed where it is but a person's name."""
    if account is None or names is None or account not in people:
        return account
    return names.address(account.encode()).decode()

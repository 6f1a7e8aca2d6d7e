"""Which two records are the same job: the identity, and the hash that tells a revision from a repetition.

An identity is 128 bits of BLAKE2b over facts that never change once the job has ended: never of when the
record arrived, by which format, or of anything a site corrects later. The reasons, kind by kind:

slurm   resource, JobIDRaw, Submit. JobIDRaw is one number per array task and heterogeneous part. A requeued
        job keeps its id and gets a new Submit, so each of its runs is a record of its own. Job ids wrap around
        and start again after a database is lost; Submit keeps those apart, too. DBIndex would do as well, but
        the common exports leave it out, and the same job must be the same record in all of them.
condor  GlobalJobId (schedd#cluster.proc#queue date), and the attempt where each execution is recorded
        (condor-epoch). The schedd's name keeps federated schedds apart. Gratia writes the same id behind
        `condor.`: taken off, so that a job sent as ClassAd and as Gratia record counts once.
        A pilot and its payloads have different schedds, hence different ids; their level keeps them apart.
gratia  probe, GlobalJobId or else LocalJobId or else the record's id, StartTime, and the resource type. A record that
        names no probe of its own has OGF's identity instead: it is the same XML, and must be the same job in whichever
        of the two formats it is read.
apel    site, LocalJobId, EndTime: APEL's own primary key.
swf     resource, job number, submit time.
pbs     resource, job id, the time the job was created, and the time this run began. A job that PBS runs again keeps
        both its id and its creation time, and the log has a record for each run: only the start tells them apart.
        Ids start again when a server is set up anew; the creation time keeps those apart.
auditor resource, record id, start. The record id is a configured prefix and the batch system's job id, so the runs of
        a requeued job, and jobs whose ids have wrapped around, share it; their starts differ. The stop time may be
        set later and is no part of it.
ogf     resource (else its primary host), GlobalJobId or else LocalJobId or else the record's id, start. A record that is
        made anew gets a new record id, so that counts only where no job id is given. HTCondor's GlobalJobId names the job
        here, too.
CAR     is what APEL's clients say in XML; its records have APEL's identity, so that a job sent both ways counts once.

`identity_day` is the day of the unchanging time inside the identity (UTC); looking up identities reads only
files whose days overlap. An identity without such a time gets 1970-01-01, which every look-up reads.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IdentityKind = Literal["slurm", "condor", "gratia", "apel", "swf", "pbs", "auditor", "ogf"]

_SEPARATOR = "\x1f"
_CONDOR_ID = r"^(?:condor\.)?(?P<id>[^#]+#[0-9]+\.[0-9]+#(?P<queued>[0-9]{9,10}))$"
_NO_DAY = pa.scalar(0, pa.int32())
# What each kind needs to name a job, as a sentence's end; where the machine alone is missing, rule `no_resource` says so.
NEEDED: dict[IdentityKind, str] = {
    "slurm": "no job id, or neither a time of submission nor a start",
    "condor": "no job id (GlobalJobId, or ClusterId and ProcId with a time of submission)",
    "gratia": "no job id (GlobalJobId, LocalJobId or the record's own)",
    "apel": "no Site, LocalJobId or EndTime, which together name the job",
    "swf": "no job number, or no time of submission",
    "pbs": "no job id, or no time at which the job was created and began",
    "auditor": "no record id",
    "ogf": "no job id (GlobalJobId, LocalJobId or the record's own)",
}
_OF_RESOURCE = frozenset({"slurm", "condor", "swf", "pbs", "auditor", "ogf"})


def usage_keys(columns: Mapping[str, pa.Array], kind: IdentityKind) -> tuple[pa.Array, pa.Array]:
    """Make the text that the identity is the hash of, and its day.

    Takes:   usage columns by name, all of one length, at least those the kind names above.
    Returns: (keys: string, null where a fact is missing; days: date32, never null).
    """
    if kind == "condor":
        return _condor_keys(columns)
    if kind == "gratia":
        return _gratia_keys(columns)
    if kind == "apel":
        return _joined(
            kind, columns["site_reported"], columns["local_job_id"], _epoch(columns["end_time"])
        ), _day(columns["end_time"])
    if kind == "ogf":
        return _ogf_keys(columns)
    if kind == "auditor":
        job = pc.coalesce(columns["global_job_id"], columns["local_job_id"])
        return _joined(kind, columns["resource"], job, _epoch(columns["start_time"])), _day(
            columns["start_time"]
        )
    if kind == "pbs":
        run = (_epoch(columns["submit_time"]), _epoch(columns["start_time"]))
        return _joined(kind, columns["resource"], columns["local_job_id"], *run), _day(columns["submit_time"])
    return _joined(kind, columns["resource"], columns["local_job_id"], _epoch(columns["submit_time"])), _day(
        columns["submit_time"]
    )


def without_place(columns: Mapping[str, pa.Array], keys: pa.Array, kind: IdentityKind) -> pa.Array:
    """Mark the rows that have no key because they name no resource, though they name a job."""
    if kind not in _OF_RESOURCE:
        return pa.repeat(pa.scalar(False), len(keys))
    job = pc.or_(pc.is_valid(columns["global_job_id"]), pc.is_valid(columns["local_job_id"]))
    return pc.and_(pc.is_null(keys), pc.and_(pc.is_null(columns["resource"]), job))


def joined_keys(kind: str, *facts: pa.Array) -> pa.Array:
    """Join text columns into keys of `kind`; a missing fact is a fact of its own (for sums and storage)."""
    return _joined(kind, *(pc.fill_null(fact, "") for fact in facts))


def identities(keys: pa.Array) -> pa.Array:
    """Hash keys to 16 bytes each; null stays null."""
    blake = hashlib.blake2b
    return pa.array(
        [
            None if key is None else blake(key, digest_size=16).digest()
            for key in pc.cast(keys, pa.binary()).to_pylist()
        ],
        pa.binary(),
    )


def _condor_keys(columns: Mapping[str, pa.Array]) -> tuple[pa.Array, pa.Array]:
    parts = pc.extract_regex(columns["global_job_id"], _CONDOR_ID)
    known = pc.is_valid(parts)
    ids = pc.struct_field(parts, "id")
    attempt = pc.fill_null(pc.cast(columns["attempt"], pa.string()), "")
    keys = _joined("condor", ids, attempt)
    queued = pc.cast(
        pc.cast(pc.cast(pc.struct_field(parts, "queued"), pa.int64()), pa.timestamp("s")), pa.date32()
    )
    if pc.all(known).as_py() is not False:
        return keys, pc.fill_null(queued, _no_day())
    otherwise = _joined(
        "condor-local",
        pc.coalesce(columns["global_job_id"], columns["resource"]),
        columns["local_job_id"],
        _epoch(columns["submit_time"]),
        attempt,
    )
    return pc.if_else(known, keys, otherwise), pc.if_else(known, queued, _day(columns["submit_time"]))


def _gratia_keys(columns: Mapping[str, pa.Array]) -> tuple[pa.Array, pa.Array]:
    job = pc.coalesce(columns["global_job_id"], columns["local_job_id"])
    keys = _joined(
        "gratia",
        pc.fill_null(columns["probe"], ""),
        job,
        _epoch(columns["start_time"]),
        pc.fill_null(columns["resource_type"], ""),
    )
    # Without a probe of its own it is no more than OGF's record; payloads and the like OGF does not know.
    plain = pc.and_(
        pc.is_null(columns["probe"]), pc.fill_null(pc.equal(columns["resource_type"], "Batch"), True)
    )
    if pc.any(plain).as_py():
        ogf_keys, _ = _ogf_keys(columns)
        keys = pc.if_else(plain, pc.coalesce(ogf_keys, keys), keys)
    return _unless_condor(columns, keys, _day(columns["start_time"]))


def _ogf_keys(columns: Mapping[str, pa.Array]) -> tuple[pa.Array, pa.Array]:
    place = pc.coalesce(columns["resource"], columns["host"])
    job = pc.coalesce(columns["global_job_id"], columns["local_job_id"])
    return _unless_condor(
        columns, _joined("ogf", place, job, _epoch(columns["start_time"])), _day(columns["start_time"])
    )


def _unless_condor(
    columns: Mapping[str, pa.Array], keys: pa.Array, days: pa.Array
) -> tuple[pa.Array, pa.Array]:
    """The keys and days given, but HTCondor's own where the global job id is one of HTCondor's."""
    from_condor = pc.fill_null(pc.match_substring_regex(columns["global_job_id"], _CONDOR_ID), False)
    if not pc.any(from_condor).as_py():
        return keys, days
    condor_keys, condor_days = _condor_keys(columns)
    return pc.if_else(from_condor, condor_keys, keys), pc.if_else(from_condor, condor_days, days)


def _joined(kind: str, *facts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(kind), *facts, _SEPARATOR, null_handling="emit_null")


def _epoch(times: pa.Array) -> pa.Array:
    return pc.cast(pc.cast(times, pa.int64()), pa.string())


def _day(times: pa.Array) -> pa.Array:
    return pc.fill_null(pc.cast(times, pa.date32()), _no_day())


def _no_day() -> pa.Scalar:
    return pc.cast(_NO_DAY, pa.date32())


def content_hashes(columns: Mapping[str, pa.Array], names: Sequence[str]) -> pa.Array:
    """Hash what each row says to 64 bits, to compare contents of one identity.

    The hash of a row is the sum over its known values of a mix of value and column name. A null adds
    nothing, so a column that comes into being later changes no hash of rows that do not have it.
    Returns: int64, one per row.
    """
    length = len(next(iter(columns.values()))) if columns else 0
    total = np.zeros(length, dtype=np.uint64)
    for name in names:
        column = columns.get(name)
        if column is None or column.null_count == length:
            continue
        mixed = _mix(_as_words(column) ^ np.uint64(_seed(name)))
        if column.null_count:
            mixed[pc.is_null(column).to_numpy(zero_copy_only=False)] = 0
        total += mixed
    return pa.array(total.view(np.int64))


def _as_words(column: pa.Array) -> np.ndarray:
    """Turn any column into one unsigned 64-bit word per row (0 for null)."""
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        blake = hashlib.blake2b
        digests = [blake(value.encode(), digest_size=8).digest() for value in encoded.dictionary.to_pylist()]
        words = np.frombuffer(b"".join(digests), "<u8") if digests else np.zeros(1, np.uint64)
        taken: np.ndarray = words[pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False)]
        return taken
    if pa.types.is_floating(column.type):
        return np.asarray(pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False)).view(np.uint64).copy()
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    if pa.types.is_date32(column.type):
        column = pc.cast(column, pa.int32())
    whole = pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(zero_copy_only=False)
    return np.array(whole, dtype=np.int64).view(np.uint64)


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(words: np.ndarray) -> np.ndarray:
    """Scatter the bits of each word (the finaliser of SplitMix64), so that sums of words do not cancel."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = words ^ (words >> np.uint64(31))
    return mixed

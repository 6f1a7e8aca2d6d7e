"""`condor-history`: HTCondor's ads of finished jobs, from history files, per-job history files or `condor_history`.

Three ways to write them are read: ads that end in a banner (history files), ads set apart by blank lines or
alone in their file (per-job files, `condor_history -l`), and JSON (`condor_history -json`). One record is one
job, with the wall time of all its starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats import condor_jobs
from gridkeeper.formats.classad_blocks import ad_blocks
from gridkeeper.formats.classad_values import whole_numbers
from gridkeeper.formats.classads import read_ads, refuse
from gridkeeper.formats.condor_jobs import NO_TEXT, ZERO
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.records.draft import Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.formats.classads import Ads
    from gridkeeper.records.draft import Delivery


_NO_TIME = pa.scalar(None, pa.timestamp("us", tz="UTC"))
_SUCCESS, _FAILED, _CANCELLED, _REMOVED, _COMPLETED = (
    pa.scalar(word, pa.string()) for word in ("success", "failed", "cancelled", "Removed", "Completed")
)
_ENDED = pa.array([condor_jobs.REMOVED, condor_jobs.COMPLETED], pa.int64())


class CondorHistory:
    """Reads ads of finished jobs."""

    name = "condor-history"
    describes = "HTCondor's history: history files, per-job history files, `condor_history -l` or `-json`"

    def recognise(self, head: bytes) -> bool:
        """A banner of a history file, or an ad with a job's id that is no ad of one execution attempt."""
        return condor_jobs.kind_of_source(head) == "history"

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut where ads end; how the source sets them apart is each block's context."""
        return ad_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of ads."""
        parsed = Parsed(rejects=list(block.refused))
        if block.data:
            ads = _jobs(read_ads(block, parsed), parsed)
            if len(ads.lines):
                reader = condor_jobs.Reader(ads)
                draft = reader.draft(_usage_columns(reader), parsed)
                if len(draft):
                    finish_usage(draft, "condor", self.name, delivery, parsed)
        return parsed


def _jobs(ads: Ads, parsed: Parsed) -> Ads:
    """Pick the ads of jobs that ended and ran on a worker."""
    kinds = condor_jobs.ad_kinds(ads)
    moved = np.isin(kinds, condor_jobs.TRANSFER_BANNERS)
    ads, kinds = condor_jobs.without(ads, moved, "transfer_ad", parsed), kinds[~moved]
    foreign = kinds != "HISTORY"
    detail = "an ad that does not describe a whole job (EPOCH: one execution attempt, read by condor-epoch)"
    ads = refuse(ads, foreign, Rule.UNKNOWN_RECORD_TYPE, detail, parsed)
    reader = condor_jobs.Reader(ads)
    universe, status = reader.number("JobUniverse"), reader.number("JobStatus")
    starts, completed = reader.number("NumJobStarts"), reader.number("CompletionDate")
    wall, damaged = whole_numbers(ads.expressions("RemoteWallClockTime"))
    is_dagman = condor_jobs.as_mask(pc.equal(universe, condor_jobs.SCHEDULER_UNIVERSE))
    ended = pc.or_(pc.is_in(status, _ENDED), pc.fill_null(pc.greater(completed, ZERO), False))
    not_ended = condor_jobs.as_mask(pc.and_not(pc.is_valid(status), ended))
    no_start = pc.coalesce(pc.equal(starts, ZERO), pc.is_null(ads.expressions("JobStartDate")))
    no_wall = pc.and_not(pc.equal(pc.fill_null(wall, ZERO), ZERO), pc.fill_null(damaged, False))
    never_ran = condor_jobs.as_mask(pc.and_(no_wall, no_start))
    reasons = np.select([is_dagman, not_ended, never_ran], ["dagman", "not_ended", "never_ran"], "")
    for reason in ("dagman", "not_ended", "never_ran"):
        unwanted = reasons == reason
        ads, reasons = condor_jobs.without(ads, unwanted, reason, parsed), reasons[~unwanted]
    return ads


def _usage_columns(reader: condor_jobs.Reader) -> dict[str, pa.Array]:
    """Read the columns of `usage_records`."""
    columns = condor_jobs.shared_columns(reader)
    start = pc.coalesce(reader.time("JobStartDate"), reader.time("JobCurrentStartDate"))
    # A removed job has no CompletionDate; start + wall is nearer to the end of its use than the removal, which
    # may come weeks later. Only where the start is missing, too, the change of status must serve.
    last_resort = pc.if_else(pc.is_null(start), reader.time("EnteredCurrentStatus"), _NO_TIME)
    return columns | {
        "outcome": _outcome(reader, columns),
        "host": condor_jobs.host_of_slot(reader.text("LastRemoteHost")),
        "start_time": start,
        "end_time": pc.coalesce(reader.time("CompletionDate"), last_resort),
        "wall_duration_s": reader.number("RemoteWallClockTime"),
        "wall_last_attempt_s": reader.number("LastRemoteWallClockTime"),
        "suspended_s": reader.number("CumulativeSuspensionTime"),
        "cpu_user_us": _cpu(reader, "User"),
        "cpu_system_us": _cpu(reader, "Sys"),
    }


def _cpu(reader: condor_jobs.Reader, kind: str) -> pa.Array:
    """CPU time of all starts where the ad has it, as the wall time is that of all starts.

    RemoteUserCpu leaves out starts that ended in an eviction; CumulativeRemoteUserCpu, in ads of newer schedds,
    does not.
    """
    remote = pc.max_element_wise(
        reader.microseconds(f"CumulativeRemote{kind}Cpu"), reader.microseconds(f"Remote{kind}Cpu")
    )
    local = reader.microseconds(f"Local{kind}Cpu")
    return pc.coalesce(pc.add(remote, local), remote, local)


def _outcome(reader: condor_jobs.Reader, columns: dict[str, pa.Array]) -> pa.Array:
    status = columns["status_reported"]
    # ExitStatus is what there was before ExitCode; it is 0 from the start, so only its other values say something.
    code = pc.coalesce(columns["exit_code"], reader.number("ExitStatus"))
    bad = pc.or_(
        pc.fill_null(reader.truth("ExitBySignal"), False), pc.fill_null(pc.not_equal(code, ZERO), False)
    )
    ended = pc.if_else(bad, _FAILED, _SUCCESS)
    completed = pc.if_else(pc.equal(status, _COMPLETED), ended, NO_TEXT)
    return pc.coalesce(pc.if_else(pc.equal(status, _REMOVED), _CANCELLED, NO_TEXT), completed)


FORMAT = CondorHistory()

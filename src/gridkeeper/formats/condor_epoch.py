"""`condor-epoch`: HTCondor's epoch ads, one for each execution attempt of a job, from JOB_EPOCH_HISTORY.

The shadow writes an epoch ad when an attempt ends, before the schedd adds the attempt to the job's wall time.
RemoteWallClockTime and LastRemoteWallClockTime therefore speak of the attempts before; the attempt itself
lasted from JobCurrentStartDate to EpochWriteDate.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats import condor_jobs
from gridkeeper.formats.classad_blocks import ad_blocks
from gridkeeper.formats.classads import read_ads, refuse
from gridkeeper.formats.condor_jobs import NO_NUMBER, NO_TEXT, ZERO
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.text_columns import small, utc
from gridkeeper.records.draft import Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.rules import Rule
from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.formats.classads import Ads
    from gridkeeper.records.draft import Delivery

_BANNER_FACT = {
    name: re.compile(rb"[ ]%s ?= ?([0-9]{1,10})[ \r\n]" % name) for name in (b"RunInstanceId", b"CurrentTime")
}


_SUCCESS, _FAILED, _CANCELLED, _PREEMPTED, _REMOVED = (
    pa.scalar(word, pa.string()) for word in ("success", "failed", "cancelled", "preempted", "Removed")
)
_SECOND, _ONE = pa.scalar(MICROSECONDS_PER_SECOND, pa.int64()), pa.scalar(1, pa.int64())


class CondorEpoch:
    """Reads ads of execution attempts."""

    name = "condor-epoch"
    describes = (
        "HTCondor's epoch ads, one for each execution attempt: JOB_EPOCH_HISTORY or `condor_history -epochs`"
    )

    def recognise(self, head: bytes) -> bool:
        """A banner with a RunInstanceId, or an ad with EpochWriteDate."""
        return condor_jobs.kind_of_source(head) == "epoch"

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut where ads end; how the source sets them apart is each block's context."""
        return ad_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of ads."""
        parsed = Parsed(rejects=list(block.refused))
        if block.data:
            ads = _attempts(read_ads(block, parsed), parsed)
            if len(ads.lines):
                reader = condor_jobs.Reader(ads)
                draft = reader.draft(_usage_columns(reader), parsed)
                if len(draft):
                    finish_usage(draft, "condor", self.name, delivery, parsed)
        return parsed


def _attempts(ads: Ads, parsed: Parsed) -> Ads:
    """Pick the ads of attempts on a worker."""
    kinds = condor_jobs.ad_kinds(ads)
    moved = np.isin(kinds, condor_jobs.TRANSFER_BANNERS)
    other = ~np.isin(kinds, (*condor_jobs.TRANSFER_BANNERS, "EPOCH", "HISTORY"))
    foreign = (kinds == "HISTORY")[~moved & ~other]
    ads = condor_jobs.without(ads, moved, "transfer_ad", parsed)
    ads = condor_jobs.without(ads, other[~moved], "other_ad", parsed)
    detail = "an ad of a whole job, which condor-history reads, among ads of execution attempts"
    ads = refuse(ads, foreign, Rule.UNKNOWN_RECORD_TYPE, detail, parsed)
    universe = condor_jobs.Reader(ads).number("JobUniverse")
    is_dagman = condor_jobs.as_mask(pc.equal(universe, condor_jobs.SCHEDULER_UNIVERSE))
    return condor_jobs.without(ads, is_dagman, "dagman", parsed)


def _usage_columns(reader: condor_jobs.Reader) -> dict[str, pa.Array]:
    """Read the columns of `usage_records`."""
    columns = condor_jobs.shared_columns(reader)
    attempt = _attempt(reader)
    start = pc.coalesce(reader.time("JobCurrentStartDate"), reader.time("ShadowBday"))
    end = pc.coalesce(reader.time("EpochWriteDate"), utc(_banner_fact(reader.ads, b"CurrentTime")))
    wall = pc.divide(pc.cast(pc.subtract(end, start), pa.int64()), _SECOND)
    first = pc.fill_null(pc.equal(attempt, ZERO), False)
    reader.refuse(pc.is_null(attempt), Rule.MISSING_FIELD, "neither RunInstanceId nor NumShadowStarts")
    return columns | {
        "attempt": small(attempt),
        "outcome": _outcome(reader, columns, start),
        # LastRemoteHost is set when the schedd notes the end of an attempt: here it is that of the one before.
        "host": condor_jobs.host_of_slot(reader.text("RemoteHost", "LastRemoteHost")),
        "start_time": start,
        "end_time": end,
        "wall_duration_s": wall,
        # Summed over all attempts, so that only the first one's is known.
        "suspended_s": pc.if_else(first, reader.number("CumulativeSuspensionTime"), NO_NUMBER),
        "cpu_user_us": reader.microseconds("RemoteUserCpu"),
        "cpu_system_us": reader.microseconds("RemoteSysCpu"),
    }


def _attempt(reader: condor_jobs.Reader) -> pa.Array:
    """The number of the attempt, from 0: HTCondor itself makes it of the number of shadows started."""
    shadows = pc.subtract(reader.number("NumShadowStarts"), _ONE)
    return pc.coalesce(_banner_fact(reader.ads, b"RunInstanceId"), reader.number("RunInstanceId"), shadows)


def _banner_fact(ads: Ads, name: bytes) -> pa.Array:
    """A number of the banners; null where a banner does not have it whole."""
    found = (_BANNER_FACT[name].search(banner) for banner in ads.banners)
    return pa.array([None if fact is None else int(fact[1]) for fact in found], pa.int64())


def _outcome(reader: condor_jobs.Reader, columns: dict[str, pa.Array], start: pa.Array) -> pa.Array:
    """How the attempt ended. The ad still calls the job running, so its status decides only where it was removed."""
    removed = pc.equal(columns["status_reported"], _REMOVED)
    evicted = pc.greater_equal(reader.time("LastVacateTime"), start)
    code = columns["exit_code"]
    failed = pc.or_(
        pc.fill_null(reader.truth("ExitBySignal"), False), pc.fill_null(pc.not_equal(code, ZERO), False)
    )
    by_itself = pc.if_else(failed, _FAILED, pc.if_else(pc.is_valid(code), _SUCCESS, NO_TEXT))
    return pc.coalesce(
        pc.if_else(removed, _CANCELLED, NO_TEXT), pc.if_else(evicted, _PREEMPTED, NO_TEXT), by_itself
    )


FORMAT = CondorEpoch()

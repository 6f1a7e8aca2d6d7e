"""HTCondor's job ads as columns of `usage_records`: what history and epoch ads have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats import classad_values
from gridkeeper.formats.classads import refuse
from gridkeeper.formats.text_columns import by_distinct, small, utc
from gridkeeper.records.draft import Draft
from gridkeeper.records.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.formats.classads import Ads
    from gridkeeper.records.draft import Parsed

STATUS_WORDS = {
    1: "Idle",
    2: "Running",
    3: "Removed",
    4: "Completed",
    5: "Held",
    6: "TransferringOutput",
    7: "Suspended",
}
REMOVED, COMPLETED = 3, 4
SCHEDULER_UNIVERSE, LOCAL_UNIVERSE = pa.scalar(7, pa.int64()), pa.scalar(12, pa.int64())
# In this order: what the slot had, what the pilot's slot had, what was provisioned, what was asked for.
PROCESSORS = ("MachineAttrCpus0", "MATCH_EXP_JOB_GLIDEIN_Cpus", "CpusProvisioned", "RequestCpus")
# The shadow's own copy of an ad has the expanded name without MATCH_EXP_.
PILOT_RESOURCE = (
    "MATCH_EXP_JOBGLIDEIN_ResourceName",
    "JOBGLIDEIN_ResourceName",
    "MachineAttrGLIDEIN_ResourceName0",
    "MachineAttrGLIDEIN_Site0",
)
GPU_MODEL = ("MachineAttrGPUs_DeviceName0", "GPUs_DeviceName", "MachineAttrCUDADeviceName0", "CUDADeviceName")
NO_PILOT = ("unknown", "undefined", "local job")
TRANSFER_BANNERS = ("INPUT", "OUTPUT", "CHECKPOINT", "COMMON")

_FQAN = r"^(?P<group>/(?P<vo>[^/]+)(?:/[^/=]+)*)(?:/(?P<role>Role=[^/]+))?(?:/.*)?$"
# Scalars made beforehand: Arrow takes eighty times as long when it has to find out their type.
NO_TEXT, NO_NUMBER, ZERO = pa.scalar(None, pa.string()), pa.scalar(None, pa.int64()), pa.scalar(0, pa.int64())
_LAST_SECOND = pa.scalar(253_402_300_799, pa.int64())  # of the year 9999
_BINARY_MEGA, _BINARY_KILO = pa.scalar(1024**2, pa.int64()), pa.scalar(1024, pa.int64())
_MOST_MEMORY = pa.scalar(2**40, pa.int64())
_DOT = pa.scalar(".", pa.string())
_NO_GPUS, _EMPTY = pa.scalar(0, pa.int32()), pa.scalar("", pa.string())
_LOCAL, _PAYLOAD, _BATCH = (pa.scalar(word, pa.string()) for word in ("Local", "Payload", "Batch"))
_BANNER_NAME = re.compile(rb"\*\*\* ([A-Z]+) ")
_HEAD_BANNER = re.compile(rb"^\*\*\* .*$", re.MULTILINE)
_HEAD_EPOCH = re.compile(rb"^(?:EpochWriteDate|EpochAdType)[ \t]*=", re.MULTILINE | re.IGNORECASE)
_HEAD_JOB = re.compile(rb"^(?:ClusterId|GlobalJobId)[ \t]*=", re.MULTILINE | re.IGNORECASE)
_HEAD_WORDS = (b"clusterid", b"globaljobid", b"epochwritedate", b"epochadtype", b"*** ")
_HEAD_JSON = [re.compile(rb'"%s"[ \t]*:' % name, re.IGNORECASE) for name in (b"ClusterId", b"ProcId")]
_HEAD_JSON_EPOCH = re.compile(rb'"(?:EpochWriteDate|EpochAdType)"[ \t]*:', re.IGNORECASE)


def kind_of_source(head: bytes) -> str | None:
    """Say whether a source that begins with `head` holds "history" or "epoch" ads; None for neither."""
    if head.lstrip()[:1] in (b"[", b"{"):
        if not all(mark.search(head) for mark in _HEAD_JSON):
            return None
        return "epoch" if _HEAD_JSON_EPOCH.search(head) else "history"
    small = (
        head.lower()
    )  # plain searches first: most sources are of other formats, and there may be thousands of them
    if not any(word in small for word in _HEAD_WORDS):
        return None
    banner = _HEAD_BANNER.search(head)
    if banner is not None and b"ProcId" in banner[0]:
        return "history" if banner_kind(banner[0]) == "HISTORY" else "epoch"
    if _HEAD_EPOCH.search(head):
        return "epoch"
    return "history" if _HEAD_JOB.search(head) else None


def banner_kind(banner: bytes) -> str:
    """Say what a banner ends: HISTORY, EPOCH, or another word that it begins with (INPUT, OUTPUT, ...)."""
    if banner.startswith(b"*** Offset"):
        return "HISTORY"
    name = _BANNER_NAME.match(banner)
    if name:
        return name[1].decode("ascii")
    return "EPOCH" if b"RunInstanceId" in banner else "HISTORY"


def ad_kinds(ads: Ads) -> np.ndarray:
    """Say of each ad what `banner_kind` says; without a banner, what the ad says of itself."""
    kinds = np.array([banner_kind(banner) if banner else "" for banner in ads.banners], dtype=object)
    bare = kinds == ""
    if bare.any():
        own = pc.ascii_upper(classad_values.texts(ads.expressions("EpochAdType"))[0])
        epoch = pc.if_else(pc.is_valid(ads.expressions("EpochWriteDate")), "EPOCH", "HISTORY")
        kinds[bare] = np.array(pc.coalesce(own, epoch).to_pylist(), dtype=object)[bare]
    return kinds


def without(ads: Ads, unwanted: np.ndarray, reason: str, parsed: Parsed) -> Ads:
    """Leave out ads that are rightly no records, and count them."""
    if not unwanted.any():
        return ads
    parsed.skipped[reason] += int(unwanted.sum())
    return ads.keep(~unwanted)


def as_mask(mask: pa.Array) -> np.ndarray:
    """A column of truths as a mask; null counts as false."""
    made: np.ndarray = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return made


class Reader:
    """Reads attributes of ads, and notes the ads that are to be refused for what their attributes say."""

    def __init__(self, ads: Ads) -> None:
        self.ads = ads
        self._refused: list[tuple[Rule, str, pa.Array]] = []

    def refuse(self, rows: pa.Array, rule: Rule, detail: str) -> None:
        """Have the ads refused for which the mask is true."""
        self._refused.append((rule, detail, rows))

    def text(self, *names: str) -> pa.Array:
        """The string of the first of the attributes that has one."""
        return pc.coalesce(*(self._read(classad_values.texts, name, Rule.NOT_WELL_FORMED) for name in names))

    def number(self, name: str) -> pa.Array:
        """A number, rounded half up to a whole one."""
        return self._read(classad_values.whole_numbers, name, Rule.BAD_NUMBER)

    def microseconds(self, name: str) -> pa.Array:
        """A number of seconds in microseconds."""
        return self._read(classad_values.microseconds, name, Rule.BAD_NUMBER)

    def time(self, name: str) -> pa.Array:
        """A time (UTC) of seconds since 1970; 0 means that there is none."""
        seconds = self.number(name)
        outside = pc.or_(pc.less(seconds, ZERO), pc.greater(seconds, _LAST_SECOND))
        self.refuse(outside, Rule.BAD_TIME, f"{name} is no time since 1970")
        return utc(pc.if_else(pc.or_(pc.equal(seconds, ZERO), outside), NO_NUMBER, seconds))

    def truth(self, name: str) -> pa.Array:
        """A boolean."""
        return classad_values.truths(self.ads.expressions(name))

    def amount(self, *names: str) -> pa.Array:
        """The whole number, in quotes or not, of the first of the attributes that has one."""
        return pc.coalesce(*(classad_values.numbers_in_strings(self.ads.expressions(name)) for name in names))

    def draft(self, columns: dict[str, pa.Array], parsed: Parsed) -> Draft:
        """Make a draft of the columns, less the ads that are refused."""
        fine = np.ones(len(self.ads.lines), dtype=bool)
        for rule, detail, mask in self._refused:
            rows = as_mask(mask) & fine
            refuse(self.ads, rows, rule, detail, parsed)
            fine &= ~rows
        if fine.all():
            return Draft(columns, self.ads.lines, self.ads.text)
        left = self.ads.keep(fine)
        return Draft({name: column.filter(fine) for name, column in columns.items()}, left.lines, left.text)

    def _read(self, how: Callable[[pa.Array], tuple[pa.Array, pa.Array]], name: str, rule: Rule) -> pa.Array:
        values, damaged = how(self.ads.expressions(name))
        self.refuse(damaged, rule, f"{name} cannot be read")
        return values


def shared_columns(reader: Reader) -> dict[str, pa.Array]:
    """Read the columns that mean the same in history and in epoch ads."""
    return {
        **_identity(reader),
        **_level(reader),
        **_who(reader),
        **_exit(reader),
        "submit_time": reader.time("QDate"),
        "processors": small(reader.amount(*PROCESSORS)),
        **_gpus(reader),
        "memory_bytes": pc.coalesce(
            pc.multiply(_bounded(reader.amount("MemoryUsage")), _BINARY_MEGA),
            pc.multiply(_bounded(reader.amount("ResidentSetSize")), _BINARY_KILO),
        ),
    }


def host_of_slot(slot: pa.Array) -> pa.Array:
    """Take the slot and the pilot off a slot's name: `slot1_2@glidein_7@node.example.org`."""
    encoded = slot.dictionary_encode()
    return pc.replace_substring_regex(encoded.dictionary, r"^.*@", "").take(encoded.indices)


def _identity(reader: Reader) -> dict[str, pa.Array]:
    global_id = reader.text("GlobalJobId")
    cluster, proc = (pc.cast(reader.number(name), pa.string()) for name in ("ClusterId", "ProcId"))
    job = pc.binary_join_element_wise(cluster, proc, _DOT, null_handling="emit_null")
    if job.null_count:
        said = pc.extract_regex(global_id, r"#(?P<job>[0-9]+\.[0-9]+)#")
        job = pc.coalesce(job, pc.struct_field(said, "job"))
    nameless = pc.and_(pc.is_null(global_id), pc.is_null(job))
    reader.refuse(nameless, Rule.MISSING_FIELD, "neither GlobalJobId nor ClusterId and ProcId")
    before = pc.list_element(pc.split_pattern(global_id, "#", max_splits=1), 0)
    schedd = pc.if_else(pc.match_substring(global_id, "#"), before, NO_TEXT)
    schedd = pc.coalesce(schedd, reader.text("ScheddName"))
    return {
        "global_job_id": global_id,
        "local_job_id": job,
        "machine": schedd,
        "submit_host": schedd,
        "resource": schedd,
    }


def _level(reader: Reader) -> dict[str, pa.Array]:
    """Say what an ad describes: a payload where it ran in a pilot, else a job of the batch system."""
    on_schedd = pc.fill_null(pc.equal(reader.number("JobUniverse"), LOCAL_UNIVERSE), False)
    pilot = pc.coalesce(*(by_distinct(reader.text(name), _pilot, pa.string()) for name in PILOT_RESOURCE))
    pilot = pc.if_else(on_schedd, NO_TEXT, pilot)
    local = pc.or_(on_schedd, pc.is_valid(reader.text("RoutedToJobId")))
    return {
        "host_description": pilot,
        "resource_type": pc.if_else(pc.is_valid(pilot), _PAYLOAD, _BATCH),
        "grid_reported": pc.if_else(local, _LOCAL, NO_TEXT),
    }


def _pilot(name: str | None) -> str | None:
    """The pilot's resource where the name is one: expanded, and not the word for there being none."""
    return None if name is None or "$$(" in name or name.casefold() in NO_PILOT else name


def _who(reader: Reader) -> dict[str, pa.Array]:
    encoded = reader.text("x509UserProxyFirstFQAN").dictionary_encode()
    distinct = pc.replace_substring_regex(encoded.dictionary, r",.*$", "")
    parts = pc.extract_regex(distinct, _FQAN)
    fqan, group, vo, role = (
        values.take(encoded.indices)
        for values in (distinct, *(pc.struct_field(parts, name) for name in ("group", "vo", "role")))
    )
    return {
        "local_user": reader.text("Owner"),
        "global_user": reader.text("User"),
        "dn": reader.text("x509userproxysubject"),
        # A job that the CE routed has its user's token as orig_*, and as AuthToken* that of the CE itself.
        "token_issuer": reader.text("orig_AuthTokenIssuer", "AuthTokenIssuer"),
        "token_subject": reader.text("orig_AuthTokenSubject", "AuthTokenSubject"),
        "accounting_group": reader.text("AcctGroup", "AccountingGroup"),
        "vo_reported": pc.coalesce(reader.text("x509UserProxyVOName"), vo),
        "fqan": fqan,
        "vo_group": group,
        "vo_role": pc.if_else(pc.equal(role, _EMPTY), NO_TEXT, role),
        "project_reported": reader.text("ProjectName"),
    }


def _exit(reader: Reader) -> dict[str, pa.Array]:
    """Code or signal: an ad that says one ended the job may still carry the other from an earlier start."""
    code, signalled = reader.number("ExitCode"), reader.truth("ExitBySignal")
    by_signal = pc.fill_null(signalled, False)
    none = pc.and_(pc.is_valid(code), pc.invert(by_signal))
    status = reader.number("JobStatus")
    return {
        "exit_code": small(pc.if_else(by_signal, NO_NUMBER, code)),
        "exit_signal": small(
            pc.if_else(by_signal, reader.number("ExitSignal"), pc.if_else(none, ZERO, NO_NUMBER))
        ),
        "status_reported": by_distinct(
            status, lambda number: STATUS_WORDS.get(number, str(number)), pa.string()
        ),
    }


def _gpus(reader: Reader) -> dict[str, pa.Array]:
    gpus = small(reader.amount("GPUsProvisioned", "RequestGpus"))
    model = pc.if_else(pc.greater(gpus, _NO_GPUS), reader.text(*GPU_MODEL), NO_TEXT)
    return {"gpus": gpus, "gpu_model": model}


def _bounded(amount: pa.Array) -> pa.Array:
    """An amount of memory that still fits when it is turned into bytes."""
    return pc.min_element_wise(amount, _MOST_MEMORY, skip_nulls=False)

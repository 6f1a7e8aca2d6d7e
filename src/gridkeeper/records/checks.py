"""The rules that every usage record must keep, whatever its format."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.records.identity import NEEDED, without_place
from gridkeeper.records.rules import (
    FUTURE_TOLERANCE_DAYS,
    LONGEST_WALL_DAYS,
    MOST_PROCESSORS,
    OLDEST_YEAR,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gridkeeper.records.draft import Delivery
    from gridkeeper.records.identity import IdentityKind

_DURATIONS = ("wall_duration_s", "suspended_s", "cpu_user_us", "cpu_system_us")
_COUNTS = ("processors_reported", "node_count", "gpus", "njobs", "network_bytes", "memory_bytes")
MOST_JOBS_PER_RECORD = 1_000_000_000
MOST_CPU_US = 10**18


def usage_breaches(
    columns: Mapping[str, pa.Array], keys: pa.Array, kind: IdentityKind, received_at: datetime
) -> dict[Rule, tuple[pa.Array, str]]:
    """Find the rows that break a rule.

    Returns: for each rule, in the order in which a row that breaks several is told, the mask of rows that
    break it (null counts as kept) and what to say of them.
    """
    start, end, wall = columns["start_time"], columns["end_time"], columns["wall_duration_s"]
    latest = received_at + timedelta(days=FUTURE_TOLERANCE_DAYS)
    oldest = datetime(OLDEST_YEAR, 1, 1, tzinfo=UTC)
    return {
        Rule.NEGATIVE_DURATION: (
            _any(pc.less(columns[name], 0) for name in _DURATIONS),
            "a negative wall, CPU or suspended time",
        ),
        Rule.NEGATIVE_COUNT: (
            _any(pc.less(columns[name], 0) for name in _COUNTS),
            "a negative count of processors, nodes, GPUs, jobs or bytes",
        ),
        Rule.NO_TIMES: (
            pc.or_(pc.is_null(start), pc.or_(pc.is_null(end), pc.is_null(wall))),
            "two of start, end and wall time are needed and fewer were found",
        ),
        Rule.END_BEFORE_START: (pc.less(end, start), "the end lies before the start"),
        Rule.END_IN_FUTURE: (
            pc.greater(end, _time(latest)),
            f"the end lies more than {FUTURE_TOLERANCE_DAYS} days in the future",
        ),
        Rule.TIME_TOO_OLD: (pc.less(start, _time(oldest)), f"the start lies before {OLDEST_YEAR}"),
        Rule.ABSURD_VALUE: (
            _absurd(columns),
            f"a wall time over {LONGEST_WALL_DAYS} days, or an absurd number of processors, jobs or CPU seconds",
        ),
        Rule.NO_RESOURCE: (
            without_place(columns, keys, kind),
            "nothing says on which machine or cluster the job ran, which its id alone does not tell",
        ),
        Rule.NO_IDENTITY: (pc.is_null(keys), NEEDED[kind]),
    }


def _absurd(columns: Mapping[str, pa.Array]) -> pa.Array:
    return _any(
        (
            pc.greater(columns["wall_duration_s"], LONGEST_WALL_DAYS * 86_400),
            pc.greater(columns["processors"], MOST_PROCESSORS),
            pc.greater(columns["gpus"], MOST_PROCESSORS),
            pc.greater(columns["njobs"], MOST_JOBS_PER_RECORD),
            pc.greater(columns["cpu_user_us"], MOST_CPU_US),
            pc.greater(columns["cpu_system_us"], MOST_CPU_US),
        )
    )


def _any(masks: Iterable[pa.Array]) -> pa.Array:
    result = None
    for mask in masks:
        known = pc.fill_null(mask, False)
        result = known if result is None else pc.or_(result, known)
    return result


def _time(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("us", tz="UTC"))


def not_allowed(columns: Mapping[str, pa.Array], delivery: Delivery) -> pa.Array:
    """Mark the rows that the delivery's sender may not speak for; a row that names no resource (or VO) is one of them."""
    refused = pa.repeat(pa.scalar(False), len(columns["format"]))
    if delivery.may_send_for is not None:
        names = columns.get("resource", columns.get("site_reported"))
        refused = pc.or_(refused, pc.invert(_fits(names, delivery.may_send_for, _whole)))
    if delivery.may_send_vos:
        refused = pc.or_(refused, pc.invert(_fits(columns.get("vo_reported"), delivery.may_send_vos, _vo_of)))
    if delivery.foreign_probes and "probe" in columns:
        probes = pc.utf8_lower(columns["probe"])
        theirs = pa.array(sorted(delivery.foreign_probes))
        hosts = pc.replace_substring_regex(probes, "^.*:", "")
        refused = pc.or_(refused, pc.or_(pc.is_in(probes, theirs), pc.is_in(hosts, theirs)))
    return refused


def may_speak(delivery: Delivery, resource: str | None, probe: str | None) -> bool:
    """Say whether the delivery's sender may speak as this probe of this resource; what is not named is not judged.

    A probe is known with its kind (`condor:ce.example.org`) and without, as at the door.
    """
    if probe and {probe.lower(), probe.lower().rpartition(":")[2]} & delivery.foreign_probes:
        return False
    if not resource or delivery.may_send_for is None:
        return True
    return bool(_fits(pa.array([resource]), delivery.may_send_for, _whole)[0].as_py())


def _whole(name: str) -> str:
    return name


def _vo_of(path: str) -> str:
    """The VO of a path such as /cms/Role=pilot; a plain name is itself."""
    return path.strip("/").split("/", 1)[0] if path.startswith("/") else path


def _fits(names: pa.Array | None, patterns: frozenset[str], part: Callable[[str], str]) -> pa.Array:
    """Say which names fit one of some patterns, in which only `*` is special."""
    if names is None:
        raise TypeError("a table without names cannot be judged")
    plain = [pattern.replace("[", "[[]").replace("?", "[?]") for pattern in patterns]
    encoded = names.dictionary_encode()
    fits = [
        any(fnmatchcase(part(name).lower(), pattern) for pattern in plain)
        for name in encoded.dictionary.to_pylist()
    ]
    return pc.fill_null(pa.array(fits, pa.bool_()).take(encoded.indices), False)

"""PBS's own ways of writing durations, sizes, processors, GPUs and the end of a job."""

from __future__ import annotations

import re

from gridkeeper.formats.text_columns import MOST_SECONDS
from gridkeeper.units import MICROSECONDS_PER_SECOND

MOST_COUNT = 2**31 - 1
MOST_BYTES = 2**62
BYTES_PER_WORD = 8
# PBS adds this to the number of the signal that ended the job's shell; old OpenPBS added the other.
SIGNAL_BASE, OLD_SIGNAL_BASE, MOST_SIGNAL = 256, 10_000, 128
SIGTERM = 15
_DURATION = re.compile(
    r"(?P<sign>-)?(?:(?:(?P<h>[0-9]{1,9}):)?(?P<m>[0-9]{1,9}):)?(?P<s>[0-9]{1,12})(?:\.(?P<f>[0-9]{1,6})[0-9]*)?"
)
_SIZE = re.compile(r"(?P<number>[0-9]{1,18})(?P<prefix>[kmgtp]?)(?P<unit>[bw])", re.IGNORECASE)
_SLOTS = re.compile(r"(?P<first>[0-9]{1,9})(?:-(?P<last>[0-9]{1,9})|\*(?P<count>[0-9]{1,9}))?", re.IGNORECASE)
_COUNT = re.compile(r"[0-9]{1,9}")
_CODE = re.compile(r"-?[0-9]{1,9}")
# Negative codes are PBS's own: the job gave none. From -10 on, Torque and PBS Pro mean different things by them.
_NODE_LOST = (-4, -5, -6)
_OUTCOME_OF_CODE = {
    "torque": {-10: "out_of_memory", -11: "timeout", -12: "timeout"},
    "pbs-pro": {
        -11: "requeued", -14: "node_fail", -18: "requeued", -19: "cancelled", -20: "node_fail",
        -26: "out_of_memory", -27: "out_of_memory", -28: "timeout", -29: "timeout", -32: "requeued",
    },
}  # fmt: skip


def duration_us(text: str) -> int | None:
    """Read `19:23:4`, `3:20`, `12767` or `1.5` (seconds) into microseconds; None for what is no duration."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    seconds = int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60 + int(found["s"])
    made = min(seconds, MOST_SECONDS) * MICROSECONDS_PER_SECOND + int((found["f"] or "").ljust(6, "0"))
    return -made if found["sign"] else made


def size_bytes(text: str | None) -> int | None:
    """Read `2031040kb`, `15gb`, `512mw` (words of 8 bytes); prefixes are powers of 1024.

    None where no unit is given, or the text is no size.
    """
    found = _SIZE.fullmatch(text or "")
    if found is None:
        return None
    scale = 1024 ** " kmgtp".index(found["prefix"].lower() or " ")
    made = int(found["number"]) * scale * (BYTES_PER_WORD if found["unit"].lower() == "w" else 1)
    return made if made <= MOST_BYTES else None


def hosts_and_slots(exec_host: str | None) -> tuple[list[str], int | None]:
    """Read where a job ran: `a/0+a/1`, `a/0-3,7`, `a/0*8+b/0*8`.

    Returns: (the hosts, each once, in order; how many processors they gave, None where that cannot be read).
    """
    if not exec_host:
        return [], None
    hosts: dict[str, None] = {}
    slots: int | None = 0
    for part in exec_host.split("+"):
        host, _, numbers = part.partition("/")
        if host:
            hosts[host] = None
        for number in numbers.split(","):
            count = _slots(number)
            slots = None if slots is None or count is None else min(slots + count, MOST_COUNT)
    return list(hosts), slots


def _slots(text: str) -> int | None:
    found = _SLOTS.fullmatch(text)
    if found is None:
        return None
    if found["count"] is not None:
        return int(found["count"])
    if found["last"] is not None:
        count = int(found["last"]) - int(found["first"]) + 1
        return count if count > 0 else None
    return 1


def requested(text: str | None, processors: str, gpus: str) -> tuple[int | None, int | None]:
    """Read a request for nodes (`2:ppn=4:gpus=1+wn7:ppn=8`) or chunks (`2:ncpus=4:ngpus=1+1:ncpus=2`).

    processors, gpus: what the request calls them; of each node or chunk there is one processor where it says nothing.
    Returns: (processors, GPUs or None where it asks for none); (None, None) for what is no such request.
    """
    if not text:
        return None, None
    sums: dict[str, int] = {processors: 0}
    for part in text.split("+"):
        first, *properties = part.split(":")
        if not first or "=" in first:
            return None, None
        number = int(first) if _COUNT.fullmatch(first) else 1
        amounts = {processors: 1}
        for each in properties:
            name, _, value = each.partition("=")
            if name in (processors, gpus) and _COUNT.fullmatch(value):
                amounts[name] = int(value)
        for name, amount in amounts.items():
            sums[name] = min(sums.get(name, 0) + number * amount, MOST_COUNT)
    return sums[processors], sums.get(gpus)


def exit_of(status: str | None) -> tuple[int | None, int | None]:
    """Read Exit_status. Returns: (exit code, signal); none of both where PBS itself says why the job ended."""
    if status is None or not _CODE.fullmatch(status) or (code := int(status)) < 0:
        return None, None
    for base in (OLD_SIGNAL_BASE, SIGNAL_BASE):
        if base < code < base + MOST_SIGNAL:
            return None, code - base
    return min(code, MOST_COUNT), 0


def outcome(status: str | None, dialect: str, out_of_time: bool) -> str:
    """Say in our words how a job with this Exit_status ended.

    dialect:     "torque" or "pbs-pro", whose negative codes differ.
    out_of_time: whether it used as much wall time as it had asked for.
    """
    if status is None or not _CODE.fullmatch(status):
        return "unknown"
    code, signal = exit_of(status)
    if signal:
        return "timeout" if out_of_time else "cancelled" if signal == SIGTERM else "failed"
    if code is not None:
        return "failed" if code else "success"
    if int(status) in _NODE_LOST:
        return "node_fail"
    return _OUTCOME_OF_CODE[dialect].get(int(status), "failed")

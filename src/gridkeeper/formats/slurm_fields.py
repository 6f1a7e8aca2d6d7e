"""Slurm's own ways of writing times, durations, resources and states, for every format that Slurm speaks."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats.text_columns import EMPTY, NO_TEXT, cast_or_null
from gridkeeper.units import MICROSECONDS_PER_SECOND

NO_VALUE = pa.array(["Unknown", "None", ""])
NEVER_STARTED = "None assigned"
# Ten digits of anything are more than any job takes, and their microseconds fit 64 bits.
_CLOCK = r"^(?:(?P<d>[0-9]{1,7})-)?(?:(?P<h>[0-9]{1,9}):)?(?P<m>[0-9]{1,10}):(?P<s>[0-9]{1,10})(?:\.(?P<f>[0-9]{1,6}))?$"
_ZERO = pa.scalar("0")
_DAY_S, _HOUR_S, _MINUTE_S, _SECOND_US = (
    pa.scalar(unit) for unit in (86_400, 3_600, 60, MICROSECONDS_PER_SECOND)
)
MOST_COUNT = 2**31 - 1
MOST_BYTES = 2**62

# First word of the state; a second word (`CANCELLED by 1003`) says who.
OUTCOME_OF_STATE = {
    "COMPLETED": "success",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "PREEMPTED": "preempted",
    "REQUEUED": "requeued",
    "NODE_FAIL": "node_fail",
    "BOOT_FAIL": "node_fail",
    "OUT_OF_MEMORY": "out_of_memory",
}
UNFINISHED_STATES = (
    "PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING", "REQUEUE_HOLD", "REQUEUE_FED", "SIGNALING", "STAGE_OUT", "STOPPED",
)  # fmt: skip


def times(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read `2017-01-31T23:59:59` (UTC). Returns: (times, mask of what is neither a time nor `Unknown`/`None`)."""
    absent = pc.is_in(text, NO_VALUE)
    return cast_or_null(pc.if_else(absent, NO_TEXT, text), pa.timestamp("s"))


def durations_us(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read `[D-]HH:MM:SS` and `MM:SS.mmm` into microseconds. Returns: (int64, mask of what is no duration)."""
    encoded = text.dictionary_encode()
    distinct = pc.replace_substring_regex(encoded.dictionary, "^(Unknown|None|)$", "")
    parts = pc.extract_regex(distinct, _CLOCK)

    def part(name: str) -> pa.Array:
        digits = pc.struct_field(parts, name)
        return pc.cast(pc.if_else(pc.equal(digits, EMPTY), _ZERO, digits), pa.int64())

    fraction = pc.struct_field(parts, "f")
    micro = pc.cast(pc.utf8_rpad(fraction, 6, "0"), pa.int64())
    seconds = pc.add(
        pc.add(pc.multiply(part("d"), _DAY_S), pc.multiply(part("h"), _HOUR_S)),
        pc.add(pc.multiply(part("m"), _MINUTE_S), part("s")),
    )
    made = pc.add(pc.multiply(seconds, _SECOND_US), micro)
    bad = pc.and_(pc.is_null(made), pc.not_equal(distinct, EMPTY))
    return made.take(encoded.indices), bad.take(encoded.indices)


def gpus(tres: str | None) -> tuple[int | None, str | None]:
    """Read the GPUs of an AllocTRES text: (count, model).

    The untyped count `gres/gpu=2` holds where it stands; else the typed ones (`gres/gpu:a100=2`) are summed.
    Several models are named in one text, `a100,t4`.
    """
    if not tres or "gres/gpu" not in tres:
        return None, None
    untyped, typed = None, {}
    for part in tres.split(","):
        name, _, amount = part.partition("=")
        if not amount.isdecimal():
            continue
        count = min(int(amount[:20]), MOST_COUNT)
        if name == "gres/gpu":
            untyped = count
        elif name.startswith("gres/gpu:"):
            typed[name.removeprefix("gres/gpu:")] = count
    if untyped is None and not typed:
        return None, None  # other resources begin like this, too: gres/gpumem, gres/gpuutil
    whole = untyped if untyped is not None else min(sum(typed.values()), MOST_COUNT)
    return whole, ",".join(sorted(typed)) or None


def outcome(state: str | None) -> str | None:
    """Say in our words how a job with this state ended."""
    return None if not state else OUTCOME_OF_STATE.get(state.split(" ", 1)[0], "unknown")


def memory_bytes(text: str | None) -> int | None:
    """Read `MaxRSS` as Slurm writes it (`1234K`, `1.5G`, `1048576`); None for what is no number (`16?`)."""
    if not text:
        return None
    number, prefix = (text[:-1], text[-1]) if text[-1].upper() in "KMGTPE" else (text, "")
    try:
        amount = float(number) * 1024 ** " KMGTPE".index(prefix.upper() or " ")
        return round(amount) if abs(amount) < MOST_BYTES else None
    except ValueError:
        return None

"""Slurm's own ways of writing times, durations, resources and states, for every format that Slurm speaks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.units import MICROSECONDS_PER_SECOND

NO_VALUE = ["Unknown", "None", ""]
NEVER_STARTED = "None assigned"
_CLOCK = r"^(?:(?P<d>[0-9]+)-)?(?:(?P<h>[0-9]+):)?(?P<m>[0-9]+):(?P<s>[0-9]+)(?:\.(?P<f>[0-9]{1,6}))?$"

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


def by_distinct(values: pa.Array, read: object, kind: pa.DataType) -> pa.Array:
    """Apply a slow reader once per distinct value of a text column; null stays null."""
    encoded = values.dictionary_encode()
    made = pa.array([read(value) for value in encoded.dictionary.to_pylist()], kind)  # type: ignore[operator]
    return made.take(encoded.indices)


def times(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read `2017-01-31T23:59:59` (UTC). Returns: (times, mask of what is neither a time nor `Unknown`/`None`)."""
    absent = pc.is_in(text, pa.array(NO_VALUE))
    return _cast_or_null(pc.if_else(absent, pa.scalar(None, pa.string()), text), pa.timestamp("s"))


def whole_numbers(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read whole numbers; "" is null. Returns: (int64, mask of what is no whole number)."""
    return _cast_or_null(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), pa.int64())


def _cast_or_null(text: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    try:
        return pc.cast(text, kind), pa.array(np.zeros(len(text), dtype=bool))
    except pa.ArrowInvalid:
        pass

    def read(value: str) -> object:
        try:
            return pa.scalar(value).cast(kind).as_py()
        except pa.ArrowInvalid:
            return None

    made = by_distinct(text, lambda value: None if value is None else read(value), kind)
    return made, pc.and_(pc.is_valid(text), pc.is_null(made))


def durations_us(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read `[D-]HH:MM:SS` and `MM:SS.mmm` into microseconds. Returns: (int64, mask of what is no duration)."""
    encoded = text.dictionary_encode()
    distinct = pc.replace_substring_regex(encoded.dictionary, "^(Unknown|None|)$", "")
    parts = pc.extract_regex(distinct, _CLOCK)

    def part(name: str) -> pa.Array:
        digits = pc.struct_field(parts, name)
        return pc.cast(pc.if_else(pc.equal(digits, ""), "0", digits), pa.int64())

    fraction = pc.struct_field(parts, "f")
    micro = pc.cast(pc.utf8_rpad(fraction, 6, "0"), pa.int64())
    seconds = pc.add(
        pc.add(pc.multiply(part("d"), 86_400), pc.multiply(part("h"), 3_600)),
        pc.add(pc.multiply(part("m"), 60), part("s")),
    )
    made = pc.add(pc.multiply(seconds, MICROSECONDS_PER_SECOND), micro)
    bad = pc.and_(pc.is_null(made), pc.not_equal(distinct, ""))
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
        if name == "gres/gpu":
            untyped = int(amount)
        elif name.startswith("gres/gpu:"):
            typed[name.removeprefix("gres/gpu:")] = int(amount)
    count = untyped if untyped is not None else sum(typed.values())
    return count, ",".join(sorted(typed)) or None


def outcome(state: str | None) -> str | None:
    """Say in our words how a job with this state ended."""
    return None if not state else OUTCOME_OF_STATE.get(state.split(" ", 1)[0], "unknown")


def memory_bytes(text: str | None) -> int | None:
    """Read `MaxRSS` as Slurm writes it (`1234K`, `1.5G`, `1048576`); None for what is no number (`16?`)."""
    if not text:
        return None
    number, prefix = (text[:-1], text[-1]) if text[-1].upper() in "KMGTPE" else (text, "")
    try:
        return round(float(number) * 1024 ** " KMGTPE".index(prefix.upper() or " "))
    except ValueError:
        return None

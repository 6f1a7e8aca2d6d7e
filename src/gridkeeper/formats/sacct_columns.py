"""The columns of sacct's text: which there may be, and whether a source says which it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.formats.contract import Block
from gridkeeper.formats.lines import first_line
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

# The columns that Open XDMoD asks sacct for, in its order; its files have no header.
XDMOD_COLUMNS = (
    "JobID", "JobIDRaw", "Cluster", "Partition", "QOS", "Account", "Group", "GID", "User", "UID", "Submit", "Eligible", "Start", "End",
    "Elapsed", "ExitCode", "State", "NNodes", "NCPUS", "ReqCPUS", "ReqMem", "ReqTRES", "AllocTRES", "Timelimit", "NodeList", "JobName",
)  # fmt: skip
NEEDED = ("JobID", "Start", "End", "State")
# A pipe inside one of these (and only one of them in a file) cannot be mistaken for a new field.
FREE_TEXT = ("JobName", "Comment", "AdminComment", "SystemComment", "SubmitLine", "WorkDir")
UNDERSTOOD = (
    "JobID", "JobIDRaw", "Cluster", "Partition", "Account", "Group", "User", "Submit", "Start", "End", "Elapsed", "ElapsedRaw", "Suspended",
    "TotalCPU", "UserCPU", "SystemCPU", "ExitCode", "State", "NNodes", "NCPUS", "AllocCPUS", "AllocTRES", "NodeList", "MaxRSS",
    "ConsumedEnergyRaw",
)  # fmt: skip
LOOKED_FOR_COLUMNS_BYTES = 64 * 1024


def with_columns(blocks: Iterator[Block]) -> Iterator[Block]:
    """Pass blocks on; of a source with neither a header nor a line of XDMoD's columns only one refusal comes."""
    held: list[Block] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block.data)
        if _has_columns(block):
            yield from held
            yield from blocks
            return
        if size > LOOKED_FOR_COLUMNS_BYTES:
            break
    if not size:
        yield from held  # nothing, or nothing but refusals
        return
    begin = b"".join(block.data for block in held)
    passed = tuple(reject for block in held for reject in block.refused)
    for block in blocks:  # to the end, to say how long it is
        size += len(block.data)
        passed += block.refused
    refused = Reject(Rule.UNKNOWN_HEADER, 1, _why_no_columns(begin), begin[:REJECT_TEXT_LIMIT_BYTES], size)
    yield Block(b"", 1, refused=(refused, *passed))


def _has_columns(block: Block) -> bool:
    """Whether a block begins with a header, or has a line with at least as many columns as XDMoD's."""
    first = fields_of(first_line(block.data))
    if block.first_line == 1 and is_header(first):
        return True
    lines = block.data.count(b"\n") + (not block.data.endswith(b"\n") and bool(block.data))
    return bool((pipes(block.data, lines) >= len(XDMOD_COLUMNS) - 1).any())


def _why_no_columns(begin: bytes) -> str:
    """Say what is missing from a source that has neither header nor XDMoD's columns."""
    first = fields_of(first_line(begin))
    missing = [name for name in NEEDED if name not in first]
    if len(set(first) & {*UNDERSTOOD, *FREE_TEXT}) > 1:
        return f"a header without {' and '.join(missing)}: export {'them' if len(missing) > 1 else 'it'}, too"
    return (
        f"no header, and no line with XDMoD's {len(XDMOD_COLUMNS)} columns: "
        "add a header (sacct without -n) or export those columns"
    )


def fields_of(line: bytes) -> list[str]:
    """The fields of a line, whichever way it ends."""
    return line.decode("utf-8", "replace").rstrip("\r").split("|")


def is_header(first: list[str]) -> bool:
    """Whether the fields of a first line are the names of a header."""
    return all(name in first for name in NEEDED)


def pipes(data: bytes, lines: int) -> np.ndarray:
    """How many pipes each of the lines has."""
    text = np.frombuffer(data, np.uint8)
    is_end = text == ord("\n")
    marks = np.flatnonzero((text == ord("|")) | is_end)
    ends = np.flatnonzero(is_end[marks])[:lines]
    if len(ends) < lines:  # the last line may end with the text
        ends = np.append(ends, len(marks))
    return np.diff(ends, prepend=-1) - 1

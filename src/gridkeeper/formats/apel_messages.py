"""APEL's text messages: which kinds there are, how they are cut into records, and records into columns of text.

A message is a header line and records; a record is lines `Key: value`, closed by a line `%%`. Several messages
may stand one after the other in a source. Records of one kind whose keys stand in the same order become columns
all at once; the others are read one by one. Both ways give the same columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gridkeeper.formats.contract import Block
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from gridkeeper.records.draft import Parsed

HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*APEL-([A-Za-z-]+)-message[ \t]*:[ \t]*(\S*)\s*")
# Orders of keys that are read as columns before what is left is read record by record.
MOST_KEY_ORDERS = 32
FEWEST_RECORDS_FOR_COLUMNS = 16
_CLOSING = re.compile(rb"\n[ \t]*%%")
_MESSAGE = re.compile(b"-message")
_FARTHEST = 2**31 - 1
_FIELD_END, _RECORD_END = b"\x1f", b"\x1e"


@dataclass(frozen=True)
class Kind:
    """A kind of record: the table it goes to, and its keys."""

    table: str
    mandatory: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def keys(self) -> frozenset[str]:
        """All keys that such a record may have."""
        return frozenset(self.mandatory + self.optional)


_SUMMARY_KEYS = (
    "GlobalUserName", "VO", "VOGroup", "VORole", "SubmitHost", "Infrastructure", "InfrastructureType", "InfrastructureDescription",
    "ServiceLevelType", "NodeCount", "Processors", "EarliestEndTime", "LatestEndTime", "UpdateTime",
)  # fmt: skip
_SUMMARY_MANDATORY = ("Site", "Month", "Year", "WallDuration", "CpuDuration", "NumberOfJobs")
JOB = Kind(
    "usage_records",
    ("Site", "LocalJobId", "WallDuration", "CpuDuration", "StartTime", "EndTime"),
    (
        "SubmitHost", "SubmitHostType", "MachineName", "Queue", "LocalUserId", "GlobalUserName", "FQAN", "VO", "VOGroup", "VORole",
        "Processors", "NodeCount", "InfrastructureDescription", "InfrastructureType", "MemoryReal", "MemoryVirtual", "ServiceLevelType",
        "ServiceLevel", "UpdateTime",
    ),
)  # fmt: skip
SUMMARY = Kind("usage_reported", _SUMMARY_MANDATORY, (*_SUMMARY_KEYS, "ServiceLevel"))
NORMALISED = Kind(
    "usage_reported", (*_SUMMARY_MANDATORY, "NormalisedWallDuration", "NormalisedCpuDuration"), _SUMMARY_KEYS
)
_KINDS = {
    ("summary-job", "v0.2"): SUMMARY,
    ("summary-job", "v0.3"): NORMALISED,
    ("summary-job", "v0.4"): SUMMARY,
    ("normalised-summary", "v0.4"): NORMALISED,
}


@dataclass
class Records:
    """Records of one kind as they stand in a block, the lines on which they begin, and how many line ends each holds."""

    texts: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)


def kind_of(header: bytes) -> Kind | Reject | None:
    """Say which kind of records follow a header line; a reject for a message not read here; None for no header."""
    found = HEADER.fullmatch(header)
    if found is None:
        return None
    name, version = (part.decode("ascii", "replace") for part in found.groups())
    if name == "individual-job":
        return JOB  # any version: APEL's own server reads all but v0.4 as v0.3, and v0.4 adds to it
    kind = _KINDS.get((name, version))
    if kind is not None:
        return kind
    known = sorted(there for message, there in _KINDS if message == name)
    if known:
        detail = f"version {version!r} of APEL-{name}-message, where {', '.join(known)} are read"
        return Reject.of(Rule.UNKNOWN_HEADER, 1, detail, header)
    return Reject.of(Rule.UNKNOWN_RECORD_TYPE, 1, f"an APEL-{name}-message holds no usage of jobs", header)


def last_header(data: bytes) -> bytes | None:
    """Find the last header line of some bytes."""
    place = len(data)
    while (place := data.rfind(b"-message", 0, place)) >= 0:
        end = data.find(b"\n", place)
        line = data[data.rfind(b"\n", 0, place) + 1 : end if end >= 0 else len(data)]
        if HEADER.fullmatch(line):
            return line
    return None


def records_of(block: Block, parsed: Parsed) -> list[tuple[Kind, Records]]:
    """Cut a block into records; what belongs to no message that can be read, or is cut off, becomes a reject."""
    found: dict[Kind, Records] = {}
    kind = kind_of(block.context)
    pieces = _Pieces(block)
    done, last = 0, len(pieces.texts) - 1
    for number in (number for number in pieces.with_headers if number < last):
        _add(found, kind, pieces, slice(done, number), parsed)
        kind = _add_across_headers(found, kind, pieces.block_of(number), parsed, closed=True)
        done = number + 1
    _add(found, kind, pieces, slice(done, last), parsed)
    _add_across_headers(found, kind, pieces.block_of(last), parsed, closed=False)
    return list(found.items())


class _Pieces:
    """What stands between the closing lines of a block, trimmed; the last piece is what no line closes."""

    def __init__(self, block: Block) -> None:
        # With a line end before it, the first line of a source can be a closing one like any other.
        at_start = block.first_line == 1
        data = b"\n" + block.data if at_start else block.data
        signs = np.frombuffer(data + b"\n\n", np.uint8)
        newlines, closings, ends = _closing_lines(data, signs)
        begins = np.concatenate([[0], ends])
        stops = np.append(closings, len(data))
        untrimmed = [data[begin:stop] for begin, stop in zip(begins.tolist(), stops.tolist(), strict=True)]
        self.texts = [text.strip() for text in untrimmed]
        # Nearly always one line end stands before a record; only where more does is it worth counting.
        leading = np.ones(len(begins), np.int64)
        for number in np.flatnonzero((signs[begins] != ord("\n")) | (signs[begins + 1] <= ord(" "))):
            leading[number] = len(untrimmed[number]) - len(untrimmed[number].lstrip())
        begins = begins + leading
        before = np.searchsorted(newlines, begins)
        self.lines = before + block.first_line - (1 if at_start else 0)
        ended = begins + np.fromiter(map(len, self.texts), np.int64, len(self.texts))
        self.breaks = np.searchsorted(newlines, ended) - before
        headers = [found.start() for found in _MESSAGE.finditer(data)]
        self.with_headers = np.unique(np.searchsorted(stops, headers)).tolist()

    def block_of(self, number: int) -> Block:
        """One piece alone."""
        return Block(self.texts[number], int(self.lines[number]))


def _closing_lines(data: bytes, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the line ends, and those that a closing `%%` follows: where they stand, and where its two signs end."""
    newlines = np.flatnonzero(signs[:-2] == ord("\n"))
    closings = newlines[(signs[newlines + 1] == ord("%")) & (signs[newlines + 2] == ord("%"))]
    if np.count_nonzero(signs == ord("%")) == 2 * len(closings):
        return newlines, closings, closings + 3
    spans = np.array([found.span() for found in _CLOSING.finditer(data)], np.int64).reshape(-1, 2)
    return newlines, spans[:, 0], spans[:, 1]


def _add(
    found: dict[Kind, Records], kind: Kind | Reject | None, pieces: _Pieces, which: slice, parsed: Parsed
) -> None:
    """Add closed pieces that stand under a header of `kind`."""
    texts, lines = pieces.texts[which], pieces.lines[which].tolist()
    if isinstance(kind, Reject) or not texts:
        return
    if kind is None:
        detail = "a record with no header line APEL-...-message before it"
        parsed.rejects += [
            Reject.of(Rule.UNKNOWN_HEADER, line, detail, text)
            for text, line in zip(texts, lines, strict=True)
            if text
        ]
        return
    records = found.setdefault(kind, Records())
    records.texts += texts
    records.lines += lines
    records.breaks += pieces.breaks[which].tolist()


def _add_across_headers(
    found: dict[Kind, Records], kind: Kind | Reject | None, piece: Block, parsed: Parsed, *, closed: bool
) -> Kind | Reject | None:
    """Add a piece that may hold header lines, which end the record before them. Returns: the kind that holds after it."""
    parts: list[tuple[Kind | Reject | None, int, int, int]] = [(kind, 0, 0, piece.first_line)]
    place, line = 0, piece.first_line
    for text in piece.data.split(b"\n"):
        opened = kind_of(text) if b"-message" in text else None
        if opened is not None:
            parts.append((opened, place, place + len(text), line))
        place += len(text) + 1
        line += 1
    ends = [header for _, header, _, _ in parts[1:]] + [len(piece.data)]
    for (part, header, begin, at), end in zip(parts, ends, strict=True):
        if isinstance(part, Reject) and begin > header:
            parsed.rejects.append(Reject.of(part.rule, at, part.detail, piece.data[header:end]))
        last = end == len(piece.data)
        _add_alone(found, part, Block(piece.data[begin:end], at), parsed, closed=closed and last)
    return parts[-1][0]


def _add_alone(
    found: dict[Kind, Records], kind: Kind | Reject | None, piece: Block, parsed: Parsed, *, closed: bool
) -> None:
    text = piece.data.strip()
    if not text or isinstance(kind, Reject):
        return
    line = piece.first_line + piece.data[: piece.data.find(text)].count(b"\n")
    if kind is not None and closed:
        records = found.setdefault(kind, Records())
        records.texts.append(text)
        records.lines.append(line)
        records.breaks.append(text.count(b"\n"))
    elif kind is not None:
        parsed.rejects.append(Reject.of(Rule.TRUNCATED, line, "a record that no line %% closes", text))
    else:
        detail = "a record with no header line APEL-...-message before it"
        parsed.rejects.append(Reject.of(Rule.UNKNOWN_HEADER, line, detail, text))


def text_columns(kind: Kind, records: Records, parsed: Parsed) -> tuple[pa.Table, np.ndarray]:
    """Read records into columns of text, a column for each key that occurs.

    Returns: the table, values trimmed, null where a record has no such key; and which record each row is.
    Records that are no list of `Key: value` with known keys become rejects.
    """
    tables, rows, rest = _columns_at_once(kind, records)
    fields: list[dict[str, str]] = []
    single: list[int] = []
    for number in rest:
        read = _one_by_one(kind, records.texts[number])
        if isinstance(read, dict):
            fields.append(read)
            single.append(number)
        else:
            rule, detail = read
            parsed.rejects.append(Reject.of(rule, records.lines[number], detail, records.texts[number]))
    if fields:
        keys = sorted(set().union(*fields))
        tables.append(
            pa.table({key: pa.array([each.get(key) for each in fields], pa.string()) for key in keys})
        )
        rows.append(np.array(single, np.int64))
    if not tables:
        return pa.table({}), np.zeros(0, np.int64)
    if len(tables) == 1:
        return tables[0].combine_chunks(), rows[0]
    numbers = np.concatenate(rows)
    order = np.argsort(numbers, kind="stable")
    whole = pa.concat_tables(tables, promote_options="default")
    return whole.take(pa.array(order)).combine_chunks(), numbers[order]


def _one_by_one(kind: Kind, text: bytes) -> dict[str, str] | tuple[Rule, str]:
    """Read one record: its values by key, or the rule it breaks and how."""
    if b"\0" in text:
        return Rule.BINARY_JUNK, "a NUL byte in a line of text"
    fields: dict[str, str] = {}
    try:
        for line in text.split(b"\n"):
            if not line.strip():
                continue
            key, colon, value = (part.strip().decode() for part in line.partition(b":"))
            if not colon:
                return Rule.NOT_WELL_FORMED, "a line without a colon where `Key: value` is expected"
            if key not in kind.keys:
                return Rule.UNKNOWN_FIELD, f"a key {key[:80]!r} that such a record does not have"
            if key in fields:
                return Rule.NOT_WELL_FORMED, f"{key} stands twice in one record"
            fields[key] = value
    except UnicodeDecodeError:
        return Rule.NOT_UTF8, "bytes that are no UTF-8"
    return fields


def _columns_at_once(kind: Kind, records: Records) -> tuple[list[pa.Table], list[np.ndarray], list[int]]:
    """Read all records whose keys stand in an order that many others share.

    Returns: tables, for each the numbers of its records, and the numbers of the records left to read one by one.
    """
    tables: list[pa.Table] = []
    rows: list[np.ndarray] = []
    rest: list[int] = []
    texts, breaks = records.texts, np.array(records.breaks)
    left = np.flatnonzero(
        np.fromiter(map(len, texts), np.int64, len(texts))
    )  # nothing between two lines %% is no record
    if _needs_care(texts):
        careful = np.array([_needs_care([texts[number]]) for number in left], dtype=bool)
        rest, left = left[careful].tolist(), left[~careful]
    for _ in range(MOST_KEY_ORDERS):
        if len(left) < FEWEST_RECORDS_FOR_COLUMNS:
            break
        first = texts[left[0]]
        labels = _labels(kind, first)
        same = breaks[left] == breaks[left[0]]
        if labels is None:
            rest.append(int(left[0]))
            left = left[1:]
            continue
        candidates = left[same]
        table, fits = _sliced([texts[number] for number in candidates], labels)
        tables.append(table)
        rows.append(candidates[fits])
        left = np.sort(np.concatenate([left[~same], candidates[~fits]]))
    return tables, rows, rest + left.tolist()


def _needs_care(texts: list[bytes]) -> bool:
    """Say whether some text is not UTF-8, or holds what would be mistaken for an end of a field or record."""
    whole = b"\n".join(texts)
    if b"\r" in whole and whole.count(b"\r") != whole.count(b"\r\n"):
        return True
    try:
        whole.decode()
    except UnicodeDecodeError:
        return True
    return any(byte in whole for byte in (b"\0", _FIELD_END, _RECORD_END))


def _labels(kind: Kind, text: bytes) -> dict[str, str] | None:
    """What each line of a record begins with, up to its colon, and the key that means; None for what is no such record."""
    labels: dict[str, str] = {}
    for line in text.split(b"\n"):
        label, colon, _ = line.partition(b":")
        key = label.strip().decode("ascii", "replace")
        if not colon or key not in kind.keys or key in labels.values():
            return None
        labels[label.decode("ascii") + ":"] = key
    return labels


def _sliced(texts: list[bytes], labels: dict[str, str]) -> tuple[pa.Table, np.ndarray]:
    """Read records of as many lines as there are labels. Returns: those that have them; which of the texts those are."""
    whole = _RECORD_END.join(texts)
    if b"\r" in whole:
        whole = whole.replace(b"\r\n", b"\n")
    whole = whole.replace(b"\n", _FIELD_END).replace(_RECORD_END, b"\n")
    names = list(labels.values())
    table = pyarrow.csv.read_csv(
        pa.BufferReader(whole),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=names, block_size=max(len(whole) + 1, 1 << 16)
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=_FIELD_END.decode(), quote_char=False, double_quote=False, ignore_empty_lines=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), check_utf8=False
        ),
    ).combine_chunks()
    fits = pa.array(np.ones(len(texts), bool))
    for label, name in labels.items():
        fits = pc.and_(fits, pc.starts_with(table[name], label).combine_chunks())
    chosen = fits.to_numpy(zero_copy_only=False)
    if not chosen.all():
        table = table.filter(fits)
    return pa.table({name: _behind(table[name], label) for label, name in labels.items()}), chosen


def _behind(column: pa.ChunkedArray, label: str) -> pa.Array:
    """The text behind a label of plain letters, trimmed."""
    (whole,) = column.chunks or [pa.array([], pa.string())]
    cut = pc.binary_slice(whole.view(pa.binary()), len(label), _FARTHEST)
    return pc.ascii_trim_whitespace(cut.view(pa.string()))

"""Judges a message as APEL's server does: what it would refuse is refused here, with a sentence, before anything is sent.

The server takes a message whole or not at all: one bad record, and all of it goes to the reject queue. Checked in its
order: transport (ASCII, 1 MB), header, each record's keys and values, and what its database takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_MESSAGE_BYTES = 1_000_000  # of the message service
NULL_WORDS = frozenset({"", "none", "null"})
BENCHMARKS = ("hepscore23", "hepspec", "si2k")
CAR_NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/computerecord"
AGGREGATED_NAMESPACE = "http://eu-emi.eu/namespaces/2012/11/aggregatedcomputerecord"
STORAGE_NAMESPACE = "http://eu-emi.eu/namespaces/2011/02/storagerecord"
MOST_TEXT, MOST_INFRASTRUCTURE = 255, 20
_SHORTER = {
    "Infrastructure": MOST_INFRASTRUCTURE,
    "InfrastructureType": MOST_INFRASTRUCTURE,
    "InfrastructureDescription": 100,
    "Queue": 100,
}
_INT, _BIGINT = 2**31 - 1, 2**63 - 1
_MOST_LEVEL = Decimal("9999999.999")
_AHEAD = timedelta(days=2)
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:Z|UTC|GMT)", re.IGNORECASE | re.ASCII)

Values = dict[str, str | None]


@dataclass(frozen=True)
class Fault:
    """Why a message is refused. record: which of its records, counted from 1; None: the message as such."""

    record: int | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence if self.record is None else f"record {self.record}: {self.sentence}"


class _Refused(Exception):
    """One record is refused."""


@dataclass(frozen=True)
class _Kind:
    """What a kind of record may and must say.

    must:  mandatory keys; asked: keys without which the server's database refuses the record.
    lists: keys whose values are lists by benchmark, `{HEPscore23: 8750}`.
    """

    must: tuple[str, ...]
    may: tuple[str, ...]
    asked: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    most: dict[str, int] = field(default_factory=dict)
    checks: tuple[Callable[[Values, datetime], None], ...] = ()


def faults(message: bytes, now: datetime) -> list[Fault]:
    """Say why the server would refuse a message; nothing: it accepts it.

    now: what the server's clock says. Kinds that hold no usage of jobs (cloud, storage, accelerators) are judged by their
         header alone.
    """
    if len(message) > MOST_MESSAGE_BYTES:
        return [
            Fault(
                None,
                f"it has {len(message):,} bytes; the message service takes {MOST_MESSAGE_BYTES:,}; split it",
            )
        ]
    try:
        text = message.decode("ascii").strip()
    except UnicodeDecodeError as error:
        return [Fault(None, f"byte {error.start + 1:,} is not ASCII; write it as ASCII")]
    if text.startswith("<"):
        return _of_xml(text)
    if text.startswith("{"):
        known = '"APEL-accelerator-message"' in text
        return (
            [] if known else [Fault(None, "a JSON message of no known type; only accelerators are sent so")]
        )
    header, _, body = text.partition("\n")
    kind = _kind_of(header.rstrip("\r"))
    if isinstance(kind, Fault):
        return [kind]
    return [] if kind is None else list(_of_records(kind, body, now))


def _of_records(kind: _Kind, body: str, now: datetime) -> Iterator[Fault]:
    # The two signs end a record wherever they stand, also within a value.
    records = [record for record in body.split("%%") if record.strip()]
    for number, record in enumerate(records, start=1):
        try:
            _judge(kind, record, now)
        except _Refused as refused:
            yield Fault(number, str(refused))


def _kind_of(header: str) -> _Kind | Fault | None:
    """The kind that a header names; None: one that is taken and not judged further."""
    name, colon, _ = header.partition(":")
    if not colon:
        return Fault(None, f"the header {header[:60]!r} has no colon and version")
    if header in _KINDS:
        return _KINDS[header]
    if name.strip() in _ANY_VERSION:
        return _ANY_VERSION[name.strip()]
    return Fault(None, f"the header {header[:60]!r} is none that the server knows")


def _of_xml(text: str) -> list[Fault]:
    try:
        root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        return [Fault(None, f"it is not well-formed XML: {error.msg}")]
    match etree.QName(root).namespace:
        case str(namespace) if namespace in (CAR_NAMESPACE, STORAGE_NAMESPACE):
            return []
        case str(namespace) if namespace == AGGREGATED_NAMESPACE:
            return [Fault(None, "aggregated usage records are not yet supported; send a summary message")]
        case namespace:
            return [Fault(None, f"XML of the namespace {namespace} is not recognised; send a text message")]


def _judge(kind: _Kind, record: str, now: datetime) -> None:
    """Judge one record. Raises: _Refused with the first reason."""
    values: Values = {}
    for line in record.strip().splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon:
            raise _Refused(f"the line {line[:60]!r} has no colon; a blank line may not stand in a record")
        if key not in (*kind.must, *kind.may, *kind.asked):
            raise _Refused(f"the key {key[:40]} is unknown")
        values[key] = None if value.lower() in NULL_WORDS else value
        if values[key] is None and key in kind.must:
            raise _Refused(f"{key} is mandatory and says nothing")
    for key in kind.must:
        if key not in values:
            raise _Refused(f"{key} is missing")
    for key in (*kind.numbers, *kind.times):
        if (said := values.get(key)) is not None:
            (_number if key in kind.numbers else _moment)(key, said)
    for check in kind.checks:
        check(values, now)
    for key in kind.asked:
        if values.get(key) is None:
            raise _Refused(f"{key} is missing, and the server's database takes no record without it")
    _must_fit(kind, values)


def _must_fit(kind: _Kind, values: Values) -> None:
    """Hold values to the columns of the server's database."""
    for key, said in values.items():
        if said is None:
            continue
        if key in kind.numbers:
            most = kind.most.get(key, _BIGINT)
            if not -most - 1 <= int(said) <= most:
                raise _Refused(f"{key} is {said}; the column holds at most {most:,}")
        elif key not in (*kind.times, *kind.lists) and len(said) > _SHORTER.get(key, MOST_TEXT):
            raise _Refused(
                f"{key} has {len(said)} characters; the column holds {_SHORTER.get(key, MOST_TEXT)}"
            )


def _number(key: str, said: str) -> int:
    try:
        return int(said)
    except ValueError:
        raise _Refused(f"{key} is {said[:40]!r}, no whole number") from None


def _moment(key: str, said: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(said), UTC)
    except (OverflowError, OSError):
        raise _Refused(f"{key} is {said[:40]}, beyond every calendar") from None
    except ValueError:
        fits = _MOMENT.fullmatch(said)
    try:
        if fits is not None:
            return datetime.fromisoformat(fits[1]).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise _Refused(f"{key} is {said[:40]!r}; write whole seconds since 1970, or 2017-01-31T23:59:59Z")


def _listed(key: str, said: str) -> dict[str, Decimal]:
    """Read `{HEPscore23: 8750}` by benchmarks in small letters."""
    if not (said.startswith("{") and said.endswith("}")):
        raise _Refused(f"{key} is {said[:40]!r}, no list such as {{HEPscore23: 8750}}")
    found = {}
    for part in said[1:-1].split(","):
        name, colon, value = (piece.strip(" \"'") for piece in part.partition(":"))
        if not colon or name.lower() not in BENCHMARKS:
            raise _Refused(f"{key}: {name[:40]!r} is no benchmark; there are HEPscore23, HEPSPEC, Si2k")
        try:
            found[name.lower()] = Decimal(value)
        except InvalidOperation:
            raise _Refused(f"{key}: {value[:40]!r} is no number") from None
    return found


def _month_holds_its_times(values: Values, now: datetime) -> None:
    month, year = (_number(key, values[key] or "") for key in ("Month", "Year"))
    if not (1 <= month <= 12 and 1 <= year < 9999):
        raise _Refused(f"{year}-{month} is no month")
    first, until = (
        datetime(year, month, 1, tzinfo=UTC),
        datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC),
    )
    if first > now:
        raise _Refused(f"the month {year}-{month:02d} lies in the future")
    if values.get("EarliestEndTime") is None or values.get("LatestEndTime") is None:
        return
    earliest, latest = (_moment(key, values[key] or "") for key in ("EarliestEndTime", "LatestEndTime"))
    if not first <= earliest <= until:
        raise _Refused("EarliestEndTime is not within the month")
    if not first <= latest <= until:
        raise _Refused("LatestEndTime is not within the month")
    if earliest > latest:
        raise _Refused("LatestEndTime is earlier than EarliestEndTime")


def _durations_are_no_less_than_0(values: Values, _now: datetime) -> None:
    for key in ("WallDuration", "CpuDuration"):
        if int(values[key] or 0) < 0:
            raise _Refused(f"{key} is negative")


def _normalised_are_no_less_than_0(values: Values, _now: datetime) -> None:
    for key in _NORMALISED_KEYS:
        if int(values[key] or 0) < 0:
            raise _Refused(f"{key} is negative")


def _normalised_by_one_benchmark(values: Values, _now: datetime) -> None:
    wall, cpu = (_listed(key, values[key] or "") for key in _NORMALISED_KEYS)
    first = [next(name for name in BENCHMARKS if name in of) for of in (wall, cpu)]
    if first[0] != first[1]:
        raise _Refused(
            f"{' and '.join(_NORMALISED_KEYS)} are by different benchmarks: {first[0]}, {first[1]}"
        )
    for key, of in zip(_NORMALISED_KEYS, (wall, cpu), strict=True):
        value = of[first[0]]
        if value != value.to_integral_value() or not 0 <= value <= _BIGINT:
            raise _Refused(f"{key} is {value}, no whole number of 0 or more that the column holds")


def _level_is_a_benchmark(values: Values, _now: datetime) -> None:
    kind, level = values.get("ServiceLevelType"), values.get("ServiceLevel")
    if kind is None or level is None:
        raise _Refused(
            "ServiceLevelType and ServiceLevel are both needed; without them the scale is `custom`, which is refused"
        )
    if kind.lower() not in BENCHMARKS:
        raise _Refused(f"ServiceLevelType is {kind[:40]!r}; there are HEPscore23, HEPSPEC, Si2k")
    try:
        _level_fits(Decimal(level))
    except InvalidOperation:
        raise _Refused(f"ServiceLevel is {level[:40]!r}, no number") from None


def _level_is_a_list(values: Values, _now: datetime) -> None:
    if (level := values.get("ServiceLevel")) is None:
        raise _Refused("ServiceLevel is missing; the server stops at a record without it")
    for value in _listed("ServiceLevel", level).values():
        _level_fits(value)


def _level_fits(level: Decimal) -> None:
    if not level.is_finite() or abs(level) > _MOST_LEVEL:
        raise _Refused(f"ServiceLevel is {level}; the column holds at most {_MOST_LEVEL}")


def _job_has_its_time(values: Values, now: datetime) -> None:
    start, end = (_moment(key, values[key] or "") for key in ("StartTime", "EndTime"))
    if end < start:
        raise _Refused("EndTime lies before StartTime")
    if end > now + _AHEAD:
        raise _Refused("EndTime lies more than two days in the future")


_NORMALISED_KEYS = ("NormalisedWallDuration", "NormalisedCpuDuration")
_SUMMARY_MUST = ("Site", "Month", "Year", "WallDuration", "CpuDuration", "NumberOfJobs")
_SUMMARY_MAY = (
    "GlobalUserName",
    "VO",
    "VOGroup",
    "VORole",
    "SubmitHost",
    "EarliestEndTime",
    "LatestEndTime",
    "UpdateTime",
)
_SUMMARY_NUMBERS = ("Month", "Year", "NodeCount", "Processors", "WallDuration", "CpuDuration", "NumberOfJobs")
_ENDS = ("EarliestEndTime", "LatestEndTime")
_COUNTS = ("NodeCount", "Processors")
_OF_INT = dict.fromkeys(("Month", "Year", *_COUNTS), _INT)
_SUMMARY = _Kind(
    _SUMMARY_MUST, (*_SUMMARY_MAY, "InfrastructureType", "InfrastructureDescription", "ServiceLevelType", "ServiceLevel"), _COUNTS,
    numbers=_SUMMARY_NUMBERS, times=_ENDS, most=_OF_INT,
    checks=(_month_holds_its_times, _durations_are_no_less_than_0, _level_is_a_benchmark),
)  # fmt: skip
_SUMMARY_BY_LIST = _Kind(
    _SUMMARY_MUST, _SUMMARY.may, _COUNTS, ("ServiceLevel",), _SUMMARY_NUMBERS, _ENDS, _OF_INT,
    checks=(_month_holds_its_times, _durations_are_no_less_than_0, _level_is_a_list),
)  # fmt: skip
_NORMALISED = _Kind(
    (*_SUMMARY_MUST, *_NORMALISED_KEYS), (*_SUMMARY_MAY, "Infrastructure", "ServiceLevelType"), _COUNTS,
    numbers=(*_SUMMARY_NUMBERS, *_NORMALISED_KEYS), times=_ENDS, most=_OF_INT,
    checks=(_month_holds_its_times, _durations_are_no_less_than_0, _normalised_are_no_less_than_0),
)  # fmt: skip
_NORMALISED_BY_LIST = _Kind(
    _NORMALISED.must, _NORMALISED.may, _COUNTS, _NORMALISED_KEYS, _SUMMARY_NUMBERS, _ENDS, _OF_INT,
    checks=(_month_holds_its_times, _durations_are_no_less_than_0, _normalised_by_one_benchmark),
)  # fmt: skip
_JOB_MAY = (
    "SubmitHost", "MachineName", "Queue", "LocalUserId", "GlobalUserName", "FQAN", "VO", "VOGroup", "VORole", "Processors", "NodeCount",
    "InfrastructureDescription", "InfrastructureType", "MemoryReal", "MemoryVirtual", "ServiceLevelType", "ServiceLevel", "SubmitHostType", "UpdateTime",
)  # fmt: skip
_JOB_NUMBERS = ("WallDuration", "CpuDuration", "Processors", "NodeCount", "MemoryReal", "MemoryVirtual")
_JOB = _Kind(
    ("Site", "LocalJobId", "WallDuration", "CpuDuration", "StartTime", "EndTime"), _JOB_MAY,
    numbers=_JOB_NUMBERS, times=("StartTime", "EndTime"), most=dict.fromkeys(_JOB_NUMBERS, _INT),
    checks=(_job_has_its_time, _level_is_a_benchmark, _durations_are_no_less_than_0),
)  # fmt: skip
_JOB_BY_LIST = _Kind(
    _JOB.must, _JOB_MAY, (), ("ServiceLevel",), _JOB_NUMBERS, _JOB.times, _JOB.most,
    checks=(_job_has_its_time, _level_is_a_list, _durations_are_no_less_than_0),
)  # fmt: skip
_SYNC = _Kind(("Site", "NumberOfJobs", "Month", "Year"), ("SubmitHost", "UpdateTime"), numbers=("NumberOfJobs", "Month", "Year"), most={"Month": _INT, "Year": _INT})  # fmt: skip
_KINDS = {
    "APEL-individual-job-message: v0.4": _JOB_BY_LIST,
    "APEL-summary-job-message: v0.2": _SUMMARY,
    "APEL-summary-job-message: v0.3": _NORMALISED,
    "APEL-summary-job-message: v0.4": _SUMMARY_BY_LIST,
    "APEL-normalised-summary-message: v0.4": _NORMALISED_BY_LIST,
}
# Of these the server looks at no version. A sync message's month is not checked, either.
_ANY_VERSION: dict[str, _Kind | None] = {
    "APEL-individual-job-message": _JOB,
    "APEL-sync-message": _SYNC,
    "APEL-cloud-message": None,
    "APEL-cloud-summary-message": None,
}

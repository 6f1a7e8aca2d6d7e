"""A correction as its file says it: who asks for it and why, which records it fits, and the one thing it does."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from gridkeeper.summaries.corrections.conditions import condition, read_match

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_OF_A_RATIO = 1_000_000
MOST_PROCESSORS = 2**31 - 1
MOST_A_DAY = 10**15
ACTS = ("exclude", "set", "scale", "add")  # in this order they are done, wherever they stand in the files
# What a rule may set → the column of a record that a map of old values is compared with.
SETTABLE = {
    "vo": "vo_reported",
    "project": "project_reported",
    "resource": "resource",
    "grid": "grid_reported",
    "processors": "processors",
}
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Days(_Strict):
    """The days of a correction, [first, until): of records the days they ended on."""

    first: date
    until: date

    @model_validator(mode="before")
    @classmethod
    def _from_last(cls, said: Any) -> Any:
        if isinstance(said, str) and (month := _MONTH.fullmatch(said)):
            first = date(int(month[1]), int(month[2]), 1)
            return {"first": first, "until": date(first.year + first.month // 12, first.month % 12 + 1, 1)}
        if not isinstance(said, dict):
            raise ValueError(
                f"{said!r} are no days; write a month, as 2017-01, or first: and last: (or until:)"
            )
        if "last" in said:
            if "until" in said:
                raise ValueError("both last and until are given; write one of them")
            last = said["last"]
            last = date.fromisoformat(last) if isinstance(last, str) else last
            if isinstance(last, date):
                rest = {key: value for key, value in said.items() if key != "last"}
                return rest | {"until": last + timedelta(days=1)}
        return said

    @model_validator(mode="after")
    def _has_days(self) -> Days:
        if self.until <= self.first:
            raise ValueError(
                f"it ends before it begins: first {self.first}, until {self.until} (that day excluded)"
            )
        return self

    def meets(self, first: date | None, until: date | None) -> bool:
        """Whether it has a day in common with [first, until); None: without that bound."""
        return (until is None or self.first < until) and (first is None or first < self.until)

    def dates(self) -> list[date]:
        """Every day."""
        return [self.first + timedelta(days=day) for day in range((self.until - self.first).days)]

    def __str__(self) -> str:
        """`2017-01-01 to 2017-01-31`, both included."""
        return f"{self.first} to {self.until - timedelta(days=1)}"


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Processors = Annotated[int, Field(strict=True, ge=1, le=MOST_PROCESSORS)]
Amount = Annotated[int, Field(strict=True, ge=0, le=MOST_A_DAY)]


class Setting(_Strict):
    """What a column is set to: a value, or by a map from what the record said to what counts; of one column alone."""

    vo: Name | dict[Name, Name] | None = None
    project: Name | dict[Name, Name] | None = None
    resource: Name | dict[Name, Name] | None = None
    grid: Name | dict[Name, Name] | None = None
    processors: Processors | dict[int, Processors] | None = None

    @model_validator(mode="after")
    def _sets_one(self) -> Setting:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                f"one correction sets one column of {', '.join(SETTABLE)}; write another correction for another"
            )
        if self.value is None or self.value == {}:
            raise ValueError(f"{self.column} is set to nothing; write a value, or a map of old to new values")
        if isinstance(self.value, dict):
            old = [str(key).lower() for key in self.value]
            if twice := [key for key in old if old.count(key) > 1]:
                raise ValueError(
                    f"{self.column} maps {twice[0]!r} twice (names are compared without case); leave one of them out"
                )
        return self

    @property
    def column(self) -> str:
        """Which column."""
        return next(iter(self.model_fields_set))

    @property
    def value(self) -> Any:
        """What to: a value, or a map."""
        return getattr(self, self.column)


def _ratio(said: Any) -> Fraction:
    try:
        ratio = said if isinstance(said, Fraction) else Fraction(str(said).replace(" ", ""))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{said!r} is no ratio; write a number or a fraction, as 0.5 or 7/8") from None
    if not ratio > 0 or max(ratio.numerator, ratio.denominator) > MOST_OF_A_RATIO:
        raise ValueError(
            f"{said!r} is not between 1/{MOST_OF_A_RATIO:,} and {MOST_OF_A_RATIO:,}; `exclude` leaves records out"
        )
    return ratio


Ratio = Annotated[Fraction, BeforeValidator(_ratio), PlainSerializer(str)]


class Scaling(_Strict):
    """An exact ratio by which a measure of each record is multiplied, rounded half up to whole seconds (CPU: microseconds)."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    wall: Ratio | None = None
    cpu: Ratio | None = None

    @model_validator(mode="after")
    def _scales_one(self) -> Scaling:
        if len([name for name in ("wall", "cpu") if getattr(self, name) is not None]) != 1:
            raise ValueError(
                "one correction scales one measure, wall or cpu; write another correction for the other"
            )
        return self

    @property
    def measure(self) -> str:
        """Which measure."""
        return "wall" if self.wall is not None else "cpu"

    @property
    def ratio(self) -> Fraction:
        """By how much."""
        found = self.wall if self.wall is not None else self.cpu
        if found is None:
            raise TypeError("a scaling without a ratio passed its own check")
        return found


class PerDay(_Strict):
    """What is added on each day."""

    jobs: Amount = 0
    wall_seconds: Amount = 0
    core_seconds: Amount = 0

    @model_validator(mode="after")
    def _adds_something(self) -> PerDay:
        if not (self.jobs or self.wall_seconds or self.core_seconds):
            raise ValueError("nothing is added; write jobs, wall_seconds or core_seconds of each day")
        return self


class Estimate(_Strict):
    """Usage that no record tells of: so much on each day of the period, always told apart as estimated."""

    vo: Name
    resource: Name
    level: Literal["batch", "payload"]
    per_day: PerDay


class Rule(_Strict):
    """One correction."""

    id: str
    reason: Annotated[str, Field(min_length=1)]
    author: Annotated[str, Field(min_length=1)]
    ticket: Annotated[str, Field(min_length=1)]
    period: Days
    match: dict[str, Any] = {}
    set: Setting | None = None
    scale: Scaling | None = None
    exclude: Literal[True] | None = None
    add: Estimate | None = None

    @field_validator("id")
    @classmethod
    def _is_a_name(cls, said: str) -> str:
        if not _ID.fullmatch(said):
            raise ValueError(
                f"{said!r} is no id; write small letters, digits, dots and dashes, as nebraska-cores-2017-01"
            )
        return said

    @field_validator("match", mode="before")
    @classmethod
    def _can_be_matched(cls, said: Any) -> Any:
        return read_match(said) if isinstance(said, dict) else said

    @model_validator(mode="after")
    def _does_one_thing(self) -> Rule:
        acts = [act for act in ACTS if getattr(self, act) is not None]
        if len(acts) != 1:
            told = " and ".join(acts) if acts else "nothing"
            raise ValueError(f"it does {told}; a correction has exactly one act of {', '.join(ACTS)}")
        if self.add is not None and self.match:
            raise ValueError(
                "an estimate matches no records; leave out match, add says VO, resource and level"
            )
        if self.add is None and not self.match:
            raise ValueError(
                "match is missing or empty; say which records it fits, as match: {resource: Red}"
            )
        return self

    @property
    def act(self) -> str:
        """Which of ACTS it does."""
        return next(act for act in ACTS if getattr(self, act) is not None)

    @property
    def changes(self) -> str:
        """What of a record it changes, for finding rules that meet: a column, a measure, or `record` as a whole."""
        if self.set is not None:
            return self.set.column
        return self.scale.measure if self.scale is not None else "record" if self.exclude else "nothing"

    def condition(self) -> str:
        """The SQL of the records that it fits; NULL where a record does not say."""
        tests = [
            f"end_day >= DATE '{self.period.first}'",
            f"end_day < DATE '{self.period.until}'",
            condition(self.match),
        ]
        if self.set is not None and isinstance(self.set.value, dict):
            tests.append(condition({SETTABLE[self.set.column]: list(self.set.value)}))
        return " AND ".join(tests)

    @property
    def content(self) -> str:
        """All it says, the same text whichever way its file is laid out."""
        said = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return json.dumps(said, sort_keys=True, ensure_ascii=False)

    @property
    def content_hash(self) -> str:
        """What names its content: SHA-256 in hexadecimal digits."""
        return hashlib.sha256(self.content.encode()).hexdigest()


def revision_of(rules: Iterable[Rule]) -> int:
    """A number that names a set of rules in their order (63 bits of its hash); 0 for none."""
    told = "\n".join(rule.content_hash for rule in rules)
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big") >> 1 if told else 0

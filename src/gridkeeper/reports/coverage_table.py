"""A report's table of coverage: a line for each site or month, with what its sources left out and what in it is estimated."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gridkeeper.reports import coverage_sentences as say
from gridkeeper.reports.production_sentences import counted
from gridkeeper.reports.wording import UNKNOWN, percent, whole
from gridkeeper.units import hours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.monitoring.coverage import Coverage, Covered, SourceDays
    from gridkeeper.queries.influence import Estimated

HEADS = (
    "Coverage", "Sources reported", "Source-days with records", "Source-days in downtime", "Sources too new", "Estimated core hours",
)  # fmt: skip


_FROM = "monitoring.coverage.coverages, table usage_daily_end; days of sources at count level batch"
# Of a spreadsheet; see Line.columns.
COLUMNS = (*say.COLUMNS, "estimated_core_hours")


@dataclass(frozen=True)
class Line:
    """How well one number of a report is covered.

    coverage, covered: of the number's period, and of the number; None where nothing can be told of it.
    estimated: core hours in it that corrections estimate, and no record tells of.
    uncovered: its sources with days missing, most first.
    """

    name: str
    coverage: Coverage | None
    covered: Covered | None
    estimated: float = 0.0
    uncovered: tuple[SourceDays, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether anything was expected, or any source is known."""
        one = self.covered
        return one is not None and bool(one.expected_days or one.announced_days or one.unknown)

    @property
    def is_low(self) -> bool:
        """Whether the number is to be marked."""
        return self.coverage is not None and self.covered is not None and self.coverage.is_low(self.covered)

    @property
    def mark(self) -> str:
        """What stands beside its name."""
        return say.MARK if self.is_low else ""

    @property
    def cells(self) -> tuple[str, ...]:
        """What people read below HEADS; a dash where nothing is known."""
        coverage, one, estimated = self.coverage, self.covered, whole(self.estimated)
        if coverage is None or one is None or not self.is_known:
            return (*(UNKNOWN,) * (len(HEADS) - 1), estimated)
        days = f"{one.present_days:,} of {one.expected_days:,}" if one.expected_days else UNKNOWN
        return (
            say.share_of(coverage, one), say.reported_of(one), days, whole(one.announced_days), whole(one.unknown), estimated,
        )  # fmt: skip

    @property
    def missed(self) -> str:
        """Which sources left out how many days; nothing where none did."""
        return say.all_missed(self.uncovered)

    @property
    def why(self) -> str:
        """Why it is marked; nothing where it is not."""
        one, coverage = self.covered, self.coverage
        if one is None or coverage is None or not self.is_low:
            return ""
        text = (
            f"{say.MARK} {self.name}: {whole(one.present_days)} of {counted(one.expected_days, 'expected source-day has', 'expected source-days have')} "
            f"records ({percent(one.share)}), less than {percent(coverage.floor)}"
        )
        return f"{text}; not covered: {self.missed}" if self.uncovered else text

    def as_json(self) -> dict[str, Any]:
        """For machines: `coverage`, null where nothing can be told, and the estimated core hours."""
        told = None
        if self.coverage is not None and self.covered is not None:
            told = say.covered_said(self.coverage, self.covered)
        return {"coverage": told, "estimated_core_hours": self.estimated}

    def columns(self) -> dict[str, Any]:
        """For spreadsheets; None where nothing is known."""
        told = (*say.columns_of(self.coverage, self.covered).values(), self.estimated)
        return dict(zip(COLUMNS, told, strict=True))


@dataclass(frozen=True)
class Table:
    """The lines. of: what each is of (`Site`, `Month`). foot: those below them, as of all together."""

    of: str
    lines: tuple[Line, ...]
    foot: tuple[Line, ...] = ()

    @property
    def heads(self) -> tuple[str, ...]:
        """What stands above its columns."""
        return (self.of, *HEADS)

    @property
    def all(self) -> tuple[Line, ...]:
        """Every line in its order."""
        return (*self.lines, *self.foot)

    @property
    def is_told(self) -> bool:
        """Whether there is anything to show."""
        return any(line.is_known for line in self.all)

    @cached_property
    def low(self) -> tuple[Line, ...]:
        """The marked lines."""
        return tuple(line for line in self.all if line.is_low)

    @cached_property
    def _by_name(self) -> dict[str, Line]:
        return {line.name: line for line in (*self.foot, *self.lines)}

    def about(self, coverage: Coverage | None, marked: str) -> dict[str, str]:
        """What a reader must know of all together: keyword → sentence. marked: what its lines are of, as `a site`."""
        told = say.about(coverage, marked, any_low=any(line.is_low for line in self.lines))
        return told if coverage is None else {**told, "Coverage from": _FROM}

    def mark(self, name: str) -> str:
        """What stands beside a name in the report's own table."""
        line = self._by_name.get(name)
        return line.mark if line is not None else ""

    def why(self, name: str) -> str:
        """Why it does."""
        line = self._by_name.get(name)
        return line.why if line is not None else ""


def sites_of(
    coverage: Coverage | None, sites: Iterable[str], no_site: str, estimated: Iterable[Estimated] = ()
) -> tuple[Line, ...]:
    """A line for each of some sites, then for those of which sources are known beside them. no_site: what stands for none."""
    named = tuple(sites)
    seconds: defaultdict[str, int] = defaultdict(int)
    for one in estimated:
        seconds[one.site or no_site] += one.core_seconds
    if coverage is None:
        return tuple(Line(name, None, None, hours(seconds[name]) or 0.0) for name in named)
    by_site = {site or no_site: covered for site, covered in coverage.by_site.items()}
    left_out: defaultdict[str, list[SourceDays]] = defaultdict(list)
    for source in coverage.uncovered:
        left_out[source.site or no_site].append(source)
    others = sorted(
        (name for name in by_site if name not in named), key=lambda name: (name == no_site, name.lower())
    )
    return tuple(
        Line(name, coverage, by_site.get(name), hours(seconds[name]) or 0.0, tuple(left_out[name]))
        for name in (*named, *others)
    )


def all_of(name: str, coverage: Coverage | None, estimated: Iterable[Estimated] = ()) -> Line:
    """The line of all together."""
    if coverage is None:
        return Line(name, None, None, core_hours_of(estimated))
    return Line(name, coverage, coverage.total, core_hours_of(estimated), coverage.uncovered)


def core_hours_of(estimated: Iterable[Estimated]) -> float:
    """Core hours: whole seconds added up, divided once."""
    return hours(sum(one.core_seconds for one in estimated)) or 0.0

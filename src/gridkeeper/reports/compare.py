"""`compare`: two books of the same days side by side; what agrees, what does not, and what is missing where."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.queries import compare as query
from gridkeeper.queries.compare import MEASURES
from gridkeeper.reports.pages import page
from gridkeeper.reports.wording import CORE_HOURS, footnotes, invented, rough, trace_of, whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gridkeeper.queries.compare import Agreement, Amount, Compared, Comparison, Pair, Side
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.reports.contract import Request, Trace
    from gridkeeper.summaries.books import Books

DEFAULT_TOLERANCE = 0.01
UNIT = "jobs; wall, core, CPU and normalised CPU hours = seconds ÷ 3600, added up whole, divided once"
_TEMPLATES = {"markdown": "compare.md", "html": "compare.html"}
MOST_NAMED_SITES = 3


@dataclass(frozen=True)
class Content:
    """All that the report says.

    story: sentences. about: keyword → sentence on what the numbers are.
    """

    title: str
    invented: str | None
    comparison: Comparison
    story: tuple[str, ...]
    traces: Mapping[str, Trace]
    about: Mapping[str, str]
    as_of: datetime
    measures: tuple[Compared, ...] = MEASURES

    @property
    def tolerance(self) -> str:
        """`1 %`."""
        return _tolerance(self.comparison)

    @property
    def shown(self) -> tuple[Compared, ...]:
        """The measures that at least one of the two books knows."""
        found = self.comparison
        return tuple(
            measure
            for measure in self.measures
            if any(getattr(side.total, measure.field) is not None for side in (found.left, found.right))
        )

    @property
    def disagreements(self) -> tuple[tuple[Pair, Compared], ...]:
        """Pair and measure where the two differ by more than the tolerance, most core hours first."""
        return tuple(
            (pair, measure)
            for pair in self.comparison.common
            for measure in self.measures
            if measure.field in self.comparison.disagrees(pair)
        )

    def figure(self, amount: Amount | None, measure: Compared) -> str:
        """One measure of one side as people read it."""
        return whole(in_unit(amount, measure))

    def digits(self, measure: Compared) -> int:
        """How long the longest figure of a measure is among the pairs that both hold."""
        sides = (side for pair in self.comparison.common for side in (pair.left, pair.right))
        return max((len(self.figure(side, measure)) for side in sides), default=0)

    def total_ratio(self, measure: Compared) -> float | None:
        """Left ÷ right over all sites and VOs; None where the right is 0 or one is not known."""
        left, right = (
            in_unit(self.comparison.left.total, measure),
            in_unit(self.comparison.right.total, measure),
        )
        return left / right if left is not None and right else None


class CompareReport:
    """Two books side by side."""

    name = "compare"
    describes = "Two books of the same days side by side: what agrees, what does not, what is missing where"
    formats: tuple[str, ...] = ("markdown", "csv", "json", "html")

    def make(self, books: Books, request: Request) -> Content:
        """Put the jobs of one home beside the sums that others reported to it. Raises: LakeUnavailable (retryable)."""
        return self.make_of(
            ("jobs", books, "jobs"),
            ("reported", books, "reported"),
            request.period,
            DEFAULT_TOLERANCE,
            request.as_of,
        )

    def make_of(
        self,
        left: tuple[str, Books, UsageSource],
        right: tuple[str, Books, UsageSource],
        period: Period | None,
        tolerance: float,
        as_of: datetime,
    ) -> Content:
        """Put any two books side by side: (name, books, source) each; all days where `period` is None.

        Raises: LakeUnavailable (retryable).
        """
        found = query.compare(left, right, period, tolerance)
        traces = {name: _trace(side) for name, side in (("left", found.left), ("right", found.right))}
        days = f", {period.name}" if period else ""
        return Content(
            title=f"{found.left.name} beside {found.right.name}{days}",
            invented=invented(left[1].registry) or invented(right[1].registry),
            comparison=found,
            story=tuple(_sentences(found)),
            traces=traces,
            about=_about(found, traces),
            as_of=as_of,
        )

    def render(self, content: Any, shape: str) -> bytes:
        """Write it in one of its formats."""
        if shape == "json":
            return _json(content)
        if shape == "csv":
            return _csv(content)
        return page(_TEMPLATES[shape], content=content)


REPORT = CompareReport()


def in_unit(amount: Amount | None, measure: Compared) -> float | int | None:
    """One measure of one side in its unit, divided once (jobs stay whole); None where it is not known."""
    value: int | None = getattr(amount, measure.field) if amount is not None else None
    return value if value is None or measure.divisor == 1 else value / measure.divisor


def _trace(side: Side) -> Trace:
    return trace_of(
        "queries.compare.compare", side.table, UNIT, side.scope, side.grids, side.versions, side.influence
    )


def _sentences(found: Comparison) -> list[str]:
    limit = _tolerance(found)
    pairs = len(found.common)
    told = [f"Both hold {pairs} {'pair' if pairs == 1 else 'pairs'} of site and VO."]
    parts = [_within(agreement) for agreement in found.agreements if agreement.compared]
    if parts:
        told.append(f"Within {limit} of each other are {', '.join(parts)}.")
    unknown = [agreement.measure.unit for agreement in found.agreements if not agreement.compared]
    if pairs and unknown:
        told.append(f"Not compared, because not both of them know any: {', '.join(unknown)}.")
    told += [
        _missing(side.name, other.name, missing)
        for side, other, missing in (
            (found.left, found.right, found.left_only),
            (found.right, found.left, found.right_only),
        )
        if missing
    ]
    totals = [in_unit(side.total, MEASURES[2]) for side in (found.left, found.right)]
    if totals[0] is not None and totals[1] is not None:
        ratio = f", {totals[0] / totals[1]:.4f} times as many" if totals[1] else ""
        told.append(
            f"All together {rough(totals[0])} {CORE_HOURS} in {found.left.name} and {rough(totals[1])} in {found.right.name}{ratio}."
        )
    return told


def _tolerance(found: Comparison) -> str:
    return f"{found.tolerance * 100:g} %"


def _within(agreement: Agreement) -> str:
    return f"{agreement.within} of {agreement.compared} in {agreement.measure.unit}"


def _missing(there: str, other: str, missing: tuple[Pair, ...]) -> str:
    named = ", ".join(
        f"{pair.site}/{pair.vo} ({rough(pair.weight / 3600)})" for pair in missing[:MOST_NAMED_SITES]
    )
    more = f" and {len(missing) - MOST_NAMED_SITES} more" if len(missing) > MOST_NAMED_SITES else ""
    return f"Only in {there}, missing in {other}: {len(missing)}, by {CORE_HOURS} {named}{more}."


def _about(found: Comparison, traces: Mapping[str, Trace]) -> dict[str, str]:
    period = found.period
    about = {
        "Period": f"{period.name}: {period.first} to {period.last}, whole UTC days, the last one included"
        if period
        else "all days of both",
        "Within": f"two figures agree when they differ by at most {_tolerance(found)} of the larger one; two zeros agree; what one side does not know is not compared",
        "Names": "sites and VOs as each home maps them, the same when they differ in capitals alone",
        "Ratio": "left ÷ right; a dash where the right one is 0 or one is not known",
        "CPU hours": "of records whose CPU time was measured; normalised: CPU time times benchmark as its sender made it",
    }
    notes = {
        side: footnotes(traces[side], scope)
        for side, scope in (("left", found.left.scope), ("right", found.right.scope))
    }
    for key, sentence in notes["left"].items():
        other = notes["right"][key]
        about |= {key: sentence} if sentence == other else {f"{key}, left": sentence, f"{key}, right": other}
    return about


def _csv(content: Content) -> bytes:
    """One line per site and VO, unrounded; nothing where not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{measure.name}_{part}" for measure in content.measures for part in ("left", "right", "ratio")]
    writer.writerow(["site", "vo", "in", *heads, "disagrees_in"])
    found = content.comparison
    for pair in (*found.common, *found.left_only, *found.right_only):
        values = [
            value
            for measure in content.measures
            for value in (
                in_unit(pair.left, measure),
                in_unit(pair.right, measure),
                pair.ratio(measure.field),
            )
        ]
        where = "left" if pair.right is None else "right" if pair.left is None else "both"
        wrong = ";".join(
            measure.name for measure in content.measures if measure.field in found.disagrees(pair)
        )
        writer.writerow(
            [pair.site, pair.vo, where, *("" if value is None else value for value in values), wrong]
        )
    return text.getvalue().encode()


def _json(content: Content) -> bytes:
    found = content.comparison
    period = found.period

    def said(pair: Pair) -> dict[str, Any]:
        sides = {
            measure.name: {
                "left": in_unit(pair.left, measure),
                "right": in_unit(pair.right, measure),
                "ratio": pair.ratio(measure.field),
                "agrees": query.within(*pair.values(measure.field), found.tolerance),
            }
            for measure in content.measures
        }
        return {"site": pair.site, "vo": pair.vo, **sides}

    return orjson.dumps(
        {
            "report": CompareReport.name,
            "title": content.title,
            "invented": content.invented is not None,
            "as_of": content.as_of,
            "period": {"name": period.name, "first": period.first, "until": period.until} if period else None,
            "tolerance": found.tolerance,
            "units": {measure.name: measure.unit for measure in content.measures},
            "left": _side(found.left),
            "right": _side(found.right),
            "agrees": found.agrees,
            "sentences": content.story,
            "common_pairs": len(found.common),
            "agreements": {
                agreement.measure.name: {"compared": agreement.compared, "within": agreement.within}
                for agreement in found.agreements
            },
            "pairs": [said(pair) for pair in found.common],
            "left_only": [said(pair) for pair in found.left_only],
            "right_only": [said(pair) for pair in found.right_only],
            "traces": {name: asdict(trace) for name, trace in content.traces.items()},
            "about": content.about,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "source": side.scope.source,
        "total": {measure.name: in_unit(side.total, measure) for measure in MEASURES},
    }

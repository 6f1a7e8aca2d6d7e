"""Says on standard error why an answer is empty or lacks something: values nobody has, days without records, usage of no grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.cli.output import complaints
from gridkeeper.queries.grids import nameless
from gridkeeper.queries.known import days_known, unknown_values
from gridkeeper.queries.usage import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.queries.grids import LeftOut
    from gridkeeper.queries.known import Unknown
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import Usage, UsageSource
    from gridkeeper.summaries.books import Books

MOST_NAMES = 5
REMEDY = (
    "a rule of the mapping in federation.yaml with `grid:` says whose it is (docs/federation.md); "
    "`gridkeeper usage --grid any` counts it"
)


def say_why(books: Books, answer: Usage, others: Sequence[LeftOut]) -> None:
    """Say which values of a question no record has, and what an empty answer is due to.

    others: what the grid filter left out; usage of which nothing says the grid is told whether the answer is empty or not.
    """
    scope = answer.scope
    sentences = [_unknown(one) for one in unknown_values(books, scope, answer.table)]
    nobodys = [one for one in others if one.grid is None]
    if nobodys:
        sentences.append(f"{amount(nobodys[0], answer)} are left out: {no_grid(nobodys[0])}; {REMEDY}")
    if not answer.rows and not sentences:
        sentences.append(_why_empty(books, answer, others))
    for sentence in sentences:
        _say(sentence)


def _say(sentence: str) -> None:
    complaints.print(sentence, style="yellow", highlight=False, markup=False, soft_wrap=True)


def amount(one: LeftOut, answer: Usage) -> str:
    """`1,234 core hours`, or transfers where the answer is of them."""
    if answer.table == "transfers_daily":
        return f"{one.amount:,} transfers"
    return core_hours(one.amount)


def core_hours(seconds: int) -> str:
    """`1,234 core hours`; tenths below 100, and `<0.1` where there are fewer."""
    hours = seconds / 3600
    return f"{'<0.1' if 0 < hours < 0.05 else f'{hours:,.1f}' if hours < 100 else f'{hours:,.0f}'} core hours"


def no_grid(one: LeftOut) -> str:
    """Whose records name no grid: `records at R1, R2 and 3 more name no grid, and these resources are registered`."""
    more = len(one.resources) - MOST_NAMES
    names = ", ".join(one.resources[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
    return f"the registry has {names}, and nothing says which grid ran it there"


def of_no_grid(books: Books) -> str | None:
    """What all reports leave out because nothing says which grid ran it, with the remedy; None where there is no such usage."""
    found = nameless(books, Scope())
    return f"{core_hours(found.amount)} are in no report: {no_grid(found)}; {REMEDY}" if found else None


def _unknown(one: Unknown) -> str:
    kind = one.dimension.replace("_", " ")
    known = (
        f"there are {', '.join(one.nearest)}" if one.nearest
        else "nothing there is like it" if one.any_known
        else f"no record names a {kind} at all"
    )  # fmt: skip
    return f"no record has the {kind} {one.value!r}; {known}"


def _why_empty(books: Books, answer: Usage, others: Sequence[LeftOut]) -> str:
    scope = answer.scope
    if others:
        told = ", ".join(f"{one.grid} with {amount(one, answer)}" for one in others)
        return f"nothing of the federation's grid is here, only usage of other grids: {told}; --grid any counts it"
    if missing := nothing_of(books, scope.period, scope.source, answer.table):
        return missing
    return "no record fits all of this at once"


def nothing_of(
    books: Books, period: Period | None, source: UsageSource = "jobs", table: str | None = None
) -> str | None:
    """Why there are no records of a period, and of which days there are some; None where there are."""
    known = days_known(books, source, table=table)
    if known is None:
        kind = (
            "transfers"
            if table == "transfers_daily"
            else "sums that others reported"
            if source == "reported"
            else "records of jobs"
        )
        return f"this home holds no {kind} yet; `gridkeeper load` brings what there is"
    if period is None or days_known(books, source, period, table) is not None:
        return None
    return f"there are no records of {period.name}; there are records of {known.first} to {known.last}"


def say_nothing_of(books: Books, period: Period, source: UsageSource) -> None:
    """Say on standard error where there are no records of a report's period."""
    if sentence := nothing_of(books, period, source):
        _say(sentence)

"""A question about usage as the address bar holds it: read, checked, and written back with one thing changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from gridkeeper.errors import UserMistake
from gridkeeper.queries.answering import DIMENSIONS, table_of
from gridkeeper.queries.measures import MEASURES
from gridkeeper.queries.periods import Period, period_between
from gridkeeper.queries.usage import Scope
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import must_know

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import QueryParams

    from gridkeeper.trust.visitors import Visitor

DEFAULT_BY = ("vo",)
DEFAULT_MEASURES = ("core_hours", "wall_hours", "jobs", "efficiency")
MOST_CONDITIONS = 40
MOST_DIMENSIONS = 6
MOST_ROWS = 10_000  # that may be asked for by `limit`
# What is asked next when a value is clicked.
NEXT = {
    "month": "vo", "week": "vo", "day": "vo", "vo": "site", "experiment": "site", "facility": "site", "site": "resource", "resource": "queue",
    "project": "site", "user": "site", "probe": "resource", "grid": "site", "resource_type": "site", "outcome": "site", "level": "site",
    "processors": "vo", "gpu_model": "site", "queue": "vo", "transfer_protocol": "site", "transfer_is_write": "site",
}  # fmt: skip
_PARAMETERS = frozenset(
    {"by", "measure", "first", "until", "where", "count_level", "grid", "attribution", "source", "sort", "limit", "offset", "format", "theme", "add", "is"}
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked.

    sort:  a dimension or measure, with `-` before it for the greatest first; None: measures' greatest first, times in order.
    limit: so many rows of that order, shown and downloaded; None: all.
    """

    by: tuple[str, ...]
    measures: tuple[str, ...]
    scope: Scope
    sort: str | None = None
    limit: int | None = None

    @property
    def table(self) -> str:
        """The table that answers. Raises: UserMistake (permanent)."""
        return table_of(self.by, self.measures, self.scope)

    @property
    def order(self) -> str:
        """What it is sorted by, spelt out."""
        if self.sort is not None:
            return self.sort
        times = [name for name in self.by if name in ("day", "week", "month")]
        return times[0] if times else f"-{self.measures[0]}"

    def pairs(self, **changes: Any) -> list[tuple[str, str]]:
        """The question as pairs for an address, `by`, `measures`, `where`, `sort`, `limit` changed where they are given."""
        by, measures = changes.get("by", self.by), changes.get("measures", self.measures)
        where, sort = changes.get("where", self.scope.where), changes.get("sort", self.sort)
        period = self.scope.period
        pairs = [("by", ",".join(by)), ("measure", ",".join(measures))]
        if period is not None:
            pairs += [("first", period.first.isoformat()), ("until", period.until.isoformat())]
        pairs += [("where", f"{name}={value}") for name, value in where]
        for name in ("count_level", "grid"):
            if (value := getattr(self.scope, name)) is not None:
                pairs.append((name, value))
        pairs += [("attribution", "overlap")] if self.scope.attribution == "overlap" else []
        pairs += [("source", "reported")] if self.scope.source == "reported" else []
        limit = changes.get("limit", self.limit)
        return [*pairs, *([("sort", sort)] if sort else []), *([("limit", str(limit))] if limit else [])]

    def query(self, **changes: Any) -> str:
        """The same as `?by=...`."""
        return "?" + urlencode(self.pairs(**changes), safe=",=:")

    def inside(self, dimension: str, value: object) -> str:
        """The question for one value of a dimension: its page of the drill-down."""
        where = (*self.scope.where, (dimension, "" if value is None else str(value)))
        named = {name for name, _ in where}
        by = tuple(name for name in self.by if name != dimension) or (NEXT.get(dimension, "site"),)
        if by[0] in named:
            by = (next((name for name in ("site", "vo", "resource", "month") if name not in named), "day"),)
        sort = self.sort if self.sort and self.sort.lstrip("-") in (*by, *self.measures) else None
        return self.query(where=where, by=by, sort=sort, limit=None)

    def without(self, condition: tuple[str, str]) -> str:
        """The question without one of its conditions."""
        return self.query(where=tuple(one for one in self.scope.where if one != condition))

    def sorted_by(self, name: str) -> str:
        """The question sorted by a column; by the other way round where it is already."""
        turned = f"-{name}" if self.order != f"-{name}" else name
        return self.query(sort=turned)


def question_of(asked: QueryParams, default: Period) -> Question:
    """Read a question. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, sorted(_PARAMETERS))
    where = [_condition(text) for text in asked.getlist("where") if text]
    if asked.get("add"):
        where.append(_condition(f"{asked['add']}={asked.get('is', '')}"))
    if len(where) > MOST_CONDITIONS:
        raise Answered(400, f"where: {len(where)} conditions, where {MOST_CONDITIONS} are the most")
    try:
        period = period_between(asked.get("first") or None, asked.get("until") or None) or default
    except UserMistake as error:
        raise Answered(400, str(error)) from None
    scope = Scope(
        period,
        _one_of(asked, "count_level", (None, "batch", "payload", "all-records")),
        asked.get("grid") or None,
        _one_of(asked, "attribution", ("end", "overlap")),
        _one_of(asked, "source", ("jobs", "reported")),
        tuple(dict.fromkeys(where)),
    )
    by = _names(asked, "by", DIMENSIONS) if "by" in asked else DEFAULT_BY
    if len(by) > MOST_DIMENSIONS:
        raise Answered(400, f"by: {len(by)} dimensions, where {MOST_DIMENSIONS} are the most")
    measures = _names(asked, "measure", tuple(MEASURES)) or DEFAULT_MEASURES
    found = Question(by, measures, scope, asked.get("sort") or None, _limit(asked.get("limit")))
    if found.sort and found.sort.lstrip("-") not in (*by, *measures):
        found = replace(found, sort=None)
    try:
        _ = found.table
    except UserMistake as error:
        raise Answered(400, str(error).replace("--", "")) from None
    return found


def may_ask(visitor: Visitor, question: Question) -> bool:
    """Whether a visitor may see the answer: of users only operators, the VO's contact, and the user himself."""
    where: dict[str, set[str]] = {}
    for name, value in question.scope.where:
        where.setdefault(name, set()).add(value)
    if "user" not in question.by and "user" not in where:
        return True
    vos = frozenset(where.get("vo", ())) - {""}
    users = where.get("user", set())
    return visitor.sees_user("", vos) or (bool(users) and all(visitor.sees_user(user, vos) for user in users))


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in DIMENSIONS:
        raise Answered(
            400,
            f"where: {text[:80]!r} is no condition; write it as vo=cms; dimensions are: {', '.join(DIMENSIONS)}",
        )
    return name, value


def _limit(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST_ROWS):
        raise Answered(
            400, f"limit: {text[:32]!r} is no number of rows; write a whole number from 1 to {MOST_ROWS:,}"
        )
    return int(text)


def _one_of(asked: QueryParams, name: str, known: Sequence[Any]) -> Any:
    value = asked.get(name) or known[0]
    if value not in known:
        raise Answered(400, f"{name}: {value[:64]!r} is none of {', '.join(one for one in known if one)}")
    return value


def _names(asked: QueryParams, parameter: str, known: Sequence[str]) -> tuple[str, ...]:
    names = [name for text in asked.getlist(parameter) for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise Answered(400, f"{parameter}: there is no {name[:64]!r}; there are: {', '.join(known)}")
    return tuple(dict.fromkeys(names))

"""A data source for Grafana's JSON plug-ins: what can be asked, series, tables, variables, filters and annotations.

Address of the data source: `/api/v1/grafana`. A target names a measure, and may say more in words:
`core_hours by vo where site=Nebraska`. The plug-in's payload may say the same by fields: `by`, `where`, `every`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.errors import UserMistake
from gridkeeper.queries.answering import DIMENSIONS, table_of
from gridkeeper.queries.known import days_known
from gridkeeper.queries.measures import MEASURES
from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web.api.usage import known_names
from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.explorer import answered, in_order
from gridkeeper.web.pages.question import Question, may_ask
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

MOST_TARGETS = 30
MOST_DAYS = 36_600
_TARGET = re.compile(r"\s*(?P<measure>\w+)(?:\s+by\s+(?P<by>[\w,\s]+?))?(?:\s+where\s+(?P<where>.+?))?\s*")
_EVERY = ("day", "week", "month")


class Range(BaseModel):
    """From when until when."""

    model_config = ConfigDict(populate_by_name=True)
    since: AwareDatetime = Field(alias="from")
    to: AwareDatetime


class Target(BaseModel):
    """One question of a panel."""

    model_config = ConfigDict(extra="ignore")
    target: str | None = Field(default=None, max_length=2000, examples=["core_hours by vo"])
    refId: str | None = Field(default=None, max_length=64)  # noqa: N815 (its name on the wire)
    type: str | None = None
    payload: dict[str, Any] | str | None = None
    hide: bool = False


class Filter(BaseModel):
    """A filter that a reader sets by hand."""

    model_config = ConfigDict(extra="ignore")
    key: str = Field(max_length=64)
    operator: str = "="
    value: str = Field(max_length=256)


class Asked(BaseModel):
    """What Grafana posts to `/query`."""

    model_config = ConfigDict(extra="ignore")
    range: Range
    targets: list[Target] = Field(max_length=MOST_TARGETS)
    adhocFilters: list[Filter] = []  # noqa: N815 (its name on the wire)


class Named(BaseModel):
    """What Grafana posts to ask for values."""

    model_config = ConfigDict(extra="ignore")
    key: str | None = Field(default=None, max_length=64)
    target: str | None = Field(default=None, max_length=2000)
    metric: str | None = Field(default=None, max_length=2000)
    name: str | None = Field(default=None, max_length=64)
    payload: dict[str, Any] | str | None = None
    range: Range | None = None


def router(services: Services) -> APIRouter:
    """The addresses that the plug-ins ask."""
    api = APIRouter(prefix="/api/v1/grafana", tags=["grafana"], responses=REFUSALS)

    @api.get("")
    @api.get("/", include_in_schema=False)
    async def there() -> dict[str, str]:
        """Say that the data source works (Grafana's “Save & test”)."""
        return {"state": "alive"}

    @api.post("/search")
    async def search(named: Named | None = None) -> list[str]:
        """What can be asked, as words."""
        return [*MEASURES, *(f"{name} by vo" for name in ("core_hours", "wall_hours", "jobs"))]

    @api.post("/metrics")
    async def metrics(named: Named | None = None) -> list[dict[str, Any]]:
        """What can be asked, with the fields of each question."""
        return [
            {"label": measure.name.replace("_", " "), "value": measure.name, "payloads": _FIELDS}
            for measure in MEASURES.values()
        ]

    @api.post("/metric-payload-options")
    async def options(named: Named) -> list[dict[str, str]]:
        """What a field of a question may say."""
        values = {"by": ["", *_dimensions()], "every": list(_EVERY), "as": ["series", "table"]}.get(
            named.name or "", []
        )
        return [{"label": value or "nothing", "value": value} for value in values]

    @api.post("/query")
    async def query(request: Request, asked: Asked) -> JSONResponse:
        """Answer a panel's questions."""
        visitor = await visitor_of(services, request)
        period = _days(asked.range)
        found: list[dict[str, Any]] = []
        for target in asked.targets:
            if not target.hide and (target.target or target.payload):
                found += await run_in_threadpool(
                    _answer, services, visitor, target, asked.adhocFilters, period
                )
        return JSONResponse(found)

    _values(api, services)
    return api


def _values(api: APIRouter, services: Services) -> None:
    @api.post("/tag-keys")
    async def keys(named: Named | None = None) -> list[dict[str, str]]:
        """By what a reader may filter."""
        return [{"type": "string", "text": name} for name in _dimensions()]

    @api.post("/tag-values")
    async def values(request: Request, named: Named) -> list[dict[str, str]]:
        """The values to filter by."""
        visitor = await visitor_of(services, request)
        names = await run_in_threadpool(known_names, services, named.key or "", visitor.sees_people)
        return [{"text": str(name)} for name in names]

    @api.post("/variable")
    async def variable(request: Request, named: Named) -> list[dict[str, str]]:
        """The values of a dashboard's variable: of the dimension that its query names."""
        visitor = await visitor_of(services, request)
        payload = named.payload if isinstance(named.payload, dict) else {"target": named.payload}
        wanted = str(payload.get("target") or named.target or "vo").strip()
        names = await run_in_threadpool(known_names, services, wanted, visitor.sees_people)
        return [{"__text": str(name), "__value": str(name)} for name in names]

    @api.post("/annotations")
    async def annotations(named: Named) -> list[dict[str, Any]]:
        """Announced downtimes in the range."""
        if named.range is None:
            return []
        return [
            {
                "title": f"{one.resource} down", "text": one.reason, "tags": ["downtime", one.resource],
                "time": _milliseconds(one.begin), "timeEnd": _milliseconds(one.until or named.range.to), "isRegion": True,
            }
            for one in services.registry().downtimes
            if one.begin < named.range.to and (one.until is None or one.until > named.range.since)
        ]  # fmt: skip


_FIELDS = [
    {"label": "By", "name": "by", "type": "multi-select", "placeholder": "vo", "reloadMetric": False},
    {"label": "Where", "name": "where", "type": "input", "placeholder": "site=Nebraska,vo=cms"},
    {"label": "Every", "name": "every", "type": "select", "placeholder": "day"},
    {"label": "As", "name": "as", "type": "select", "placeholder": "series"},
]


def _dimensions() -> list[str]:
    return [name for name in DIMENSIONS if name not in (*_EVERY, "user")]


def _days(asked: Range) -> Period:
    """The UTC days that a range touches. Raises: Answered (400)."""
    first, last = asked.since.astimezone(UTC).date(), asked.to.astimezone(UTC)
    until = last.date() + timedelta(days=0 if last.time() == time() else 1)
    if not 0 < (until - first).days <= MOST_DAYS:
        raise Answered(400, f"range: from {first} to {until} is no period of 1 to {MOST_DAYS:,} days")
    return Period(first, until)


def _answer(
    services: Services, visitor: Visitor, target: Target, filters: list[Filter], period: Period
) -> list[dict[str, Any]]:
    question, is_table, every = _question(target, filters, period)
    if not may_ask(visitor, question):
        raise NotAllowed("who ran what is not shown to this visitor")
    rows = answered(services, question).rows
    if is_table:
        return [_table(question, in_order(question, rows), target)]
    return _series(services, question, rows, every, target)


def _question(target: Target, filters: list[Filter], period: Period) -> tuple[Question, bool, str]:
    """What a target asks. Raises: Answered (400) with a sentence."""
    payload = target.payload if isinstance(target.payload, dict) else {}
    match = _TARGET.fullmatch(target.target or str(payload.get("measure", "")))
    if match is None or match["measure"] not in MEASURES:
        raise Answered(
            400, f"target: {(target.target or '')[:80]!r} is no question; write it as `core_hours by vo where site=Nebraska`; measures are: {', '.join(MEASURES)}"
        )  # fmt: skip
    by = [*_listed(match["by"]), *_listed(payload.get("by"))]
    where = [*_listed(match["where"]), *_listed(payload.get("where"))]
    conditions = [(name.strip(), value.strip()) for name, _, value in (one.partition("=") for one in where)]
    for one in filters:
        if one.operator != "=":
            raise Answered(400, f"filter {one.key} {one.operator[:8]} ...: only = is understood")
        conditions.append((one.key, one.value))
    for name in (*by, *(name for name, _ in conditions)):
        if name not in DIMENSIONS or name in _EVERY:
            raise Answered(
                400, f"target: there is no dimension {name[:64]!r}; there are: {', '.join(_dimensions())}"
            )
    every = str(payload.get("every") or "day")
    if every not in _EVERY:
        raise Answered(400, f"every: {every[:32]!r} is none of {', '.join(_EVERY)}")
    is_table = target.type == "table" or payload.get("as") == "table"
    dimensions = tuple(dict.fromkeys(by if is_table else [every, *by]))
    question = Question(
        dimensions, (match["measure"],), Scope(period, where=tuple(dict.fromkeys(conditions)))
    )
    try:
        table_of(question.by, question.measures, question.scope)
    except UserMistake as error:
        raise Answered(400, str(error).replace("--", "")) from None
    return question, is_table, every


def _listed(value: object) -> list[str]:
    if value is None or value == "":
        return []
    texts = value if isinstance(value, list) else str(value).split(",")
    return [text.strip() for text in map(str, texts) if text.strip()]


def _table(question: Question, rows: list[dict[str, Any]], target: Target) -> dict[str, Any]:
    columns = [{"text": name, "type": "string"} for name in question.by]
    columns += [{"text": name, "type": "number"} for name in question.measures]
    names = (*question.by, *question.measures)
    values = [
        [str(row[name]) if isinstance(row[name], date) else row[name] for name in names] for row in rows
    ]
    return {"type": "table", "refId": target.refId, "columns": columns, "rows": values}


def _series(
    services: Services, question: Question, rows: list[dict[str, Any]], every: str, target: Target
) -> list[dict[str, Any]]:
    """One series a combination of names. Between the first and last day known, a day without usage is 0, if it is a sum."""
    measure = question.measures[0]
    others = [name for name in question.by if name != every]
    found: dict[str, dict[Any, Any]] = {}
    for row in rows:
        label = " · ".join("not known" if row[name] is None else str(row[name]) for name in others) or measure
        found.setdefault(label, {})[row[every]] = row[measure]
    if every == "day" and MEASURES[measure].below is None and question.scope.period is not None:
        known = days_known(services.reading.opened().books, "jobs", question.scope.period)
        empty = {} if known is None else dict.fromkeys(known.dates(), 0)
        found = {label: empty | points for label, points in found.items()}
    return [
        {
            "target": label, "refId": target.refId,
            "datapoints": [[value, _milliseconds(_moment(when))] for when, value in sorted(points.items(), key=lambda point: str(point[0]))],
        }
        for label, points in sorted(found.items())
    ]  # fmt: skip


def _moment(when: date | str) -> datetime:
    day = date.fromisoformat(f"{when}-01") if isinstance(when, str) else when
    return datetime.combine(day, time(), UTC)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

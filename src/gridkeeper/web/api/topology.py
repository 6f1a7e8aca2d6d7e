"""The registry under the addresses that tools of this field read: `/rgsummary/xml`, `/rgdowntime/xml`, `/vosummary/xml` and others.

What they tell is public, and no more than published lists of this layout tell everybody: names and ranks of contacts, no addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.exports.topology import downtimes, organizations
from gridkeeper.exports.topology.documents import as_xml
from gridkeeper.exports.topology.filters import BY_ID, Filters, read_filters
from gridkeeper.exports.topology.summary import resource_summary
from gridkeeper.federation.downtimes import calendar
from gridkeeper.web.api.documents import as_json
from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.published import Published
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gridkeeper.federation.topology.models import Topology
    from gridkeeper.web.services import Services

    Make = Callable[[Topology, Filters, datetime], bytes]

SCHEMAS = "https://topology.opensciencegrid.org/schema/"
XML, JSON, ICAL = "text/xml", "application/json", "text/calendar"
NO_REGISTRY = "this home holds no registry in the layout of the OSG topology, and no documents of GOCDB or CRIC; what it knows of its federation is in federation.yaml"


def _parameter(name: str, words: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": kind}}


PARAMETERS = [
    *(_parameter(key, f"`on`: only {plural} of the ids given as {key}_12=on or {key}_sel[]=12") for key, plural in BY_ID.items()),
    _parameter("gridtype", "`on`: production (gridtype_1=on), test bed (gridtype_2=on), or both"),
    _parameter("active", "`on`: only what is active (active_value=1) or not (active_value=0)"),
    _parameter("disable", "`on`: only what is disabled (disable_value=1) or not (disable_value=0)"),
    _parameter("oasis", "`on`: only VOs that use OASIS (oasis_value=1) or not (oasis_value=0)"),
    _parameter("service_hidden_value", "only services that are hidden (1) or not (0)"),
    _parameter("has_wlcg", "`on`: only resources with WLCG information"),
    _parameter("downtime_attrs_showpast", "also downtimes that ended so many days ago at most, or `all`"),
]  # fmt: skip


def _summary(topology: Topology, filters: Filters, _: datetime) -> bytes:
    return as_xml("ResourceSummary", resource_summary(topology, filters), f"{SCHEMAS}rgsummary.xsd")


def _downtimes(topology: Topology, filters: Filters, moment: datetime) -> bytes:
    tree = downtimes.as_tree(downtimes.shown(topology, filters, moment), topology, filters)
    return as_xml("Downtimes", tree, f"{SCHEMAS}rgdowntime.xsd")


def _downtime_list(topology: Topology, filters: Filters, moment: datetime) -> bytes:
    return as_json(downtimes.as_list(downtimes.shown(topology, filters, moment)))


def _calendar(topology: Topology, filters: Filters, moment: datetime) -> bytes:
    return calendar.write((one.row for one in downtimes.shown(topology, filters, moment)), moment)


def _vos(topology: Topology, filters: Filters, _: datetime) -> bytes:
    return as_xml("VOSummary", {"VO": organizations.vo_summary(topology, filters)}, f"{SCHEMAS}vosummary.xsd")


def _vos_by_name(topology: Topology, filters: Filters, _: datetime) -> bytes:
    return as_json(organizations.by_name(organizations.vo_summary(topology, filters), keep_name=False))


def _projects(topology: Topology, _: Filters, __: datetime) -> bytes:
    return as_xml("Projects", {"Project": organizations.projects(topology)}, f"{SCHEMAS}miscproject.xsd")


def _projects_by_name(topology: Topology, _: Filters, __: datetime) -> bytes:
    return as_json(organizations.by_name(organizations.projects(topology), keep_name=True))


DOCUMENTS: tuple[tuple[str, Make, str, str], ...] = (
    ("/rgsummary/xml", _summary, XML, "Resource groups with their places, resources, services, owners and contacts."),
    ("/rgdowntime/xml", _downtimes, XML, "Downtimes: current and future ones, past ones where asked for."),
    ("/rgdowntime/json", _downtime_list, JSON, "The same downtimes, each with where it is written and why others tell less of it."),
    ("/rgdowntime/ical", _calendar, ICAL, "The same downtimes as a calendar."),
    ("/vosummary/xml", _vos, XML, "Virtual organisations."),
    ("/vosummary/json", _vos_by_name, JSON, "Virtual organisations by name."),
    ("/miscproject/xml", _projects, XML, "Projects."),
    ("/miscproject/json", _projects_by_name, JSON, "Projects by name."),
)  # fmt: skip


def router(services: Services) -> APIRouter:
    """All its addresses."""
    api = APIRouter(tags=["registry"], responses=REFUSALS)
    published = Published(services.watch)
    for path, make, media_type, words in DOCUMENTS:
        api.add_api_route(
            path,
            _asked(services, published, path, make, media_type),
            methods=["GET"],
            name=path.strip("/").replace("/", "_"),
            description=words,
            response_class=Response,
            responses={200: {"description": words, "content": {media_type: {}}}},
            openapi_extra={"parameters": PARAMETERS},
        )
    return api


def _asked(
    services: Services, published: Published, path: str, make: Make, media_type: str
) -> Callable[[Request], Any]:
    async def asked(request: Request) -> Response:
        visitor = await visitor_of(services, request)
        filters = read_filters(request.query_params.multi_items())
        moment = services.now().replace(second=0, microsecond=0)
        when = moment if path.startswith("/rgdowntime/") else None  # only these change with the clock
        body = await run_in_threadpool(
            published.document,
            (path, repr(filters), when),
            lambda topology: make(topology, filters, moment),
        )
        if body is None:
            raise Answered(404, NO_REGISTRY, "address")
        made = answer(request, visitor, body, media_type)
        made.headers["Access-Control-Allow-Origin"] = "*"
        return made

    return asked

"""`/registry`: how much the registry holds, what is wrong with its files and how to mend it, and the way to each site and resource."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import must_know, offset_of, path_of, query
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import QueryParams

    from gridkeeper.federation.model import Registry, Resource
    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.noticeboard import Files
    from gridkeeper.web.services import Services

PARAMETERS = ("severity", "code")
SEVERITIES = ("error", "warning", "note")
A_PAGE = 200
MOST_TEXT = 64
NAMES = {
    "facilities": "facilities", "sites": "sites", "resource_groups": "resource groups", "resources": "resources",
    "active_resources": "of them active", "virtual_organizations": "VOs", "projects": "projects", "downtimes": "downtimes",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Which findings are asked for; None: whatever."""

    severity: str | None = None
    code: str | None = None

    def holds(self, one: Fault) -> bool:
        """Whether a finding is meant."""
        return self.severity in (None, one.severity) and self.code in (None, one.code)

    def query(self, **changes: str | int | None) -> str:
        """The question with changes, as an address has it."""
        return query({"severity": self.severity, "code": self.code, **changes})


def asked_of(asked: QueryParams, others: Sequence[str] = ()) -> Asked:
    """Read which findings are asked for. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, (*PARAMETERS, *others))
    told = {name: asked.get(name, "")[:MOST_TEXT].replace("\0", "") or None for name in PARAMETERS}
    if told["severity"] is not None and told["severity"] not in SEVERITIES:
        raise Answered(400, f"severity: {told['severity']!r} is none of {', '.join(SEVERITIES)}")
    return Asked(told["severity"], told["code"])


def findings_for(visitor: Visitor, files: Files) -> tuple[Fault, ...]:
    """All findings, as far as a visitor may see them: what may name a person only for operators."""
    return files.findings if visitor.sees_people else files.findings_without_people


def router(services: Services) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/registry")
    async def registry(request: Request) -> Response:
        visitor = await visitor_of(services, request)
        asked = asked_of(request.query_params, ("offset",))
        offset = offset_of(request.query_params)
        return await run_in_threadpool(_page, services, request, visitor, asked, offset)

    return pages


def _page(services: Services, request: Request, visitor: Visitor, asked: Asked, offset: int) -> Response:
    files = services.noticeboard.files()
    every = findings_for(visitor, files)
    chosen = sorted(
        (one for one in every if asked.holds(one)), key=lambda one: SEVERITIES.index(one.severity)
    )
    by_severity = Counter(str(one.severity) for one in every if replace(asked, severity=None).holds(one))
    by_code = Counter((one.code, one.severity) for one in every if asked.severity in (None, one.severity))
    codes = sorted(
        by_code.items(), key=lambda one: (SEVERITIES.index(one[0][1]), -one[1], one[0][0])
    )  # the gravest first
    return page(
        services, request, visitor, "registry.html", files=files, asked=asked, chosen=chosen[offset : offset + A_PAGE], count=len(chosen), offset=offset,
        a_page=A_PAGE, severities={name: by_severity[name] for name in SEVERITIES}, all_count=sum(by_severity.values()), codes=codes, names=NAMES,
        sites=_sites(services.registry()), path_of=path_of,
    )  # fmt: skip


def _sites(registry: Registry) -> list[tuple[str, str, list[Resource]]]:
    """Sites with their facility and resources, by name; resources of no site stand at the end."""
    found: dict[str, list[Resource]] = {}
    for one in registry.resources:
        found.setdefault(one.site or "", []).append(one)
    return [
        (site, next((one.facility for one in those if one.facility), ""), sorted(those, key=lambda one: one.name.lower()))
        for site, those in sorted(found.items(), key=lambda one: (not one[0], one[0].lower()))
    ]  # fmt: skip

"""`/downtimes/reconciliation`: the last comparison with another registry, as `gridkeeper downtimes reconcile --json` printed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from gridkeeper.config import Home
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import query
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.web.services import Services

FILE = "downtimes-reconciliation.json"
FILE_LIMIT_BYTES = 64 * 1024 * 1024
MOST_SHOWN = 300


class DifferenceKept(BaseModel):
    """One difference, as the file has it."""

    id: str | None
    resource: str | None
    what: str
    ours: str | None
    theirs: str | None
    reason: str
    sentence: str


class Reconciled(BaseModel):
    """The file."""

    ours: int
    theirs: int
    of_ours: dict[str, int]
    of_theirs: dict[str, int]
    parts: dict[str, int]
    differences: list[DifferenceKept]
    refused: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Last:
    """The last comparison and when it was made; or why it cannot be shown."""

    made_at: datetime | None = None
    said: Reconciled | None = None
    problem: str | None = None


def last(services: Services) -> Last:
    """Read the file in the home's reports. Blocks. Raises nothing: what is wrong with it is said."""
    path = Home(services.home).reports / FILE
    try:
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if path.stat().st_size > FILE_LIMIT_BYTES:
            return Last(
                made, None, f"reports/{FILE} has more than {FILE_LIMIT_BYTES:,} bytes, which is no comparison"
            )
        return Last(made, Reconciled.model_validate_json(path.read_bytes()))
    except FileNotFoundError:
        return Last()
    except OSError as error:
        return Last(None, None, f"reports/{FILE} cannot be read: {error.strerror}")
    except ValidationError:
        return Last(
            made,
            None,
            f"reports/{FILE} is not what `gridkeeper downtimes reconcile --json` prints; make it anew",
        )


def router(services: Services) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/downtimes/reconciliation")
    async def reconciliation(request: Request, reason: str = "") -> Response:
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(last, services)
        differences = found.said.differences if found.said else []
        reasons: dict[tuple[str, str], int] = {}
        for one in differences:
            reasons[one.what, one.reason] = reasons.get((one.what, one.reason), 0) + 1
        if reason and reason not in {name for _, name in reasons}:
            raise Answered(400, f"reason: {reason[:64]!r} is none of those that this comparison has")
        chosen = [one for one in differences if reason in ("", one.reason)]
        return page(
            services, request, visitor, "reconciliation.html", found=found, chosen=chosen[:MOST_SHOWN], count=len(chosen), reason=reason,
            reasons=sorted(reasons.items(), key=lambda one: (-one[1], one[0])), file=FILE, query=query,
        )  # fmt: skip

    return pages

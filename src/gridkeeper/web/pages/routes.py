"""Puts the pages together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.web.pages import (
    about,
    assets,
    audit,
    batches,
    corrections,
    display,
    downtime,
    downtimes,
    editions,
    explorer,
    login,
    matrix,
    me,
    probe,
    production,
    quarantine,
    reconciliation,
    registry,
    schedules,
    sources,
    things,
    trends,
)

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from gridkeeper.web.services import Services


def routes(services: Services) -> list[BaseRoute]:
    """All addresses of pages and of what they need, in the order in which they are looked up."""
    of_usage = (display, production, explorer, matrix, trends, schedules, things)
    of_registry = (registry, downtimes, reconciliation, downtime)
    of_intake = (sources, probe, batches, quarantine)
    subjects = (*of_usage, *of_registry, *of_intake, corrections, editions, audit, about, login, me)
    return [
        *assets.router().routes,
        *(route for subject in subjects for route in subject.router(services).routes),
    ]

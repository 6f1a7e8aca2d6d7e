"""Puts the reading side of the API together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.web.api import (
    apel,
    batches,
    display,
    downtimes,
    grafana,
    quarantine,
    registry,
    reports,
    schedules,
    sources,
    topology,
    usage,
)
from gridkeeper.web.pages import audit

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from gridkeeper.web.services import Services


def routes(services: Services) -> list[BaseRoute]:
    """All its addresses, in the order in which they are looked up."""
    subjects = (
        display, usage, reports, schedules, grafana, sources, registry, downtimes, batches, quarantine, apel, topology,
    )  # fmt: skip
    return [
        *(route for subject in subjects for route in subject.router(services).routes),
        *audit.api(services).routes,
    ]

"""Puts the reading side of the API together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

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
    from gridkeeper.web.services import Services


def router(services: Services) -> APIRouter:
    """All its addresses."""
    api = APIRouter()
    for subject in (
        display, usage, reports, schedules, grafana, sources, registry, downtimes, batches, quarantine, apel, topology,
    ):  # fmt: skip
        api.include_router(subject.router(services))
    api.include_router(audit.api(services))
    return api

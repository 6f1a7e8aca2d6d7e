"""Puts the pages together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

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
    from gridkeeper.web.services import Services


def router(services: Services) -> APIRouter:
    """All addresses of pages and of what they need."""
    pages = APIRouter(include_in_schema=False)
    pages.include_router(assets.router())
    of_usage = (display, production, explorer, matrix, trends, schedules, things)
    of_registry = (registry, downtimes, reconciliation, downtime)
    of_intake = (sources, probe, batches, quarantine)
    for subject in (*of_usage, *of_registry, *of_intake, corrections, editions, audit, about, login, me):
        pages.include_router(subject.router(services))
    return pages

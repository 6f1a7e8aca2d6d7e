"""Puts the pages together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from gridkeeper.web.pages import (
    about,
    assets,
    display,
    explorer,
    login,
    matrix,
    me,
    production,
    schedules,
    things,
    trends,
)

if TYPE_CHECKING:
    from gridkeeper.web.services import Services


def router(services: Services) -> APIRouter:
    """All addresses of pages and of what they need."""
    pages = APIRouter(include_in_schema=False)
    pages.include_router(assets.router())
    for subject in (display, production, explorer, matrix, trends, schedules, things, about, login, me):
        pages.include_router(subject.router(services))
    return pages

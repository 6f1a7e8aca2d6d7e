"""The only place that asks what time it is; everything else is given a time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Say the present moment in UTC, microseconds kept."""
    return datetime.now(UTC)

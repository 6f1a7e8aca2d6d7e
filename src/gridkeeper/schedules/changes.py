"""Notes in the audit when `[[schedule]]` entries have changed; who edits a file is not known, but when it was first obeyed is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.database import writing
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.settings import Schedule

ACT = "schedule.settings"
WHO = "gridkeeper.toml"
REMOVED = {"removed": True}


def note(engine: sa.Engine, schedules: Mapping[str, Schedule], moment: datetime) -> None:
    """Write down each schedule that is new, gone, or other than when it was last noted. Raises: DatabaseUnavailable (retryable)."""
    now: dict[str, dict[str, Any]] = {
        f"schedule {name}": schedule.model_dump(mode="json") for name, schedule in schedules.items()
    }
    with writing(engine) as connection:
        known = _last_noted(connection)
        for subject in sorted(now.keys() | known.keys()):
            details = now.get(subject, REMOVED)
            if details != known.get(subject, REMOVED):
                audit.record(connection, WHO, ACT, subject, details, at=moment)


def _last_noted(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    before = None
    while page := audit.entries(connection, act=ACT, before=before, limit=audit.MOST_ENTRIES_AT_ONCE):
        for entry in page:
            found.setdefault(entry.subject, entry.details)
        before = page[-1].id
    return found

"""What is wrong with a loader itself, written down where the collector beside it and those who watch can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.intake.blaming import SPARED_FOR, Fault
from gridkeeper.intake.tables import LOADER_FAULTS
from gridkeeper.intake.waiting import is_gone, is_of_this_host

if TYPE_CHECKING:
    from datetime import datetime

OVER_AFTER = 3 * SPARED_FOR


def say(engine: sa.Engine, loader: str, fault: Fault | None, moment: datetime) -> None:
    """Write down what is wrong with a loader, or that nothing is any more. Raises: DatabaseUnavailable (retryable)."""
    here = LOADER_FAULTS.c.loader == loader
    with writing(engine) as connection:
        if fault is None:
            connection.execute(sa.delete(LOADER_FAULTS).where(here))
            return
        said = {"last_at": moment, "sentence": fault.sentence, "stops_all": fault.stops_all}
        if not connection.execute(sa.update(LOADER_FAULTS).where(here).values(said)).rowcount:
            connection.execute(sa.insert(LOADER_FAULTS), said | {"loader": loader, "since": moment})


def of_this_host(engine: sa.Engine, moment: datetime) -> list[Fault]:
    """The faults of loaders that run on this host; those of others make other collectors unready.

    A fault is renewed with every try; one that was not for long is over: somebody else loaded what it was about.

    Raises: DatabaseUnavailable (retryable).
    """
    with reading(engine) as connection:
        rows = connection.execute(sa.select(LOADER_FAULTS).order_by(LOADER_FAULTS.c.since)).all()
    return [
        Fault(f"since {row.since:%Y-%m-%d %H:%M} UTC {row.sentence}", row.stops_all)
        for row in rows
        if is_of_this_host(row.loader) and not is_gone(row.loader) and moment - row.last_at < OVER_AFTER
    ]

"""Publishes a report: makes it once, in every format, and freezes it with all that it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper import __version__
from gridkeeper.editions import rows, storing
from gridkeeper.editions.corrected import written
from gridkeeper.editions.edition import (
    CORRECTIONS,
    FACTS,
    LEVELS,
    PLOT_PREFIX,
    REGISTRY,
    REPORT_PREFIX,
    ROWS,
    Edition,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import sqlalchemy as sa

    from gridkeeper.reports.contract import Report, Request
    from gridkeeper.summaries.books import Books

RECORDS = {"jobs": "usage_records", "reported": "usage_reported"}
# Tables that reports are made of, whose versions an edition names.
TABLES = ("usage_records", "usage_reported", "usage_daily_end", "usage_monthly_end", "running_hourly")


def publish(
    engine: sa.Engine, folder: Path, books: Books, report: Report, request: Request, who: str, moment: datetime
) -> tuple[Edition, str]:  # fmt: skip
    """Make a report and keep it as the next edition.

    folder:  of all editions of the home.
    Returns: the edition and its checksum.
    Raises:  UserMistake (permanent); CannotPublish, LakeUnavailable, DatabaseUnavailable (retryable).
    """
    content = report.make(books, request)
    files = {f"{REPORT_PREFIX}{shape}": report.render(content, shape) for shape in report.formats}
    plots = content.plots() if hasattr(content, "plots") else []
    for plot in plots:
        files[f"{PLOT_PREFIX}{plot.name}.svg"] = plot.svg().encode()
        files[f"{PLOT_PREFIX}{plot.name}.png"] = plot.png()
    files[ROWS] = rows.as_parquet(rows.rows_of(books, request.period, request.source))
    files[LEVELS] = rows.as_parquet(rows.levels_of(books))
    files[REGISTRY] = books.registry.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()
    files[CORRECTIONS] = written(books.corrections.rules)
    # Last, for a question may have had the summaries made anew.
    snapshot = books.snapshot

    def numbered(number: int) -> tuple[Edition, dict[str, bytes]]:
        edition = Edition(
            number=number, report=report.name, title=content.title, federation=books.registry.federation.name, period=request.period,
            source=request.source, as_of=request.as_of, made_at=moment, made_by=who, program=__version__, formats=report.formats,
            plots=tuple(plot.name for plot in plots), versions={name: snapshot.handle(name).version for name in TABLES},
            load_seq=snapshot.load_seq(RECORDS[request.source]), records_id=snapshot.handle(RECORDS[request.source]).table_id,
            registry_revision=books.registry.revision, corrections_revision=books.corrections.revision,
            corrections=tuple(rule.id for rule in books.corrections.rules),
        )  # fmt: skip
        return edition, {**files, FACTS: edition.as_json()}

    return storing.keep(engine, folder, numbered, who)

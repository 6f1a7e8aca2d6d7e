"""The production report for spreadsheets: one line a VO and one for all, unrounded, empty where nothing is known."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from gridkeeper.reports.coverage_sentences import columns

if TYPE_CHECKING:
    from gridkeeper.queries.production import VOUse
    from gridkeeper.reports.production import Content

ALL = "All"


def as_csv(content: Content) -> bytes:
    """Write the lines of its tables of VOs; each says of which days and federation it is, and whether its data are invented."""
    period = content.period
    told = {
        "first": period.first,
        "until": period.until,
        "federation": content.federation,
        "invented": content.invented or "",
    }
    lines = [_line(vo, columns(content.coverage, vo.name)) | told for vo in content.lines]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()


def _line(vo: VOUse, covered: dict[str, Any]) -> dict[str, Any]:
    """One line; the names of the columns are those of the report's JSON, with their units."""
    sums, change, running = vo.sums, vo.change, vo.running
    told = {
        "vo": vo.name or ALL,
        "core_hours": sums.core_hours,
        "core_hours_difference": change.core_hours,
        "ratio": change.ratio,
        "ratio_at_equal_age": change.ratio_at_equal_age,
        "wall_hours": sums.wall_hours,
        "jobs": sums.jobs,
        "pilots": vo.pilots,
        "payloads": vo.payloads,
        "sites": vo.sites,
        "efficiency": sums.efficiency,
        "efficiency_1core": sums.efficiency_1core,
        "unmeasured_share": sums.unmeasured_share,
        "running_cores_mean": running.mean if running else None,
        "running_cores_lowest_daily_mean": running.lowest if running else None,
        "running_cores_highest_daily_mean": running.highest if running else None,
        "running_cores_open_hours": running.open_hours if running else None,
        **covered,
    }
    return {name: "" if value is None else value for name, value in told.items()}

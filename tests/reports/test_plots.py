"""Each kind of plot is a specification that Vega-Lite's schema allows; pages make them without asking it each time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import altair
import pytest
from altair.utils.schemapi import SchemaValidationError

from gridkeeper.monitoring.pools import PoolHour
from gridkeeper.queries.periods import parse_month
from gridkeeper.reports import plots
from gridkeeper.reports.contract import Request
from gridkeeper.reports.pool_plot import pool_by_hour
from gridkeeper.reports.production import REPORT
from tests.production_story import MEETING, WEEK, story

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.reports.plots import Plot

MONTH = parse_month("2017-01")
NOON = datetime(2017, 1, 3, 12, tzinfo=UTC)
DRAWN = (
    plots.bars("jobs", "Jobs", "by month", [("2017-01", 12.0), ("2017-02", None)], "jobs"),
    plots.ranks("sites", "Sites", "by efficiency", [("alpha", 0.25), ("beta", None)], "ratio"),
    plots.stacked_in_order("hours", "Hours", "by month", [("2017-01", "cms", 3.0), ("2017-01", None, 1.0)], ["2017-01"], "h", ["cms"]),
    plots.stacked_by_day("wall", "Wall hours", "by day", [(date(2017, 1, 2), "cms", 5.0)], "Wall hours", MONTH, WEEK, ["cms"]),
    pool_by_hour("slurm:alpha", WEEK, [PoolHour("slurm:alpha", "alpha", NOON, 4, *([2.0] * 4))]),
)  # fmt: skip


def held_against_the_schema(spec: dict[str, Any]) -> None:
    altair.utils.schemapi.enable_debug_mode()
    try:
        altair.Chart.from_dict(spec, validate=True)
    finally:
        altair.utils.schemapi.disable_debug_mode()


@pytest.mark.parametrize("plot", DRAWN, ids=lambda plot: plot.name)
def test_a_plot_is_what_the_schema_allows(plot: Plot) -> None:
    held_against_the_schema(plot.spec)


@pytest.mark.slow
def test_the_plots_of_the_production_report_are_what_the_schema_allows(tmp_path: Path) -> None:
    drawn = REPORT.make(story(tmp_path / "home").books(), Request(WEEK, MEETING)).plots()
    assert len(drawn) == 2
    for plot in drawn:
        held_against_the_schema(plot.spec)


def test_the_schema_refuses_what_it_does_not_allow() -> None:
    spec = {**DRAWN[0].spec, "background": ["no", "colour"]}
    with pytest.raises(SchemaValidationError.__base__):
        held_against_the_schema(spec)

"""`gridkeeper report`: what an ending means, and what is said where there is nothing to draw."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.report import ENDINGS, shape_of
from gridkeeper.errors import UserMistake
from gridkeeper.reports.registry import reports
from tests.homes import InventedHome, every_day
from tests.reports.test_compare import SUMMARY

WEEK = ("--week", "2017-01-31", "--as-of", "2017-02-07")


def run(home: Path, *arguments: str | Path) -> None:
    outcome = CliRunner().invoke(
        app, ["--home", str(home), "report", *map(str, arguments)], catch_exceptions=False
    )
    assert outcome.exit_code == 0, outcome.output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = InventedHome(
        tmp_path_factory.mktemp("report") / "home", "mapping: [{when: {account: cms}, vo: cms}]"
    )
    made.slurm("alpha", every_day("2017-01-24", "2017-02-07", number=1, hours=2))
    made.books()
    return made.home.path


@pytest.mark.parametrize("ending", [".pdf", ".docx", ".twiki.gz", ".xlsx"])
def test_an_ending_that_the_report_does_not_have_is_refused_and_nothing_is_written(
    home: Path, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"week{ending}"
    with pytest.raises(
        UserMistake, match=r"written as \.twiki, \.txt, \.md, \.html, \.json or \.csv, not as"
    ) as refused:
        run(home, "production", *WEEK, "-o", file)
    assert "--format (twiki, markdown, html, json, csv)" in str(refused.value)
    assert str(file) in str(refused.value)
    assert not file.exists()


def test_a_format_that_is_named_wins_over_the_ending(home: Path, tmp_path: Path) -> None:
    run(home, "production", *WEEK, "--format", "json", "-o", tmp_path / "week.pdf")
    assert (tmp_path / "week.pdf").read_text().startswith("{")


def test_a_file_without_an_ending_has_the_reports_first_format(home: Path, tmp_path: Path) -> None:
    run(home, "production", *WEEK, "-o", tmp_path / "week")
    assert (tmp_path / "week").read_text().startswith("---+ Production report")


@pytest.mark.parametrize("name", reports())
def test_every_format_of_a_report_has_an_ending(name: str) -> None:
    report = reports()[name]
    for shape in report.formats:
        assert any(
            shape_of(None, Path(f"a{ending}"), report.formats) == shape
            for ending, of in ENDINGS.items()
            if of == shape
        )


def test_plots_are_written_as_png_and_svg(home: Path, tmp_path: Path) -> None:
    run(home, "plots", *WEEK, "-o", tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "running-cores-by-hour.png", "running-cores-by-hour.svg", "wall-hours-by-day.png", "wall-hours-by-day.svg",
    ]  # fmt: skip


def test_where_there_is_nothing_to_draw_it_is_said_why(home: Path, tmp_path: Path) -> None:
    empty = InventedHome(tmp_path / "empty")
    reported = InventedHome(tmp_path / "reported")
    file = tmp_path / "sums.apel"
    file.write_text(SUMMARY)
    assert CliRunner().invoke(app, ["--home", str(reported.home.path), "load", str(file)]).exit_code == 0
    for folder, period, sentence in (
        (empty.home.path, WEEK, "these books are empty"),
        (reported.home.path, ("--month", "2017-01"), "hold only sums that others reported"),
        (home, ("--week", "2015-01-01"), "no job of these books ended in the weeks up to"),
    ):
        with pytest.raises(UserMistake, match=sentence):
            run(folder, "plots", *period, "-o", tmp_path / "plots")
    assert not (tmp_path / "plots").exists()

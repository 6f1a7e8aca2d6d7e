"""Tables: no number, date or name is cut, whatever the width, in a pipe or on a terminal."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from gridkeeper.cli import output
from gridkeeper.cli.app import app
from gridkeeper.cli.layout import Column, printed
from gridkeeper.cli.output import Shape, print_rows
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from pathlib import Path

KEYS = "vo,resource,day"
MEASURES = "jobs,wall_hours,core_hours,cpu_hours,gpu_hours,efficiency,wait_hours,records,node_hours,failed_jobs,unmeasured_share"


def on_a_terminal(width: int) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, color_system=None, width=width, legacy_windows=False
    )


def written(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


@pytest.fixture
def home(tmp_path: Path) -> InventedHome:
    made = InventedHome(tmp_path / "home")
    made.slurm("a-cluster-with-a-long-name", every_day("2017-01-01", "2017-01-04", number=1, hours=240, cores=6400, account="a-group-with-a-long-name"))  # fmt: skip
    made.books()
    return made


def said(home: InventedHome, *arguments: str) -> str:
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), *arguments])
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_in_a_pipe_every_row_is_one_line_with_every_column(home: InventedHome) -> None:
    heads, *rows = said(home, "usage", "--by", KEYS, "--measure", MEASURES).splitlines()
    assert heads.split() == [*KEYS.split(","), *MEASURES.split(",")]
    assert len(rows) == 3
    for day, row in enumerate(rows, start=1):
        cells = row.split()
        assert cells[1:6] == ["a-cluster-with-a-long-name", f"2017-01-0{day}", "1", "240.0", "1,536,000.0"]
        assert len(cells) == 14


def test_a_row_of_sql_shows_every_value_whole_and_as_it_is(home: InventedHome) -> None:
    names = said(
        home, "lake", "sql", "SELECT * FROM usage_records ORDER BY identity LIMIT 1", "--format", "csv"
    )
    heads, values = (line.split(",") for line in names.splitlines())
    text = said(home, "lake", "sql", "SELECT * FROM usage_records ORDER BY identity LIMIT 1")
    for name in ("identity", "content_hash", "load_seq", "resource"):
        assert values[heads.index(name)] in text.split()
    assert len(text.splitlines()) == 2


def test_a_rule_and_a_table_can_be_copied_from_lists_in_a_pipe(home: InventedHome) -> None:
    bad = home.home.path / "bad.txt"
    bad.write_text("JobIDRaw|Cluster|Account|Start|End|State\n1|c|a|tomorrow|never|COMPLETED\n")
    assert CliRunner().invoke(app, ["--home", str(home.home.path), "load", "--format", "sacct", "--probe", "slurm:a-cluster.example.org", str(bad)]).exit_code == 0  # fmt: skip
    listed = said(home, "quarantine", "list")
    assert "slurm:a-cluster.example.org" in listed
    rule = listed.splitlines()[1].split()[0]
    assert "1" in said(home, "quarantine", "show", "--rule", rule)
    assert "usage_daily_overlap " in said(home, "lake", "status")


def test_a_narrow_terminal_gets_blocks_that_begin_with_the_first_column(
    home: InventedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = on_a_terminal(60)
    monkeypatch.setattr(output, "console", target)
    said(home, "usage", "--by", "day,resource", "--measure", MEASURES)
    text = written(target)
    blocks = text.split("\n\n")
    assert len(blocks) > 1
    for block in blocks:
        assert block.startswith("day ")
        assert all(len(line.rstrip()) <= 60 for line in block.splitlines())
    assert "1,536,000.0" in text


def test_free_text_is_folded_on_a_terminal_and_nothing_else() -> None:
    target = on_a_terminal(50)
    columns = [Column("name"), Column("hours", is_number=True), Column("why", is_free=True)]
    printed(
        target, columns, [["an-unbreakable-name", "1,234,567.8", "a long sentence that may well be folded"]]
    )
    lines = written(target).splitlines()
    assert "an-unbreakable-name" in lines[1]
    assert "1,234,567.8" in lines[1]
    assert len(lines) > 2
    target = Console(file=io.StringIO())
    printed(target, columns, [["a", "1", "a long sentence that may well be folded " * 20]])
    assert len(written(target).splitlines()) == 2


_WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


@given(
    rows=st.lists(st.tuples(_WORDS, st.integers(0, 10**15), _WORDS), max_size=4), width=st.integers(1, 200)
)
def test_whatever_the_width_every_cell_is_there_whole(rows: list[tuple[str, int, str]], width: int) -> None:
    for target in (on_a_terminal(width), Console(file=io.StringIO(), width=width)):
        columns = [Column("first"), Column("count", is_number=True), Column("second")]
        printed(target, columns, [[first, f"{number:,}", second] for first, number, second in rows])
        text = written(target)
        for first, number, second in rows:
            for cell in (first, f"{number:,}", second):
                assert any(cell in line for line in text.splitlines())


def test_names_are_printed_as_they_are_and_never_as_markup_or_controls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"user": "[bold]bob[/]", "note": "two\nlines \x1b[2J", "jobs": 1}]
    print_rows(rows, ["user", "note", "jobs"], Shape.TABLE)
    text = capsys.readouterr().out
    assert "[bold]bob[/]" in text
    assert r"two\nlines \x1b[2J" in text


def test_little_is_not_printed_as_nothing_and_large_sums_are_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows: list[dict[str, Any]] = [{"core_hours": 0.01, "efficiency": 0.0001, "total": Decimal(2**70)}, {"core_hours": 0.0, "efficiency": None, "total": Decimal(1)}]  # fmt: skip
    print_rows(rows, ["core_hours", "efficiency", "total"], Shape.TABLE)
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.split() == ["<0.1", "<0.001", f"{2**70:,}"]
    assert second.split() == ["0.0", "–", "1"]
    assert len(first) == len(second), "numbers end in one column"

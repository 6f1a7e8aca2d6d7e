"""The brief summary says what the fine one says, of every measure it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.queries import answering
from gridkeeper.queries.measures import BRIEF, MEASURES, OF_TRANSFERS
from gridkeeper.queries.usage import Scope, usage
from tests.homes import InventedHome, Job, at, every_day

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.summaries.books import Books

ASKED = [name for name in MEASURES if name not in (*OF_TRANSFERS, "started_jobs", "active_jobs")]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    folder: Path = tmp_path_factory.mktemp("brief")
    home = InventedHome(folder / "home", "mapping: [{when: {account: cms}, vo: cms}]")
    home.slurm("alpha", every_day("2017-01-01", "2017-01-20", number=1, cores=8))
    home.slurm(
        "alpha",
        [Job(100, at("2017-01-05T12:00"), hours=3, cpu=0.5), Job(101, at("2017-01-05T13:00"), cpu=None)],
    )
    home.slurm("beta", [Job(200, at("2017-01-06T12:00"), cpu=None, account="nobody")])
    return home.books()


@pytest.mark.parametrize("by", [(), ("vo",), ("site", "vo"), ("day",), ("month", "resource"), ("level",)])
@pytest.mark.parametrize("level", [None, "batch", "all-records"])
def test_every_measure_is_the_same_in_brief(
    books: Books, by: tuple[str, ...], level: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = Scope(count_level=level)  # type: ignore[arg-type]
    brief = usage(books, by, ASKED, scope)
    with monkeypatch.context() as patch:
        patch.setattr(answering, "_NOT_IN_BRIEF", set(ASKED))
        fine = usage(books, by, ASKED, scope)
    assert (brief.table, fine.table) == (BRIEF, "usage_daily_end")
    assert brief.rows == fine.rows
    assert brief.rows


def test_a_question_by_kind_is_answered_by_the_fine_summary(books: Books) -> None:
    assert usage(books, ("processors",)).table == "usage_daily_end"
    assert usage(books, ("vo",), scope=Scope(where=(("outcome", "success"),))).table == "usage_daily_end"

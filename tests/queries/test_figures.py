"""Figures from elsewhere: how they may be written, and what a wrong one is told."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest

from gridkeeper.errors import BadConfiguration, UserMistake
from gridkeeper.queries.figures import Figure, known, load

if TYPE_CHECKING:
    from pathlib import Path

ONE = {
    "source": "dashboard",
    "VO": "atlas",
    "measure": "wall_hours",
    "unit": "h",
    "period": "2017-01",
    "value": 1.5,
}
HEADER = "source,VO,measure,unit,period,value,address\n"
JANUARY, WEEK = (date(2017, 1, 1), date(2017, 2, 1)), (date(2017, 1, 31), date(2017, 2, 7))


def loaded(folder: Path, name: str, content: str | bytes) -> list[Figure]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    load(folder / "store.json", folder / name)
    return known(folder / "store.json")


def refused(folder: Path, name: str, content: str) -> str:
    with pytest.raises(UserMistake) as caught:
        loaded(folder, name, content)
    assert not (folder / "store.json").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("period", "days"),
    [
        ("2017-01", JANUARY),
        ("2017-01-31/2017-02-07", WEEK),
        ({"first": "2017-01-31", "until": "2017-02-07"}, WEEK),
    ],
)
def test_a_period_is_a_month_or_two_days(tmp_path: Path, period: object, days: tuple[date, date]) -> None:
    (figure,) = loaded(tmp_path, "one.json", json.dumps(ONE | {"period": period}))
    assert ((figure.first, figure.until), figure.vo, figure.value) == (days, "atlas", 1.5)


def test_one_figure_a_list_and_csv_say_the_same(tmp_path: Path) -> None:
    load_all: list[tuple[str, str | bytes]] = [
        ("one.json", json.dumps(ONE)),
        ("list.json", json.dumps([ONE | {"address": ""}])),
        ("a.csv", HEADER + "dashboard,atlas,wall_hours,h,2017-01,1.5,\n"),
        ("excel.csv", (HEADER + "dashboard,atlas,wall_hours,h,2017-01,1.5,\r\n").encode("utf-8-sig")),
        ("old.csv", "source,vo,measure,unit,first,until,value\ndashboard,atlas,wall_hours,h,2017-01-01,2017-02-01,1.5\n"),
        ("marked.json", b"\xef\xbb\xbf" + json.dumps(ONE).encode()),
    ]  # fmt: skip
    for name, content in load_all:
        assert len(loaded(tmp_path, name, content)) == 1, name


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", HEADER + "d,atlas,m,h,2017-01,1,\nd,atlas,m,h,2017-01,much,\n", "a.csv, line 3: value: "),
        ("a.csv", HEADER + "d,atlas,m,h,2017-01,nan,\n", "a.csv, line 2: value: "),
        ("a.csv", HEADER + "d,atlas,m,h,January,1,\n", "a.csv, line 2: period: 'January' is none; write a month"),
        ("a.csv", HEADER + "d,atlas,m,h,2017-01,1,,,\n", "a.csv, line 2: more fields than the header has"),
        ("a.csv", HEADER + "d,atlas\n", "a.csv, line 2: measure: "),
        ("a.csv", "quelle;VO\nd;atlas\n", "a.csv, line 2: "),
        ("a.json", json.dumps([ONE, ONE | {"period": "2017-02-07/2017-01-31"}]), "a.json, figure 2: until must be a day after first"),
        ("a.json", json.dumps(ONE | {"period": "2017-01-31/soon"}), "a.json, figure 1: until: "),
        ("a.json", json.dumps(ONE | {"first": "2017-01-01"}), "figure 1: period: write it, or first and until, not both"),
        ("a.json", json.dumps({"figures": [ONE]}), "a.json, figure 1: "),
        ("a.json", "7", "holds neither a figure nor a list"),
        ("a.json", "{", "is neither JSON nor CSV in UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_figure_is_refused_with_its_place_and_field(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    assert says in refused(tmp_path, name, content)


def test_a_damaged_store_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text("[{")
    with pytest.raises(BadConfiguration, match="restore it from a backup"):
        known(tmp_path / "store.json")

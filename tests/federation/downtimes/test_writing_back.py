"""A topology file that is written back: the diff is the change, and nothing else."""

from __future__ import annotations

import difflib
from dataclasses import replace

import pytest

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import osg_yaml
from gridkeeper.federation.downtimes.model import Affected, Classification
from gridkeeper.federation.downtimes.osg_writing import numbered, written
from gridkeeper.federation.downtimes.times import Window, worded
from tests.federation.downtimes.sample import DOWNTIMES
from tests.federation.downtimes.test_forms import HIDDEN
from tests.shared_material import shared

ROWS = {row.id: row for row in osg_yaml.read(DOWNTIMES.encode(), "f").rows}


def diff(old: str, new: str) -> list[str]:
    return [line for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="") if line[:3] not in ("---", "+++", "@@ ")
            and not line.startswith("@@")]  # fmt: skip


def test_nothing_changes_where_nothing_changed() -> None:
    assert written(DOWNTIMES, list(ROWS.values())) == DOWNTIMES
    assert written(DOWNTIMES.replace("\n", "\r\n"), list(ROWS.values())) == DOWNTIMES.replace("\n", "\r\n")


def test_another_end_is_one_line() -> None:
    row = ROWS["101"]
    longer = replace(row, window=Window(row.window.start, worded("Feb 23, 2017 08:00 -0600")))
    assert diff(DOWNTIMES, written(DOWNTIMES, [longer])) == [
        "-  EndTime: Feb 22, 2017 08:00 -0600", "+  EndTime: Feb 23, 2017 08:00 -0600",
    ]  # fmt: skip
    other = replace(row, declared_class=Classification.UNSCHEDULED)
    assert diff(DOWNTIMES, written(DOWNTIMES, [other])) == ["-- Class: SCHEDULED", "+- Class: UNSCHEDULED"]


def test_a_comment_behind_a_value_stays() -> None:
    text = DOWNTIMES.replace(
        "EndTime: Feb 22, 2017 08:00 -0600", "EndTime: Feb 22, 2017 08:00 -0600  # says carol", 1
    )
    row = ROWS["101"]
    longer = replace(row, window=Window(row.window.start, worded("Feb 23, 2017 08:00 -0600")))
    assert "EndTime: Feb 23, 2017 08:00 -0600  # says carol\n" in written(text, [longer])


def test_a_new_one_stands_at_the_end_in_the_manner_of_the_file() -> None:
    (new,) = numbered([replace(ROWS["101"], description="a: b # c\nand more")], 101, {"101", "102"})
    assert new.id == "103"
    new = replace(new, id="104", services=(Affected("CE"), Affected("GridFtp")))
    text = written(DOWNTIMES, [new])
    assert text.startswith(DOWNTIMES)
    assert osg_yaml.read(text.encode(), "f").rows[-1].description == "a: b # c\nand more"
    assert text.endswith("  Services:\n  - CE\n  - GridFtp\n")
    indented = "".join(f"  {line}\n" for line in DOWNTIMES.rstrip().splitlines()[1:-1])
    assert "\n  - Class: SCHEDULED\n    ID: 104\n" in written(indented.rstrip("\n"), [new])
    assert [row.id for row in osg_yaml.read(written("", [new]).encode(), "f").rows] == ["104"]


def test_one_that_is_taken_out_takes_its_separator_along() -> None:
    gone = written(DOWNTIMES, [], removed=["102"])
    assert [row.id for row in osg_yaml.read(gone.encode(), "f").rows] == ["101", "103"]
    assert len(diff(DOWNTIMES, gone)) == 12
    assert all(line.startswith("-") for line in diff(DOWNTIMES, gone))
    assert written(DOWNTIMES, [], removed=["999"]) == DOWNTIMES


def test_what_shares_an_item_is_not_touched() -> None:
    row = osg_yaml.read(HIDDEN.encode(), "f").rows[1]
    with pytest.raises(UserMistake, match="take them apart first"):
        written(HIDDEN, [replace(row, description="other")])
    with pytest.raises(UserMistake, match="has no id"):
        written(DOWNTIMES, [replace(ROWS["101"], id=None)])


@pytest.mark.slow
def test_every_real_file_stays_as_it_is_but_for_the_line_that_changes() -> None:
    tried = 0
    for path in sorted(shared("topology/topology").rglob("*_downtime.yaml")):
        text = path.read_bytes().decode()
        rows = [row for row in osg_yaml.read(text.encode(), path.name).rows if not row.hidden]
        assert written(text, rows) == text
        row = rows[0]
        later = replace(row, window=Window(row.window.start, worded("Jun 01, 2035 08:15 +0000")))
        try:
            changed = written(text, [later])
        except UserMistake as error:
            assert "take them apart first" in str(error)
            continue
        assert len(diff(text, changed)) == 2, path
        tried += 1
    assert tried > 150

"""Files of corrections: every fault at once, in a sentence with file, line, correction and remedy; order by file and place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.errors import BadConfiguration
from gridkeeper.summaries.corrections.reading import files_of, read_corrections

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
corrections:
  - id: {id}
    reason: invented
    author: alice
    ticket: GGUS-1
    period: 2017-01
    match: {{resource: red}}
    exclude: true
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, *lines: str) -> str:
    """The first sentence about a correction whose keys after the ticket are these lines, beginning in line 6."""
    head = GOOD.format(id="a").splitlines()[:5]
    path = written(folder, "a.yaml", "\n".join([*head, *(f"    {line}" for line in lines)]) + "\n")
    with pytest.raises(BadConfiguration) as refused:
        read_corrections([path])
    return str(refused.value).splitlines()[0]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["period: 2017-13", "match: {resource: a}", "exclude: true"], "a.yaml, line 6, correction a: period: '2017-13' are no days; write a month, as 2017-01, or first: and last: (or until:)"),
        (["period: 2017-01", "match: {resourc: a}", "exclude: true"], "a.yaml, line 7, correction a: match: usage_records has no column 'resourc' that can be matched; docs/records.md names them"),
        (["period: 2017-01", "match: {processors: '8'}", "exclude: true"], "a.yaml, line 7, correction a: match: processors is a whole number; '8' is none"),
        (["period: 2017-01", "match: {resource: {over: 3}}", "exclude: true"], "a.yaml, line 7, correction a: match: resource says {'over': 3}; it takes a value, a list of values, or one of {pattern: 'a*'}, {missing: true}"),
        (["period: 2017-01", "match: {resource: a}", "set: {vo: x, project: y}"], "a.yaml, line 8, correction a: set: one correction sets one column of vo, project, resource, grid, processors; write another correction for another"),
        (["period: 2017-01", "match: {resource: a}", "set: {processors: many}"], "a.yaml, line 8, correction a: set › processors: write a whole number of 1 or more, or a map of what records say to what counts"),
        (["period: 2017-01", "match: {resource: a}", "scale: {wall: 0}"], "a.yaml, line 8, correction a: scale › wall: 0 is not between 1/1,000,000 and 1,000,000; `exclude` leaves records out"),
        (["period: 2017-01", "match: {resource: a}"], "a.yaml, line 2, correction a: it does nothing; a correction has exactly one act of exclude, set, scale, add"),
        (["period: 2017-01", "match: {resource: a}", "set: {vo: x}", "exclude: true"], "a.yaml, line 2, correction a: it does exclude and set; a correction has exactly one act of exclude, set, scale, add"),
        (["period: 2017-01", "exclude: true"], "a.yaml, line 2, correction a: match is missing or empty; say which records it fits, as match: {resource: Red}"),
        (["match: {resource: a}", "exclude: true"], "a.yaml, line 2, correction a: period is missing; say the days, as period: 2017-01, or period: {first: 2017-01-05, last: 2017-01-12}"),
        (["period: 2017-01", "match: {resource: a}", "exclude: true", "colour: red"], "a.yaml, line 9, correction a: there is no key colour; there are: id, reason, author, ticket, period, match, set, scale, exclude, add"),
        (["period: 2017-01", "add: {vo: x, resource: a, level: batch}"], "a.yaml, line 7, correction a: add › per_day is missing; say how much each day, as per_day: {wall_seconds: 3600, core_seconds: 28800, jobs: 1}"),
        (["period: {first: 2017-01-09, last: 2017-01-08}", "match: {resource: a}", "exclude: true"], "a.yaml, line 6, correction a: period: it ends before it begins: first 2017-01-09, until 2017-01-09 (that day excluded)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    assert refusal(tmp_path, *lines) == sentence


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    written(tmp_path, "b.yaml", GOOD.format(id="one").replace("2017-01", "soon") + "  - 17\n")
    written(tmp_path, "a.yaml", "corrections: nothing\n")
    written(tmp_path, "c.yaml", "corrections: [\n")
    with pytest.raises(BadConfiguration) as refused:
        read_corrections(files_of(tmp_path))
    places = [sentence.split(":")[0].rpartition("/")[2] for sentence in str(refused.value).splitlines()]
    assert places == [
        "a.yaml",
        "b.yaml, line 6, correction one",
        "b.yaml, line 9, correction number 2",
        "c.yaml is no YAML",
    ]


def test_an_id_is_one_corrections_alone(tmp_path: Path) -> None:
    written(tmp_path, "a.yaml", GOOD.format(id="same"))
    written(tmp_path, "b.yaml", GOOD.format(id="same"))
    with pytest.raises(
        BadConfiguration, match=r"b\.yaml, line 2: the id same is there already, at a\.yaml, line 2"
    ):
        read_corrections(files_of(tmp_path))


def test_corrections_stand_in_the_order_of_files_and_places(tmp_path: Path) -> None:
    written(tmp_path, "20-later.yaml", GOOD.format(id="c"))
    two = GOOD.format(id="b") + "".join(GOOD.format(id="a").splitlines(keepends=True)[1:])
    written(tmp_path, "10-first.yaml", two)
    (tmp_path / "notes.txt").write_text("no file of corrections")
    found = read_corrections(files_of(tmp_path))
    assert [(one.rule.id, one.file, one.place) for one in found] == [
        ("b", "10-first.yaml", 1),
        ("a", "10-first.yaml", 2),
        ("c", "20-later.yaml", 1),
    ]


def test_the_same_rule_in_another_layout_has_the_same_hash(tmp_path: Path) -> None:
    (one,) = read_corrections([written(tmp_path, "a.yaml", GOOD.format(id="a"))])
    other = (
        GOOD.format(id="a")
        .replace("2017-01", "{first: 2017-01-01, until: 2017-02-01}")
        .replace("red", '"red"')
    )
    (same,) = read_corrections([written(tmp_path, "b.yaml", other)])
    assert one.rule.content_hash == same.rule.content_hash
    assert type(one.rule).model_validate_json(one.rule.content) == one.rule

"""A replay reads every kind of record, and its sums add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper import clock
from gridkeeper.cli.app import app
from gridkeeper.formats import apel, gratia_xml
from gridkeeper.intake.archived import Wanted
from tests.collectors import LOCAL, Collector, collector
from tests.intake.replays import again, counts
from tests.intake.test_replay_trust import reads_otherwise
from tests.web.gratia_posts import envelope, post, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.formats.contract import Block
    from gridkeeper.records.draft import Delivery, Parsed

pytestmark = pytest.mark.slow

FORMATS = Path(__file__).parents[1] / "data" / "formats"
FEDERATION = (
    "resources: [{name: GRID-WEST, site: West}]\nvos: [{name: astro, aliases: [astro.example.org]}]\n"
)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}}, FEDERATION)
    yield made
    made.close()


def ever() -> Wanted:
    day = clock.now().date()
    return Wanted(day - timedelta(days=1), day + timedelta(days=1))


def send(gate: Collector, format_name: str, body: bytes) -> None:
    answer = gate.client().post(f"/api/v1/batches?format={format_name}&resource=GRID-WEST", content=body)
    assert answer.status_code == 202
    gate.load()


def takes_nothing_of_3600_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that refuses what it should not; the refusals have the text as it came."""
    reads_otherwise(monkeypatch, lambda text: text.replace(b"PT3600S", b"PTnoneS"))
    misread = gratia_xml.FORMAT.parse

    def parse(block: Block, delivery: Delivery) -> Parsed:
        parsed = misread(block, delivery)
        parsed.rejects = [
            replace(one, text=one.text.replace(b"PTnoneS", b"PT3600S")) for one in parsed.rejects
        ]
        return parsed

    monkeypatch.setattr(gratia_xml.FORMAT, "parse", parse)


def rows(gate: Collector, table: str) -> int:
    return int(gate.place.lake.snapshot().select(f"SELECT COUNT(*) AS n FROM {table}")["n"][0].as_py())


@pytest.mark.parametrize(
    ("format_name", "case", "table"),
    [
        ("apel", "summaries", "usage_reported"),
        ("gratia-xml", "storage", "storage_space"),
        ("gratia-xml", "broken_members", "usage_records"),
        ("sacct", "steps", "usage_records"),
    ],
)
def test_whatever_came_is_read_again_as_it_was(
    gate: Collector, format_name: str, case: str, table: str
) -> None:
    (sample,) = (FORMATS / format_name / case).glob("input.*")
    send(gate, format_name, sample.read_bytes())
    held = rows(gate, table)
    assert held
    done = again(gate, ever())
    assert counts(done, table) == {"same": held}
    assert done.tables[table].rows == held
    assert rows(gate, table) == held


def test_a_reported_sum_that_reads_differently_changes_by_vo_and_site(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = (FORMATS / "apel" / "summaries" / "input.apel").read_bytes()
    send(gate, "apel", sums)
    reads_otherwise(
        monkeypatch, lambda text: text.replace(b"WallDuration: 100\n", b"WallDuration: 3700\n"), apel.FORMAT
    )
    done = again(gate, ever())
    ((place, moved),) = done.tables["usage_reported"].by_place.items()
    assert place == ("astro", "West")
    assert (moved.changed, moved.wall_seconds, moved.core_seconds) == (4, 4 * 3600, 4 * 8 * 3600)
    assert counts(again(gate, ever()), "usage_reported") == {"same": 4}


def test_a_record_that_reads_differently_in_two_texts_is_changed_once_and_told_twice(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = ("condor:a.example.org", "condor:b.example.org")
    for probe in probes:
        with monkeypatch.context() as blind:
            takes_nothing_of_3600_seconds(blind)
            gate.client().post(
                "/gratia-servlets/rmi", content=post("multiupdate", envelope(record(1)), probe)
            )
            gate.load()
    assert gate.sums() == (0, 0)
    done = again(gate, ever())
    assert (done.texts, counts(done)) == (2, {"new": 1, "duplicates": 1})
    assert gate.sums() == (1, 3600)
    assert done.closed == 2


def test_of_two_new_contents_of_a_record_the_later_text_counts(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as blind:
        reads_otherwise(blind, lambda text: text.replace(b"<Status>0", b"<Status>0</Wrong>"))
        for wall_s in (3600, 1800):
            body = post("multiupdate", envelope(record(1, wall_s=wall_s)))
            gate.client().post("/gratia-servlets/rmi", content=body)
            gate.load()
    looked = again(gate, ever(), commit=False)
    assert counts(looked) == {"new": 1, "elsewhere": 1}
    (moved,) = looked.tables["usage_records"].by_place.values()
    again(gate, ever())
    assert gate.sums() == (1, moved.wall_seconds) == (1, 1800)


def test_the_command_says_it_in_words_table_by_table(gate: Collector) -> None:
    for format_name, case in (("apel", "summaries"), ("gratia-xml", "storage")):
        (sample,) = (FORMATS / format_name / case).glob("input.*")
        send(gate, format_name, sample.read_bytes())
    period = ["--from", "2000-01-01", "--to", f"{clock.now():%Y-%m-%d}"]
    told = CliRunner().invoke(app, ["--home", str(gate.place.home.path), "replay", *period])
    assert told.exit_code == 0, told.output
    assert "usage_reported" in told.output
    assert "storage_space" in told.output
    assert "as before" in told.output
    assert "nothing changes" in told.output

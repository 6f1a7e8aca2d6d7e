"""An edition is what was published, byte for byte, whatever comes later; one that was changed is refused."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.clock import now
from gridkeeper.database import reading
from gridkeeper.editions import rows, storing
from gridkeeper.editions.edition import (
    FACTS,
    REGISTRY,
    ROWS,
    Edition,
    EditionDamaged,
    checksum_of,
    edition_of,
)
from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import Registry
from gridkeeper.lake.maintenance import compact
from gridkeeper.queries.ledger import total
from gridkeeper.queries.production import production
from gridkeeper.reports.production import REPORT
from gridkeeper.trust import audit
from tests.homes import Job, at
from tests.production_story import FEDERATION, MEETING, WEEK, story

if TYPE_CHECKING:
    import sqlalchemy as sa
    from typer.testing import Result

    from tests.homes import InventedHome

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_each_engine")]
WHEN = ("--week", "2017-01-31", "--as-of", "2017-02-08")

CORRECTION = """
corrections:
  - id: nebraska-cores
    reason: it says 8 processors, and has 4
    author: carol
    ticket: GK-7
    period: {first: 2017-01-01, until: 2017-03-01}
    match: {resource: Nebraska-Red}
    set: {processors: {8: 4}}
"""


def run(home: InventedHome, *arguments: str, expect: int = 0) -> Result:
    result = CliRunner().invoke(app, ["--home", str(home.home.path), *arguments])
    assert result.exit_code == expect, (result.output, result.exception)
    return result


@pytest.fixture
def home(tmp_path: Path) -> InventedHome:
    return story(tmp_path / "home")


def given(home: InventedHome, shape: str, number: int = 1) -> bytes:
    return run(home, "report", "production", "--edition", str(number), "--format", shape).stdout_bytes


def vacuumed(home: InventedHome) -> None:
    """Join the files of all tables, and remove for good every file that only an older version needs."""
    compact(home.lake)
    for name in home.lake.layouts:
        table = home.lake.snapshot().handle(name).table()
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def test_an_edition_is_the_same_after_late_data_another_registry_and_a_vacuum(home: InventedHome) -> None:
    before = {
        shape: run(home, "report", "production", *WHEN, "--format", shape).stdout_bytes
        for shape in REPORT.formats
    }
    run(home, "publish", "production", *WHEN)
    home.slurm("Nebraska-Red", [Job(9000, at("2017-02-01T10:00"), 7, 8, "cms")], at("2017-03-01T10:00"))
    home.home.federation.write_text(FEDERATION.replace("site: Nebraska", "site: Lincoln"), encoding="utf-8")
    corrections = home.home.path / "corrections"
    corrections.mkdir()
    (corrections / "2017.yaml").write_text(CORRECTION, encoding="utf-8")
    run(home, "corrections", "apply", str(corrections / "2017.yaml"))
    home.books()
    vacuumed(home)
    assert {shape: given(home, shape) for shape in REPORT.formats} == before
    today = run(home, "report", "production", *WHEN, "--format", "json").stdout_bytes
    assert b"Lincoln" in today
    assert b"Lincoln" not in given(home, "json")


def test_an_edition_holds_the_plots_the_rows_and_what_it_was_made_with(home: InventedHome) -> None:
    run(home, "publish", "production", *WHEN)
    place = wired(home.home.path)
    stored = storing.read(place.database(), home.home.editions, 1)
    edition, books = stored.edition, place.books()
    assert edition.period == WEEK
    assert edition.load_seq == books.versions()["load_seq"]
    assert edition.versions["usage_records"] == books.versions()["usage_records_version"]
    assert edition.registry_revision == place.registry.revision
    assert Registry.model_validate_json(stored.files[REGISTRY]) == place.registry
    plots = {f"plot-{name}.{ending}" for name in edition.plots for ending in ("svg", "png")}
    assert len(plots) == 4
    assert plots <= set(stored.files)
    kept = rows.from_parquet(stored.files[ROWS]).to_pylist()
    counted = [
        row
        for row in kept
        if row["day"] >= WEEK.first
        and row["in_grid"]
        and (row["counted"] or (row["counted"] is None and row["level"] == "batch"))
    ]
    found = production(books, WEEK, MEETING)
    assert sum(row["core_seconds"] for row in counted) == total(found.ledger.now).core_seconds > 0


def test_a_registry_reads_back_what_it_wrote() -> None:
    registry = Registry.model_validate(
        {
            "vos": [{"name": "fermilab", "experiments_period": "2 weeks", "experiments": [{"name": "nova"}]}],
            "resources": [
                {"name": "alpha", "count_level": [{"from": "2017-01-01", "level": "payload"}], "benchmarks": [{"hs06": 10.5}]},
                {"name": "beta", "count_level": "batch", "disabled": True, "owners": {"cms": 12.5}},
            ],
            "downtimes": [{"resource": "beta", "from": "2017-01-01T00:00:00+01:00"}],
            "mapping": [{"when": {"account": "a*"}, "vo": "fermilab"}],
        }
    )  # fmt: skip
    back = Registry.model_validate_json(registry.model_dump_json(by_alias=True, exclude_none=True))
    assert back == registry
    assert back.revision == registry.revision


def test_one_changed_byte_is_noticed_and_refused(home: InventedHome) -> None:
    run(home, "publish", "production", *WHEN)
    page = storing.place_of(home.home.editions, 1) / "report.twiki"
    page.chmod(0o644)
    page.write_bytes(b"!" + page.read_bytes()[1:])
    refused = run(home, "report", "production", "--edition", "1", expect=1)
    assert isinstance(refused.exception, EditionDamaged)
    assert "restore its folder from a backup" in str(refused.exception)
    listed = run(home, "editions", expect=1)
    assert "damaged" in listed.output


def test_who_makes_the_checksum_fit_the_change_is_told_by_the_register(home: InventedHome) -> None:
    run(home, "publish", "production", *WHEN)
    place = storing.place_of(home.home.editions, 1)
    for path in place.iterdir():
        path.chmod(0o644)
    (place / "report.csv").write_text("vo,core_hours\ncms,9\n")
    files = {path.name: path.read_bytes() for path in place.iterdir() if path.name != "SHA256"}
    (place / "SHA256").write_text(checksum_of(files) + "\n")
    with pytest.raises(EditionDamaged, match="published with"):
        storing.read(wired(home.home.path).database(), home.home.editions, 1)


def test_an_edition_whose_folder_is_gone_is_missed(home: InventedHome) -> None:
    run(home, "publish", "production", *WHEN)
    storing.place_of(home.home.editions, 1).rename(home.home.path / "elsewhere")
    refused = run(home, "report", "production", "--edition", "1", expect=1)
    assert "cannot be read" in str(refused.exception)
    run(home, "publish", "production", *WHEN)
    assert storing.numbers(home.home.editions) == [2]  # no number is given twice


def test_editions_are_listed_and_each_is_in_the_audit(home: InventedHome) -> None:
    assert json.loads(run(home, "editions", "--json").stdout) == []
    run(home, "publish", "production", *WHEN)
    run(home, "publish", "site-vo", "--month", "2017-01", "--as-of", "2017-02-08")
    run(home, "publish", "trends", "--month", "2017-01", "--as-of", "2017-02-08")
    listed = json.loads(run(home, "editions", "--json").stdout)
    assert [(one["edition"], one["report"], one["state"]) for one in listed] == [
        (1, "production", "whole"),
        (2, "site-vo", "whole"),
        (3, "trends", "whole"),
    ]
    assert "31 Jan – 6 Feb 2017" in run(home, "editions").stdout
    with reading(wired(home.home.path).database()) as connection:
        acts = audit.entries(connection, act="edition")
    assert [(entry.subject, entry.details["checksum"]) for entry in reversed(acts)] == [
        (str(one["edition"]), one["checksum"]) for one in listed
    ]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("production", "--edition", "7"), "there is no edition 7; there are 1"),
        (("trends", "--edition", "1"), "edition 1 is a production report"),
        (("production", "--edition", "1", "--format", "xlsx"), "no format 'xlsx'"),
        (("production", "--edition", "1", "--week", "2017-01-31"), "leave out the other options"),
    ],
)
def test_what_cannot_be_given_is_refused_in_a_sentence(
    home: InventedHome, arguments: tuple[str, ...], sentence: str
) -> None:
    run(home, "publish", "production", *WHEN)
    refused = run(home, "report", *arguments, expect=1)
    assert isinstance(refused.exception, UserMistake)
    assert sentence in str(refused.exception)


def test_asking_for_an_edition_makes_no_database(tmp_path: Path) -> None:
    place = Path(tmp_path / "empty")
    (place / "lake").mkdir(parents=True)
    with pytest.raises(UserMistake, match="there is none yet"):
        storing.read(None, place / "editions", 1)
    assert sorted(path.name for path in place.iterdir()) == ["lake"]


def made(number: int) -> tuple[Edition, dict[str, bytes]]:
    edition = Edition(
        number=number, report="production", title="A week", federation="Sample", period=WEEK, source="jobs", as_of=MEETING, made_at=now(),
        made_by="local alice", program="0", formats=("twiki",), plots=(), versions={}, load_seq=3, records_id="x", registry_revision=5,
    )  # fmt: skip
    return edition, {FACTS: edition.as_json(), "report.twiki": b"words"}


def test_what_an_edition_says_of_itself_reads_back(database: sa.Engine) -> None:
    edition, _ = made(4)
    assert edition_of(edition.as_json()) == edition


def test_several_who_publish_at_once_get_a_number_each(database: sa.Engine, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        kept = [
            pool.submit(storing.keep, database, tmp_path / "editions", made, "local alice") for _ in range(4)
        ]
    assert sorted(one.result()[0].number for one in kept) == [1, 2, 3, 4]
    assert storing.numbers(tmp_path / "editions") == [1, 2, 3, 4] == sorted(storing.registered(database))


def test_a_folder_that_cannot_be_written_leaves_no_trace(database: sa.Engine, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "editions").write_text("a file in its place")
    else:
        (tmp_path / "editions").mkdir(mode=0o555)
    with pytest.raises(storing.CannotPublish, match="try again") as refused:
        storing.keep(database, tmp_path / "editions", made, "local alice")
    assert not refused.value.permanent
    assert storing.registered(database) == {}
    with reading(database) as connection:
        assert audit.entries(connection, act="edition") == []


def test_what_a_killed_publisher_left_is_removed(database: sa.Engine, tmp_path: Path) -> None:
    left = tmp_path / "editions" / ".0001.abc.part"
    left.mkdir(parents=True)
    (left / "report.twiki").write_bytes(b"half")
    storing.keep(database, tmp_path / "editions", made, "local alice")
    assert sorted(path.name for path in (tmp_path / "editions").iterdir()) == ["0001"]


def test_the_checksum_is_of_names_lengths_and_bytes() -> None:
    files: dict[str, Any] = {"a": b"bc", "d": b""}
    others = [{"a": b"b", "cd": b""}, {"a": b"bc"}, {"ab": b"c", "d": b""}, {"a": b"bc", "d": b"\0"}]
    assert len({checksum_of(files), *map(checksum_of, others)}) == 5
    assert checksum_of(dict(reversed(files.items()))) == checksum_of(files)


def test_a_restatement_says_what_came_late_and_what_was_corrected(home: InventedHome) -> None:
    run(home, "publish", "production", *WHEN)
    home.slurm("Nebraska-Red", [Job(9000, at("2017-02-01T10:00"), 7, 8, "cms")], at("2017-03-01T10:00"))
    (home.home.path / "corrections").mkdir()
    (home.home.path / "corrections" / "2017.yaml").write_text(CORRECTION, encoding="utf-8")
    run(home, "corrections", "apply", str(home.home.path / "corrections" / "2017.yaml"))
    said = json.loads(run(home, "restate", "1", "--json", "--check").stdout)
    assert said["recount_agrees"] is True
    assert said["order"] == ["late", "revision", "correction", "topology", "unexplained"]
    causes = {cause: amounts["core_seconds"] for cause, amounts in said["total"]["causes"].items()}
    assert causes["late"] == 7 * 8 * 3600
    assert causes["correction"] == -(7 * 10 + 7) * 4 * 3600
    assert causes["revision"] == causes["topology"] == causes["unexplained"] == 0
    assert (
        said["total"]["then"]["core_seconds"] + sum(causes.values()) == said["total"]["today"]["core_seconds"]
    )
    assert said["corrections_added"] == ["nebraska-cores"]
    table = run(home, "restate", "1", "--by", "site", "--measure", "jobs")
    assert "Nebraska" in table.stdout
    assert "of this period, 1 record came after append" in table.stderr


def test_reported_sums_are_not_restated(home: InventedHome) -> None:
    run(home, "publish", "site-vo", "--month", "2017-01", "--source", "reported")
    refused = run(home, "restate", "1", expect=1)
    assert "sums that others reported" in str(refused.exception)

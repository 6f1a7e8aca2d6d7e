"""`lake verify` finds what a disk, a hand or a power cut did to the lake, names the file, and says what mends it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.errors import LakeDamaged, UserMistake
from tests.formats.cases import CASES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
TOTALS = "SELECT COUNT(*) AS jobs, CAST(SUM(wall_duration_s) AS BIGINT) AS wall FROM usage_records"


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with records of several formats, by APEL's sums and storage, too."""
    home = tmp_path_factory.mktemp("whole") / "home"
    CliRunner().invoke(app, ["init", str(home)])
    for name in ("sacct", "gratia-xml", "apel"):
        files = [str(path) for path in sorted((CASES / name).glob("*/input.*"))]
        CliRunner().invoke(app, ["--home", str(home), "load", "--format", name, *files])
    return home


@pytest.fixture
def home(books: Path, tmp_path: Path) -> Path:
    shutil.copytree(books, tmp_path / "home")
    return tmp_path / "home"


def verified(home: Path) -> tuple[int, list[dict[str, Any]]]:
    outcome = CliRunner().invoke(app, ["--home", str(home), "lake", "verify", "--json"])
    return outcome.exit_code, json.loads(outcome.stdout)


def bad(home: Path) -> dict[str, str]:
    code, findings = verified(home)
    assert code == 1
    return {finding["check"]: finding["found"] for finding in findings if finding["ok"] is False}


def biggest(home: Path, table: str) -> Path:
    return max((home / "lake" / table).rglob("*.parquet"), key=lambda path: path.stat().st_size)


def said(home: Path, *words: str) -> str:
    error = CliRunner().invoke(app, ["--home", str(home), *words]).exception
    assert isinstance(error, LakeDamaged), error
    assert error.permanent
    return str(error)


def test_a_whole_lake_is_found_whole_before_and_after_its_files_are_joined(home: Path) -> None:
    assert verified(home)[0] == 0
    CliRunner().invoke(app, ["--home", str(home), "lake", "compact"])
    code, findings = verified(home)
    assert code == 0
    assert all(finding["ok"] for finding in findings)


def test_a_truncated_file_is_named_with_its_remedy_and_what_needs_it_is_skipped(home: Path) -> None:
    path = biggest(home, "usage_records")
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    code, findings = verified(home)
    (wrong,) = (finding for finding in findings if finding["ok"] is False)
    assert code == 1
    assert str(path) in wrong["found"]
    assert "restore it from a backup" in wrong["found"]
    assert "gridkeeper replay" in wrong["found"]
    skipped = {finding["check"] for finding in findings if finding["ok"] is None}
    assert {"identities of usage_records", "usage_daily_end equals its records"} <= skipped
    assert str(path) in said(home, "lake", "sql", TOTALS)


def test_a_file_that_was_removed_is_named_and_asking_again_will_not_help(home: Path) -> None:
    path = biggest(home, "usage_records")
    path.unlink()
    assert f"{path} is not there" in bad(home)["file of usage_records"]
    assert f"{path} is not there" in said(home, "lake", "sql", TOTALS)


@pytest.mark.parametrize("table", ["usage_records", "usage_daily_end", "archive"])
def test_zeros_anywhere_in_a_file_are_found(home: Path, table: str) -> None:
    path = biggest(home, table)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in range(4, footer, footer // 12):
        path.write_bytes(whole[:place] + b"\0" * 200 + whole[place + 200 :])
        found = bad(home)
        assert str(path) in found.pop(f"file of {table}"), place


def test_a_record_that_does_not_have_its_hash_is_found_in_a_file_without_checksums(home: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = biggest(home, "usage_records")
    rows = pq.read_table(path, partitioning=None)
    place = rows.schema.get_field_index("wall_duration_s")
    changed = pa.array([value + 1 for value in rows["wall_duration_s"].to_pylist()], pa.int64())
    pq.write_table(rows.set_column(place, rows.schema.field(place), changed), path)
    log = home / "lake/usage_records/_delta_log"
    for entry in log.glob("*.json"):  # the log must not be what tells
        text = entry.read_text().splitlines()
        for index, line in enumerate(text):
            said_of = json.loads(line)
            if said_of.get("add", {}).get("path", "").endswith(path.name):
                said_of["add"]["size"] = path.stat().st_size
                text[index] = json.dumps(said_of)
        entry.write_text("\n".join(text) + "\n")
    assert "not what was written" in bad(home)["file of usage_records"]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b'{"add": garb', "cannot be read"), (b"\0\0\0", "cannot be read"), (b"", "is empty")],
)
def test_a_damaged_entry_of_a_log_is_named_in_one_sentence(home: Path, content: bytes, why: str) -> None:
    entry = max((home / "lake/usage_records/_delta_log").glob("*.json"))
    entry.write_bytes(content)
    assert f"{entry} {why}" in bad(home)["log of usage_records"]
    if content:  # an empty entry opens as a table without its records, which only `verify` can know
        (path,) = (CASES / "sacct" / "requeued").glob("input.*")
        for words in (("usage",), ("load", str(path))):
            sentence = said(home, *words)
            assert str(entry) in sentence
            assert "\n" not in sentence
            assert "unknown" not in sentence


def test_a_checkpoint_or_an_entry_that_is_missing_is_found(home: Path) -> None:
    log = home / "lake/usage_daily_end/_delta_log"
    (log / "00000000000000000000.json").unlink()
    assert "00000000000000000000.json is not there" in bad(home)["log of usage_daily_end"]
    CliRunner().invoke(app, ["--home", str(home), "lake", "compact"])
    (checkpoint,) = (home / "lake/usage_records/_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert str(checkpoint) in bad(home)["log of usage_records"]


@pytest.mark.parametrize(
    ("table", "by"),
    [
        ("usage_daily_brief", "vo"),
        ("usage_daily_end", "day,processors"),
        ("usage_monthly_end", "processors"),
    ],
)
def test_a_damaged_summary_is_made_anew_from_the_records_as_the_remedy_says(
    home: Path, table: str, by: str
) -> None:
    asked = ["usage", "--by", by, "--format", "json"]
    before = json.loads(CliRunner().invoke(app, ["--home", str(home), *asked]).stdout)
    path = biggest(home, table)
    path.write_bytes(path.read_bytes()[:50])
    assert str(path) in said(home, *asked)
    assert f"move {home / 'lake' / table} away" in bad(home)[f"file of {table}"]
    shutil.move(home / "lake" / table, home / "aside")
    outcome = CliRunner().invoke(app, ["--home", str(home), *asked])
    assert json.loads(outcome.stdout) == before
    assert verified(home)[0] == 0


@pytest.mark.parametrize("table", ["usage_records", "usage_reported", "storage_space"])
def test_lost_records_are_made_anew_from_the_archive_as_the_remedy_says(home: Path, table: str) -> None:
    def contents() -> Any:
        sql = f"SELECT identity, content_hash FROM {table} ORDER BY identity"
        return wired(home).lake.snapshot().select(sql).to_pylist()

    before = contents()
    assert before
    shutil.move(home / "lake" / table, home / "aside")
    received = wired(home).lake.snapshot().select("SELECT MAX(received_at) AS at FROM archive")
    day = f"{received['at'][0].as_py():%Y-%m-%d}"
    outcome = CliRunner().invoke(app, ["--home", str(home), "replay", "--from", day, "--to", day])
    assert outcome.exit_code == 0, outcome.output
    assert contents() == before
    assert verified(home)[0] == 0


def test_a_wrong_statement_is_still_the_askers_mistake(home: Path) -> None:
    biggest(home, "usage_records").unlink()
    for statement in (
        "SELECT nothing FROM usage_daily_end",
        "SELECT CAST('x' AS INTEGER) FROM usage_reported",
    ):
        error = CliRunner().invoke(app, ["--home", str(home), "lake", "sql", statement]).exception
        assert isinstance(error, UserMistake), statement


def test_a_damaged_lake_stops_a_load_with_the_files_name(home: Path) -> None:
    for path in (home / "lake/usage_records").rglob("*.parquet"):
        path.write_bytes(b"PAR1")
    (source,) = (CASES / "sacct" / "requeued").glob("input.*")
    assert "is no whole Parquet file" in said(home, "load", str(source))

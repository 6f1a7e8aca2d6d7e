"""What a load is given that is no file of records, or not as it should be: pipes, byte order marks, junk, nothing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.formats.contract import SNIFF_BYTES
from gridkeeper.formats.registry import formats
from gridkeeper.intake.quarantine import Choice, entries
from gridkeeper.intake.retrying import retry

pytestmark = pytest.mark.slow
HEADER = "JobIDRaw|JobID|Cluster|Account|User|Submit|Start|End|ElapsedRaw|NCPUS|State|ExitCode\n"
SOURCES = Path(__file__).parents[2] / "src"


def line(number: int, end: str = "11:00:00") -> str:
    return f"{number}|{number}|alpha|hep|alice|2017-01-31T10:00:00|2017-01-31T10:00:00|2017-01-31T{end}|3600|2|COMPLETED|0:0\n"


class Keeper:
    """A home and the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        assert CliRunner().invoke(app, ["init", str(home)]).exit_code == 0

    def load(self, *arguments: object, given: bytes = b"", code: int = 0) -> Any:
        words = ["--home", str(self.home), "load", "--json", *map(str, arguments)]
        outcome = CliRunner().invoke(app, words, input=given)
        assert outcome.exit_code == code, outcome.output
        return json.loads(outcome.stdout)

    def told(self, *arguments: object) -> str:
        return CliRunner().invoke(app, ["--home", str(self.home), "load", *map(str, arguments)]).stderr

    def kept(self) -> list[Any]:
        return list(entries(wired(self.home).database(), Choice()))


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "home")


@pytest.mark.parametrize("packed", [False, True])
def test_a_dash_is_standard_input(keeper: Keeper, packed: bool) -> None:
    text = (HEADER + line(1)).encode()
    assert keeper.load("-", given=gzip.compress(text) if packed else text)["loaded"] == 1


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_the_output_of_a_command_is_loaded_as_it_comes(keeper: Keeper, name: str) -> None:
    words = [sys.executable, "-m", "gridkeeper", "--home", str(keeper.home), "load", "--json", name]
    text = (HEADER + "".join(map(line, range(3)))).encode()
    done = subprocess.run(
        words,
        input=text,
        capture_output=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
    )
    assert json.loads(done.stdout)["loaded"] == 3


def test_a_pipe_with_a_name_is_read_to_its_end(keeper: Keeper, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = HEADER + "".join(map(line, range(30_000)))  # more than any pipe holds at a time
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert keeper.load(pipe)["loaded"] == 30_000
    writer.join()


@pytest.mark.parametrize("named", ["auto", "sacct"])
def test_a_byte_order_mark_is_no_part_of_the_text(keeper: Keeper, tmp_path: Path, named: str) -> None:
    text = HEADER + line(1) + "garbage|\n"
    (tmp_path / "plain.psv").write_text(text)
    (tmp_path / "marked.psv").write_text(text, encoding="utf-8-sig")
    found = keeper.load("--format", named, tmp_path / "marked.psv")
    assert (found["loaded"], found["rules"]) == (1, {"truncated": 1})
    (refused,) = keeper.kept()
    assert (refused.line, refused.text) == (3, b"garbage|")
    assert keeper.load("--format", named, tmp_path / "plain.psv")["duplicates"] == 1


@pytest.mark.parametrize("named", ["auto", "sacct"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_refused_with_the_command_that_helps(
    keeper: Keeper, tmp_path: Path, named: str, encoding: str
) -> None:
    (tmp_path / "wide.psv").write_text(HEADER + line(1), encoding=encoding)
    found = keeper.load("--format", named, tmp_path / "wide.psv", code=1)
    assert (found["read"], found["rejected"], found["rules"]) == (1, 1, {"utf_16": 1})
    assert "iconv -f UTF-16 -t UTF-8" in found["unreadable"][0]


@pytest.mark.parametrize(
    ("data", "rule", "says"),
    [
        (b"Dear operator,\nplease find attached\n", "unknown_format", "no known format"),
        (bytes(range(256)) * 10, "binary_junk", "NUL bytes"),
        (b"BZh91AY&SY" + b"\x8a" * 50, "binary_junk", "bzip2"),
        (b"PK\x03\x04" + b"\0" * 50, "binary_junk", "a zip archive"),
        ("Überweisung an Jürgen\n".encode("latin-1"), "not_utf8", "byte 1 is no UTF-8"),
        (b"\x1f\x8b\x08\0broken", "truncated", "compressed"),
        (b" " * SNIFF_BYTES + b"x", "unknown_format", "no known format"),
    ],
)
def test_what_no_format_knows_is_counted_and_kept_under_its_rule(
    keeper: Keeper, tmp_path: Path, data: bytes, rule: str, says: str
) -> None:
    (tmp_path / "good.psv").write_text(HEADER + line(1))
    (tmp_path / "junk").write_bytes(data)
    found = keeper.load(tmp_path / "junk", tmp_path / "good.psv", code=1)
    assert (found["read"], found["loaded"], found["rejected"]) == (2, 1, 1)
    assert (found["rules"], found["kept_in"]) == ({rule: 1}, "quarantine")
    (sentence,) = found["unreadable"]
    assert sentence.startswith(f"{tmp_path / 'junk'}, line 1: ")
    assert says in sentence
    assert f"(rule {rule})" in sentence
    (kept,) = keeper.kept()
    assert (kept.rule, kept.source, kept.format) == (rule, str(tmp_path / "junk"), "auto")
    assert kept.text == (b"" if rule == "truncated" else data[:SNIFF_BYTES])


def test_what_no_format_knew_is_read_again_once_one_does(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.psv").write_text(HEADER + line(1))
    sacct = formats()["sacct"]
    with monkeypatch.context() as before:
        before.delitem(formats(), "sacct")
        keeper.load(tmp_path / "a.psv", code=1)
        place = wired(keeper.home)
        assert retry(place.database(), place.lake, Choice(), "local carol").refused == 1
    assert formats()["sacct"] is sacct
    assert retry(place.database(), place.lake, Choice(), "local carol").loaded == 1
    assert keeper.kept() == []


def test_a_file_without_a_header_is_refused_once_with_what_to_do(keeper: Keeper, tmp_path: Path) -> None:
    text = "".join(f"{number}|2017-01-31T10:00:00|2017-01-31T11:00:00|COMPLETED|alice\n" for number in range(9_000))  # fmt: skip
    (tmp_path / "a.psv").write_text(text)
    found = keeper.load("--format", "sacct", tmp_path / "a.psv")
    assert (found["read"], found["rules"]) == (1, {"unknown_header": 1})
    (kept,) = keeper.kept()
    assert "add a header (sacct without -n) or export those columns" in kept.reason
    assert kept.text_bytes == len(text)
    (tmp_path / "b.psv").write_text("JobID|Start|State\n1|2017-01-31T10:00:00|COMPLETED\n")
    keeper.load("--format", "sacct", tmp_path / "b.psv")
    assert "a header without End: export it, too" in {entry.reason for entry in keeper.kept()}


def test_one_damaged_line_before_xdmods_columns_is_refused_alone(keeper: Keeper, tmp_path: Path) -> None:
    (path,) = (Path(__file__).parents[1] / "data/formats/sacct/xdmod_without_header").glob("input.*")
    (tmp_path / "a.psv").write_bytes(b"101|101|east\n" + path.read_bytes())
    found = keeper.load("--format", "sacct", tmp_path / "a.psv")
    assert found["loaded"]
    assert found["rules"] == {"truncated": 1}


def test_a_job_of_no_cluster_is_refused_with_the_option_that_names_it(keeper: Keeper, tmp_path: Path) -> None:
    header = HEADER.replace("Cluster|", "")
    (tmp_path / "a.psv").write_text(header + line(1).replace("alpha|", "") + line(2).replace("alpha|", ""))
    assert keeper.load(tmp_path / "a.psv")["rules"] == {"no_resource": 2}
    assert "which machine or cluster" in keeper.told(tmp_path / "a.psv")
    assert "name the machine with --resource" in keeper.told(tmp_path / "a.psv")
    assert keeper.load("--resource", "alpha", tmp_path / "a.psv")["loaded"] == 2


def test_sentences_come_in_the_order_of_the_lines(keeper: Keeper, tmp_path: Path) -> None:
    broken = [
        line(1, "09:00:00"),
        "garbage|\n",
        line(2).replace("3600", "-3600"),
        line(3, "09:30:00"),
        "more|\n",
    ]
    (tmp_path / "a.psv").write_text(HEADER + "".join(broken))
    told = keeper.told(tmp_path / "a.psv").splitlines()
    assert [sentence.split(", line ")[1].split(":")[0] for sentence in told[:5]] == ["2", "3", "4", "5", "6"]


def test_a_load_that_finds_nothing_says_so(keeper: Keeper, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "header.psv").write_text(HEADER)
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.psv").write_text(HEADER + line(1))
    paths = [tmp_path / name for name in ("empty", "header.psv", "folder", "good.psv")]
    found = keeper.load(*paths, "/dev/null")
    assert found["warnings"] == [
        f"{tmp_path / 'folder'}: there is no file in this folder",
        f"{tmp_path / 'empty'}: no record was found in it",
        f"{tmp_path / 'header.psv'}: no record was found in it",
        "/dev/null: no record was found in it",
    ]
    assert "header.psv: no record was found in it" in keeper.told(tmp_path / "header.psv")
    assert keeper.load("--strict", tmp_path / "empty", code=1)["read"] == 0
    assert keeper.load("--strict", tmp_path / "good.psv")["warnings"] == []


def test_of_many_files_without_a_record_the_first_ones_are_named(keeper: Keeper, tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number:02}").touch()
    warnings = keeper.load(*sorted(tmp_path.glob("[0-9]*")))["warnings"]
    assert len(warnings) == 11
    assert warnings[-1] == "and 15 more files without a record"

"""PBS accounting files: which lines are runs, how their fields are read, and that real lines come out."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.formats import pbs_values
from gridkeeper.formats.pbs import FORMAT, SKIPPED
from gridkeeper.records.rules import Rule
from tests.formats.cases import parse
from tests.shared_material import shared

if TYPE_CHECKING:
    from gridkeeper.records.draft import Parsed

START, END = 1740823200, 1740826800
FIELDS = {
    "user": "alice", "group": "physics", "queue": "batch", "ctime": str(START - 60), "start": str(START),
    "exec_host": "wn1/0", "end": str(END), "Exit_status": "0", "resources_used.walltime": "01:00:00",
}  # fmt: skip


def line(kind: str = "E", job: str = "17.pbs.example.org", stamp: str = "03/01/2025 11:00:00", **changed: Any) -> str:  # fmt: skip
    fields = FIELDS | {key.replace("__", "."): value for key, value in changed.items()}
    text = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
    return f"{stamp};{kind};{job};{text}\n"


def parsed(text: str) -> Parsed:
    (piece,) = parse(FORMAT, text.encode())
    return piece


def rows(text: str) -> list[dict[str, Any]]:
    return [row for table in parsed(text).tables.values() for row in table.to_pylist()]


def test_the_time_a_line_begins_with_means_nothing() -> None:
    one, other = rows(line()) + rows(line(stamp="12/31/1999 23:59:59"))
    assert one == other


def test_a_requeued_job_is_two_runs_and_a_repeated_line_is_one() -> None:
    first = line("R", start=START, end=START + 600, Exit_status="-11", run_count="1")
    second = line(start=START + 900, run_count="2")
    runs = rows(first + second + second)
    assert [run["outcome"] for run in runs] == ["requeued", "success", "success"]
    assert len({run["identity"] for run in runs}) == 2
    assert runs[1]["content_hash"] == runs[2]["content_hash"]


def test_a_correction_of_a_run_keeps_its_identity() -> None:
    early, late = rows(line(Exit_status="271") + line(end=END + 134))
    assert early["identity"] == late["identity"]
    assert early["content_hash"] != late["content_hash"]


def test_the_same_number_years_later_and_the_tasks_of_an_array_are_other_jobs() -> None:
    text = (
        line() + line(ctime=str(START - 50_000_000)) + line(job="18[1].pbs.example.org") + line(job="18[2].pbs.example.org")
    )  # fmt: skip
    found = rows(text)
    assert len({row["identity"] for row in found}) == 4
    assert [row["array_task"] for row in found] == [None, None, "18[1]", "18[2]"]
    assert str(found[0]["identity_day"]) == "2025-03-01"


@pytest.mark.parametrize("kind", sorted(SKIPPED))
def test_a_line_that_ends_no_run_is_skipped_and_never_read(kind: str) -> None:
    piece = parsed(line(kind))
    assert not piece.tables
    assert not piece.rejects
    assert piece.skipped.total() == 1


def test_the_end_of_a_run_in_an_abort_is_not_counted_beside_its_end_line() -> None:
    assert len(rows(line() + line("A") + line("D"))) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("19:23:4", 69_784), ("12767", 12_767), ("120:00:00", 432_000), ("3:20", 200), ("00:00:00", 0), ("1.5", 1.5)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert pbs_values.duration_us(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "1:2:3:4", "1h", "01:00:", ":30", "1e3", "²"])
def test_what_is_no_duration(text: str) -> None:
    assert pbs_values.duration_us(text) is None


@pytest.mark.parametrize(
    ("exec_host", "hosts", "slots"),
    [
        ("a/0+a/1+b/0", ["a", "b"], 3),
        ("a/0*8+b/1*8", ["a", "b"], 16),
        ("a/0-3,7", ["a"], 5),
        ("a/0", ["a"], 1),
        ("a/0*0", ["a"], 0),
        ("a/3-1", ["a"], None),
        ("a", ["a"], None),
        ("a/999999999*999999999", ["a"], 999_999_999),
        ("+", [], None),
    ],
)
def test_where_a_job_ran(exec_host: str, hosts: list[str], slots: int | None) -> None:
    assert pbs_values.hosts_and_slots(exec_host) == (hosts, slots)


@pytest.mark.parametrize(
    ("text", "size"),
    [("2031040kb", 2_079_784_960), ("15gb", 15 << 30), ("1TB", 1 << 40), ("0b", 0), ("2mw", 16 << 20), ("42", None), ("kb", None)],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    assert pbs_values.size_bytes(text) == size


@pytest.mark.parametrize(
    ("status", "extra", "outcome"),
    [
        ("0", {}, "success"),
        ("1", {}, "failed"),
        ("271", {}, "cancelled"),
        ("271", {"Resource_List__walltime": "00:30:00"}, "timeout"),
        ("265", {}, "failed"),
        ("-1", {}, "failed"),
        ("-4", {}, "node_fail"),
        ("-11", {}, "timeout"),
        ("-10", {}, "out_of_memory"),
        ("-10", {"run_count": "1"}, "failed"),
        ("-29", {"run_count": "1"}, "timeout"),
        ("-27", {"Resource_List__select": "1:ncpus=1"}, "out_of_memory"),
        ("oops", {}, "unknown"),
        (None, {}, "unknown"),
    ],
)
def test_how_a_job_ended(status: str | None, extra: dict[str, str], outcome: str) -> None:
    (row,) = rows(line(Exit_status=status, **extra))
    assert row["outcome"] == outcome
    assert row["status_reported"] == status


def test_a_cut_last_line_is_refused_and_the_others_count() -> None:
    whole, cut = parse(FORMAT, (line() + line(job="18.pbs.example.org")).rstrip("\n").encode())
    assert [len(table) for table in whole.tables.values()] == [1]
    assert not cut.tables
    assert [(reject.rule, reject.line) for reject in cut.rejects] == [(Rule.TRUNCATED, 2)]


def test_a_line_of_blanks_and_quotes_without_end_takes_no_time() -> None:
    text = line().rstrip("\n") + ' account="' + " x" * 500_000 + " " * 500_000 + "'\n"
    began = time.monotonic()
    (row,) = rows(text)
    assert time.monotonic() - began < 5
    assert row["local_user"] == "alice"


def test_a_huge_number_is_refused_and_nothing_raises() -> None:
    for key in (*FIELDS, "qtime", "resources_used.cput", "resources_used.mem", "Resource_List.ncpus", "Resource_List.nodect",
                "Resource_List.ngpus", "Resource_List.nodes", "Resource_List.select", "Resource_List.walltime"):  # fmt: skip
        for value in ("9" * 40, "9" * 18, "-" + "9" * 18, "1e300", "9" * 18 + "pb", "²", ""):
            for table in parsed(line(**{key.replace(".", "__"): value})).tables.values():
                table.validate(full=True)


@given(st.text(max_size=60))
def test_values_of_any_text_never_raise(text: str) -> None:
    pbs_values.duration_us(text)
    pbs_values.size_bytes(text)
    pbs_values.hosts_and_slots(text)
    pbs_values.requested(text, "ppn", "gpus")
    pbs_values.outcome(text, "torque", False)
    parsed(line(jobname=text.replace("\n", " ")))


def _fixtures() -> list[dict[str, Any]]:
    found = json.loads(shared("apel/parser_fixtures.json").read_text(encoding="utf-8"))
    return [each for each in found if each["parser"] == "PBSParser"]


def test_real_lines_come_out_as_apel_reads_them() -> None:
    checked = 0
    for each in _fixtures():
        piece = parsed(each["line"] + "\n")
        if not isinstance(each["result"], dict):
            assert not piece.tables or not any(map(len, piece.tables.values()))
            continue
        ((row,),) = [table.to_pylist() for table in piece.tables.values()]
        expected = each["result"]
        assert row["local_job_id"] == expected["JobName"]
        assert (row["local_user"], row["unix_group"]) == (expected["LocalUserID"], expected["LocalUserGroup"])
        assert row["start_time"] == datetime.fromisoformat(expected["StartTime"])
        assert row["end_time"] == datetime.fromisoformat(expected["StopTime"])
        assert row["wall_duration_s"] == expected["WallDuration"]
        assert row["cpu_user_us"] == expected["CpuDuration"] * 1_000_000
        assert row["memory_bytes"] == expected["MemoryReal"] * 1024
        if each["opts"]["_mpi"]:  # else APEL does not look
            assert (row["processors"], row["node_count"]) == (expected["Processors"], expected["NodeCount"])
        checked += 1
    assert checked == 8

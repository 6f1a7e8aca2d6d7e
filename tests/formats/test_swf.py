"""Workload traces: every job of a real grid's twelve days comes out, and what the header says holds."""

from __future__ import annotations

import gzip
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.formats.swf import COLUMNS, FORMAT
from gridkeeper.records.draft import Delivery
from tests.formats.cases import RECEIVED, parse
from tests.shared_material import shared

HEADER = "; Computer: Example Cluster\n; UnixStartTime: 1709251200\n; Partition: 1 east\n"
GOOD = {
    "job": 1,
    "submit": 10,
    "wait": 5,
    "run": 100,
    "processors": 4,
    "cpu": 90,
    "status": 1,
    "user": 1,
    "partition": 1,
}


def line(**changed: Any) -> str:
    fields = GOOD | changed
    return " ".join(str(fields.get(name, -1)) for name in COLUMNS) + "\n"


def rows(text: str) -> list[dict[str, Any]]:
    return [
        row
        for piece in parse(FORMAT, text.encode())
        for table in piece.tables.values()
        for row in table.to_pylist()
    ]


def test_cpu_time_is_given_per_processor_and_kept_for_the_whole_job() -> None:
    (row,) = rows(HEADER + line())
    assert row["cpu_user_us"] == 4 * 90 * 1_000_000


def test_an_unknown_wait_means_that_the_job_started_when_it_was_submitted() -> None:
    known, unknown = rows(HEADER + line() + line(job=2, wait=-1))
    assert (known["start_time"] - known["submit_time"]).total_seconds() == 5
    assert unknown["start_time"] == unknown["submit_time"]


def test_requested_processors_count_where_the_used_ones_are_unknown() -> None:
    (row,) = rows(HEADER + line(processors=-1, processors_requested=16))
    assert row["processors"] == 16


def test_a_partition_without_a_name_is_one_of_the_computer() -> None:
    named, numbered, none = rows(HEADER + line() + line(partition=9) + line(partition=-1))
    assert named["resource"] == "east"
    assert numbered["resource"] == "Example Cluster partition 9"
    assert none["resource"] == "Example Cluster"


def test_parts_of_a_checkpointed_job_are_not_added_to_the_whole_job() -> None:
    (parsed,) = parse(FORMAT, (HEADER + line() + line(run=60, status=2) + line(run=40, status=4)).encode())
    assert pc.sum(parsed.tables["usage_records"]["wall_duration_s"]).as_py() == 100
    assert parsed.skipped == {"partial_execution": 2}


def test_the_header_holds_for_every_block_however_it_is_cut() -> None:
    text = HEADER + "".join(line(job=number) for number in range(200))
    resources = {
        resource
        for piece in parse(FORMAT, text.encode(), block_bytes=64)
        for table in piece.tables.values()
        for resource in table["resource"].to_pylist()
    }
    assert resources == {"east"}


@settings(deadline=None)
@given(st.lists(st.sampled_from([" ", "   ", "\t", " \t "]), min_size=17, max_size=17))
def test_any_blanks_between_fields_mean_the_same(blanks: list[str]) -> None:
    fields = line().split()
    loose = "".join(field + blank for field, blank in zip(fields, [*blanks, "  \r\n"], strict=True))
    assert [row["identity"] for row in rows(HEADER + "  " + loose)] == [row["identity"] for row in rows(HEADER + line())]  # fmt: skip


def test_a_huge_number_is_refused_and_nothing_raises() -> None:
    for name in COLUMNS:
        for value in ("9" * 40, "9" * 18, "-" + "9" * 18, "1e300"):
            for piece in parse(FORMAT, (HEADER + line(**{name: value})).encode()):
                for table in piece.tables.values():
                    table.validate(full=True)


def test_every_job_of_the_real_grid_trace_comes_out() -> None:
    data = gzip.decompress(shared("traces/LCG.swf.gz").read_bytes())
    assert FORMAT.recognise(data[:65536])
    pieces = [FORMAT.parse(block, Delivery(RECEIVED)) for block in FORMAT.blocks(BytesIO(data))]
    assert not any(piece.rejects or piece.skipped for piece in pieces)
    jobs = pa.concat_tables(piece.tables["usage_records"] for piece in pieces)
    assert len(jobs) == 188_041
    assert pc.sum(jobs["wall_duration_s"]).as_py() == 1_502_530_759
    assert pc.count_distinct(jobs["resource"]).as_py() == 170
    assert pc.count_distinct(jobs["vo_reported"]).as_py() == 28
    assert pc.count_distinct(jobs["identity"]).as_py() == 188_041
    assert pc.count_distinct(jobs["local_user"]).as_py() == 216
    assert pc.min(jobs["submit_time"]).as_py().isoformat() == "2005-11-20T00:00:05+00:00"
    assert jobs.slice(0, 1).to_pylist()[0]["resource"] == "grid.ici.ro"

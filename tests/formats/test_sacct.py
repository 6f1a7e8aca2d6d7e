"""sacct's text: what a real Slurm wrote comes out to the second, and odd fields never end a load."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.formats import slurm_fields
from gridkeeper.formats.sacct import FORMAT
from gridkeeper.formats.sacct_columns import XDMOD_COLUMNS
from gridkeeper.records.draft import Delivery, Parsed
from tests.formats.cases import parse
from tests.shared_material import shared

GOOD = {
    "JobID": "7",
    "Cluster": "east",
    "User": "alice",
    "Submit": "2025-09-01T10:00:00",
    "Start": "2025-09-01T10:00:10",
    "End": "2025-09-01T11:00:10",
    "Elapsed": "01:00:00",
    "State": "COMPLETED",
    "NCPUS": "2",
    "TotalCPU": "01:30:00",
    "AllocTRES": "cpu=2",
    "ExitCode": "0:0",
    "NNodes": "1",
    "MaxRSS": "",
    "NodeList": "n1",
    "JobName": "fit",
}


def text(*jobs: dict[str, str]) -> bytes:
    return "".join(
        "|".join(line) + "\n" for line in (GOOD, *((GOOD | job).values() for job in jobs))
    ).encode()


def rows(data: bytes) -> list[dict[str, Any]]:
    return [row for piece in parse(FORMAT, data) for table in piece.tables.values() for row in table.to_pylist()]  # fmt: skip


fields = st.one_of(
    st.sampled_from(["", "Unknown", "None", "-1", "9" * 25, "1e999", "00:00", "-00:01:00", "x=y", "gres/gpu=9e9", "2025-02-30T00:00:00", "٣"]),
    st.text(st.characters(exclude_characters="\n|", exclude_categories=["Cs"]), max_size=8),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(GOOD)), fields, max_size=3))
def test_whatever_a_field_holds_the_job_beside_it_is_read_and_nothing_raises(odd: dict[str, str]) -> None:
    pieces = parse(FORMAT, text({}, odd))
    assert sum(len(table) for piece in pieces for table in piece.tables.values()) >= 1
    assert sum(piece.read for piece in pieces) >= 1


def test_each_run_of_a_requeued_job_is_a_record_of_its_own() -> None:
    first, again = rows(text({"State": "REQUEUED"}, {"Submit": "2025-09-01T11:00:10"}))
    assert first["local_job_id"] == again["local_job_id"]
    assert first["identity"] != again["identity"]


def test_a_run_reported_twice_is_the_same_record_even_when_corrected() -> None:
    first, again = rows(text({}, {"Elapsed": "00:59:00"}))
    assert first["identity"] == again["identity"]
    assert first["content_hash"] != again["content_hash"]


def test_a_pipe_or_a_carriage_return_in_a_job_name_moves_no_field() -> None:
    plain, piped, returned = rows(text({}, {"JobName": "a|b|c"}, {"JobName": "a\rb"}))
    for row in (piped, returned):
        assert row["content_hash"] == plain["content_hash"]


def test_gpu_memory_is_not_taken_for_a_gpu() -> None:
    assert slurm_fields.gpus("cpu=8,gres/gpumem=4000,gres/gpuutil=3") == (None, None)
    assert slurm_fields.gpus("gres/gpu:a100=2,gres/gpu=2") == (2, "a100")
    assert slurm_fields.gpus("gres/gpu:a100=2,gres/gpu:t4=1") == (3, "a100,t4")


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [
        ("2940K", 2_940 * 1024),
        ("1.5G", 1_610_612_736),
        ("12", 12),
        ("16?", None),
        ("1e999G", None),
        ("", None),
    ],
)
def test_memory_is_read_in_powers_of_1024_or_not_known(written: str, bytes_: int | None) -> None:
    assert slurm_fields.memory_bytes(written) == bytes_


def test_a_job_that_was_cancelled_before_it_ran_is_skipped_even_without_a_node_list() -> None:
    (parsed,) = parse(
        FORMAT, b"JobID|Start|End|State|Elapsed\n7|None|2025-09-01T10:00:00|CANCELLED by 0|00:00:00\n"
    )
    assert parsed.skipped == {"never_ran": 1}


def real(name: str) -> Parsed:
    received = Delivery(datetime(2026, 12, 1, tzinfo=UTC))
    (parsed,) = parse(FORMAT, shared(name).read_bytes(), received)
    return parsed


@pytest.mark.parametrize("name", ["slurm/sacct_core.psv", "slurm/sacct_xdmod_format.psv"])
def test_a_real_slurm_gives_the_known_totals_by_account_and_user(name: str) -> None:
    known = json.loads(shared("slurm/slurm_real_expected.json").read_text())
    parsed = real(name)
    assert not parsed.rejects
    assert parsed.skipped == {"never_ran": known["never_started"]}
    sums: dict[str, Counter[str]] = {}
    for row in parsed.tables["usage_records"].to_pylist():
        wall = row["wall_duration_s"]
        sums.setdefault(f"{row['account']}|{row['local_user']}", Counter()).update(
            runs=1, wall_s=wall, core_s=wall * row["processors"], gpu_s=wall * (row["gpus"] or 0)
        )
    expected = {
        who: {key: total[key] for key in ("runs", "wall_s", "core_s", "gpu_s")}
        for who, total in known["ended_by_account_user"].items()
    }
    assert sums == expected
    assert sum(total["core_s"] for total in sums.values()) == known["ended_total"]["core_s"] == 28_741


def test_both_real_exports_name_the_same_runs() -> None:
    core, xdmod = real("slurm/sacct_core.psv"), real("slurm/sacct_xdmod_format.psv")
    identities = [set(parsed.tables["usage_records"]["identity"].to_pylist()) for parsed in (core, xdmod)]
    assert identities[0] == identities[1]
    assert len(identities[0]) == 410


def test_steps_in_a_real_export_of_all_fields_are_skipped_and_pipes_that_cannot_be_told_are_refused() -> None:
    parsed = real("slurm/sacct_all_fields_steps_dup.psv")
    # Several of its columns may hold pipes; in two lines it cannot be told which did.
    assert [(reject.rule.value, reject.line) for reject in parsed.rejects] == [
        ("field_count", 499),
        ("field_count", 507),
    ]
    assert len(parsed.tables["usage_records"]) == 408
    assert parsed.skipped == {"step": 447, "never_ran": 14}


def test_a_real_cluster_log_of_xdmod_is_read_without_a_header() -> None:
    data = shared("xdmod/phillips.log").read_bytes()
    assert FORMAT.recognise(data[:65536])
    assert data.split(b"\n", 1)[0].count(b"|") >= len(XDMOD_COLUMNS) - 1
    pieces = parse(FORMAT, data)
    assert sum(piece.read for piece in pieces) == data.count(b"\n")

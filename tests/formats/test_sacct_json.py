"""`sacct --json`: the same runs as in sacct's text, read object by object, and a broken job refused alone."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.formats import sacct
from gridkeeper.formats.contract import RECORD_LIMIT_BYTES, Format
from gridkeeper.formats.json_objects import INSIDE, array_blocks, objects
from gridkeeper.formats.sacct_json import FORMAT
from gridkeeper.records.draft import Delivery
from tests.formats.cases import parse
from tests.shared_material import shared

AT = 1_756_720_800
GOOD: dict[str, Any] = {
    "job_id": 1,
    "cluster": "east",
    "user": "alice",
    "nodes": "n1",
    "state": {"current": "COMPLETED"},
    "time": {"submission": AT, "start": AT, "end": AT + 60, "elapsed": 60, "suspended": 0},
    "tres": {"allocated": [{"type": "cpu", "name": None, "count": 2}]},
}


def document(*jobs: dict[str, Any], indent: int | None = 2) -> bytes:
    return json.dumps({"meta": {}, "jobs": jobs, "errors": []}, indent=indent).encode()


def rows(data: bytes, block_bytes: int = 1 << 20) -> list[dict[str, Any]]:
    pieces = parse(FORMAT, data, block_bytes=block_bytes)
    return [row for piece in pieces for table in piece.tables.values() for row in table.to_pylist()]


def refusals(data: bytes) -> list[tuple[str, int]]:
    return [(reject.rule.value, reject.line) for piece in parse(FORMAT, data) for reject in piece.rejects]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["set", "number", "count", "type"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "array", "het", "steps", "exit_code"]), anything, max_size=3))
def test_a_job_of_any_shape_is_a_row_a_refusal_or_skipped_and_nothing_raises(odd: dict[str, Any]) -> None:
    pieces = parse(FORMAT, document(GOOD | odd))
    assert sum(piece.read for piece in pieces) == 1


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=6), st.text('\\"{}[],:ab\n', max_size=9), max_size=3)),
    st.integers(1, 200),
)
def test_joined_blocks_are_the_document_and_each_holds_whole_objects(
    things: list[dict[str, str]], size: int
) -> None:
    data = json.dumps({"meta": [{"jobs": 1}], "jobs": things, "x": {"jobs": []}}).encode()
    blocks = list(array_blocks(BytesIO(data), size, "jobs"))
    assert b"".join(block.data for block in blocks) == data
    found = [
        json.loads(block.data[begin:end])
        for block in blocks
        if block.context == INSIDE
        for begin, end in objects(block.data)
    ]
    assert found == things


def test_cpu_time_is_summed_over_the_steps() -> None:
    step = {"time": {"user": {"seconds": 3, "microseconds": 4}, "system": {"seconds": 1, "microseconds": 0}}}
    (row,) = rows(document(GOOD | {"steps": [step, step]}))
    assert (row["cpu_user_us"], row["cpu_system_us"]) == (6_000_008, 2_000_000)


def test_without_steps_a_cpu_time_of_zero_is_not_known() -> None:
    nothing = {"seconds": 0, "microseconds": 0}
    (row,) = rows(document(GOOD | {"time": GOOD["time"] | {"user": nothing, "system": nothing}}))
    assert row["cpu_source"] == "missing"


def test_numbers_as_plain_and_as_set_infinite_number_mean_the_same() -> None:
    def newer(number: int) -> dict[str, Any]:
        return {"set": True, "infinite": False, "number": number}

    time = {key: newer(value) for key, value in GOOD["time"].items()}
    plain, wrapped = rows(
        document(GOOD, GOOD | {"time": time, "job_id": newer(1), "state": {"current": ["COMPLETED"]}})
    )
    assert plain["identity"] == wrapped["identity"]
    assert plain["content_hash"] == wrapped["content_hash"]


def test_a_failed_job_that_says_success_has_an_unknown_exit_code() -> None:
    success = {"status": "SUCCESS", "return_code": 0}
    (row,) = rows(document(GOOD | {"state": {"current": "FAILED"}, "exit_code": success}))
    assert row["exit_code"] is None
    assert row["outcome"] == "failed"


def test_a_job_that_is_too_long_is_refused_and_the_next_ones_are_read() -> None:
    long = GOOD | {"name": "x" * (RECORD_LIMIT_BYTES + 10)}
    data = document(GOOD, long, GOOD | {"job_id": 2}, GOOD | {"job_id": 3})
    assert [row["local_job_id"] for row in rows(data)] == ["1", "2", "3"]
    ((rule, line),) = refusals(data)
    assert rule == "record_too_long"
    begins = data[: data.index(b"xxx")].rfind(b"\n    {") + 1
    assert line == data[:begins].count(b"\n") + 1


def test_a_job_that_lacks_its_closing_brace_is_not_lost_silently() -> None:
    whole = document(GOOD, GOOD | {"job_id": 2})
    broken = whole.replace(b"\n    },\n    {", b"\n    ,\n    {", 1)
    assert broken != whole
    assert refusals(broken)


def test_a_document_that_ends_early_is_refused_once() -> None:
    whole = document(GOOD, GOOD | {"job_id": 2})
    for end in (len(whole) - 1, whole.rindex(b"errors"), whole.rindex(b'"user"'), 12):
        assert [rule for rule, _ in refusals(whole[:end])] == ["truncated"], end


def test_a_document_without_jobs_is_refused_once() -> None:
    assert refusals(b'{"meta": {"a": [1]}, "errors": []}\n') == [("not_well_formed", 1)]


def test_an_object_of_something_else_is_not_taken_for_slurm() -> None:
    assert not FORMAT.recognise(b'{"jobs": [{"id": 1}]}')
    assert not FORMAT.recognise(b'["jobs", "association"]')


def real(plugin: Format, data: bytes) -> tuple[dict[bytes, dict[str, Any]], Counter[str]]:
    pieces = parse(plugin, data, Delivery(datetime(2026, 12, 1, tzinfo=UTC)))
    assert not any(piece.rejects for piece in pieces)
    found = [row for piece in pieces for table in piece.tables.values() for row in table.to_pylist()]
    by_identity = {row["identity"]: row for row in found}
    assert len(by_identity) == len(found)
    return by_identity, sum((piece.skipped for piece in pieces), Counter[str]())


@pytest.fixture
def both() -> tuple[dict[bytes, dict[str, Any]], dict[bytes, dict[str, Any]]]:
    in_json, skipped = real(FORMAT, gzip.decompress(shared("slurm/sacct_json.json.gz").read_bytes()))
    in_text, skipped_in_text = real(sacct.FORMAT, shared("slurm/sacct_core.psv").read_bytes())
    assert skipped == skipped_in_text == {"never_ran": 14}
    return in_json, in_text


def test_a_real_slurm_gives_the_same_runs_as_json_and_as_text(
    both: tuple[dict[bytes, dict[str, Any]], dict[bytes, dict[str, Any]]],
) -> None:
    in_json, in_text = both
    total = json.loads(shared("slurm/slurm_real_expected.json").read_text())["ended_total"]
    assert in_json.keys() == in_text.keys()
    assert len(in_json) == total["runs"] == 410
    assert sum(row["wall_duration_s"] for row in in_json.values()) == total["wall_s"]
    assert sum(row["wall_duration_s"] * row["processors"] for row in in_json.values()) == total["core_s"]
    assert sum(row["wall_duration_s"] * (row["gpus"] or 0) for row in in_json.values()) == total["gpu_s"]


def test_a_real_slurm_says_the_same_of_each_run_as_json_and_as_text(
    both: tuple[dict[bytes, dict[str, Any]], dict[bytes, dict[str, Any]]],
) -> None:
    in_json, in_text = both
    # Not compared: CPU time and memory (the text was exported without steps), the exit code (22.05 writes 0)
    # and who cancelled.
    same = (
        "local_job_id", "array_task", "resource", "machine", "queue", "host", "local_user", "account", "unix_group", "submit_time", "start_time",
        "end_time", "wall_duration_s", "suspended_s", "processors", "node_count", "gpus", "gpu_model", "outcome", "exit_signal",
    )  # fmt: skip
    for identity, row in in_json.items():
        assert {name: row[name] for name in same} == {name: in_text[identity][name] for name in same}


@pytest.mark.slow
def test_where_real_blocks_are_cut_changes_nothing() -> None:
    data = gzip.decompress(shared("slurm/sacct_json.json.gz").read_bytes())
    received = Delivery(datetime(2026, 12, 1, tzinfo=UTC))

    def identities(block_bytes: int) -> list[bytes]:
        pieces = parse(FORMAT, data, received, block_bytes)
        return [one for piece in pieces for t in piece.tables.values() for one in t["identity"].to_pylist()]

    assert identities(10_000) == identities(1 << 23)

"""HTCondor's history and epoch ads: the real ones, and what may be wrong with ads."""

from __future__ import annotations

import json
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.formats import classad_values
from gridkeeper.formats.classad_blocks import ad_blocks
from gridkeeper.formats.contract import RECORD_LIMIT_BYTES
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.records.rules import Rule
from tests.formats.cases import cases, input_of, parse, rendered
from tests.shared_material import shared

if TYPE_CHECKING:
    from decimal import Decimal

HISTORY, EPOCH = format_named("condor-history"), format_named("condor-epoch")
BANNER = '*** Offset = 0 ClusterId = 7 ProcId = 0 Owner = "alice" CompletionDate = 1767213600 CurrentTime = 1767213601\n'
AD = {
    "ClusterId": "7",
    "ProcId": "0",
    "GlobalJobId": '"ap1.example.org#7.0#1767209000"',
    "Owner": '"alice"',
    "JobStatus": "4",
    "QDate": "1767209000",
    "JobStartDate": "1767210000",
    "CompletionDate": "1767213600",
    "NumJobStarts": "1",
    "RemoteWallClockTime": "3600.0",
    "RemoteUserCpu": "3000.0",
    "RemoteSysCpu": "60.0",
    "ExitCode": "0",
    "RequestCpus": "2",
}


def ad(**changes: str | None) -> str:
    """The text of an ad with some attributes changed, added or (None) left out."""
    return "".join(f"{name} = {value}\n" for name, value in (AD | changes).items() if value is not None)


def only_record(text: str) -> dict[str, Any]:
    """What comes of a text that holds one good ad."""
    (line,) = rendered(parse(HISTORY, text.encode()))
    assert line["table"] == "usage_records"
    return line


def test_the_real_per_job_files_give_thirty_records_and_the_wall_time_that_gratia_published() -> None:
    files = sorted(shared("condor_history").iterdir())
    rows = [row for path in files for row in rendered(parse(HISTORY, path.read_bytes()))]
    assert len(rows) == 30
    assert sum(row["wall_duration_s"] for row in rows) == 21_965
    filled = [row for row in rows if row.get("flags") == "end_filled"]
    assert [row["outcome"] for row in filled] == ["cancelled"] * 10
    assert {recognise(path.read_bytes()).name for path in files} == {"condor-history"}


def test_the_real_ads_in_one_history_file_give_the_same_records() -> None:
    files = sorted(shared("condor_history").iterdir())
    one_by_one = [row for path in files for row in rendered(parse(HISTORY, path.read_bytes()))]
    together = b"".join(path.read_bytes() + BANNER.encode() for path in files)
    assert rendered(parse(HISTORY, together)) == one_by_one
    assert rendered(parse(HISTORY, together, block_bytes=10_000)) == one_by_one


def test_an_attribute_is_found_in_any_case_and_its_last_value_holds() -> None:
    record = only_record(ad() + 'OWNER = "bob"\nremotewallclocktime = 1800.5\nowner   =   "carol"\n')
    assert record["local_user"] == "carol"
    assert record["wall_duration_s"] == 1801


def test_a_string_may_hold_a_banner_quotes_equals_signs_and_umlauts() -> None:
    record = only_record(ad(Owner='"a = \\"*** Offset = 1\\" | Jürgen"') + BANNER)
    assert record["local_user"] == 'a = "*** Offset = 1" | Jürgen'


@pytest.mark.parametrize(
    "unknown", ["undefined", "ERROR", "ceiling(1.5)", "{ 1,2 }", "[ a = 1; b = 2 ]", "Cpus * 2"]
)
def test_an_expression_is_unknown_and_the_next_attribute_in_order_holds(unknown: str) -> None:
    record = only_record(
        ad(MachineAttrCpus0=unknown, CpusProvisioned="4", GPUsProvisioned=unknown, RequestGpus="1")
    )
    assert record["processors"] == 4
    assert record["gpus"] == 1


def test_processors_of_zero_stay_reported_and_are_flagged() -> None:
    record = only_record(ad(MachineAttrCpus0="0", CpusProvisioned="4"))
    assert (record["processors"], record["processors_reported"], record["flags"]) == (1, 0, "processors_zero")


@pytest.mark.parametrize(
    "name", ['"Unknown"', '"Local Job"', '"$$([TARGET.GLIDEIN_Site])"', '""', "undefined"]
)
def test_only_an_expanded_pilot_name_makes_a_payload(name: str) -> None:
    record = only_record(ad(MATCH_EXP_JOBGLIDEIN_ResourceName=name))
    assert record["resource_type"] == "Batch"
    assert "host_description" not in record
    record = only_record(ad(MATCH_EXP_JOBGLIDEIN_ResourceName=name, MachineAttrGLIDEIN_Site0='"Site-A"'))
    assert (record["resource_type"], record["host_description"]) == ("Payload", "Site-A")


def test_the_cpu_time_of_all_starts_is_taken_where_the_ad_has_it() -> None:
    assert only_record(ad(NumJobStarts="2"))["cpu_user_us"] == 3_000_000_000
    record = only_record(ad(NumJobStarts="2", CumulativeRemoteUserCpu="5000.25"))
    assert record["cpu_user_us"] == 5_000_250_000


def test_a_history_file_cut_anywhere_gives_each_ad_whole_or_not_at_all() -> None:
    whole = [
        ad(ClusterId=str(n), GlobalJobId=f'"ap1.example.org#{n}.0#1767209000"') + BANNER for n in range(3)
    ]
    text = "".join(whole).encode()
    ends = [len("".join(whole[: n + 1])) - len(BANNER) for n in range(3)]
    for size in range(ends[0] + 1, len(text), 17):
        lines = rendered(parse(HISTORY, text[:size]))
        records = [line["local_job_id"] for line in lines if "table" in line]
        # From its banner's first letters on, an ad is complete.
        assert records == [f"{n}.0" for n in range(3) if ends[n] + 4 <= size]
        assert all(line.get("reject", "truncated") == "truncated" for line in lines)


def test_a_job_without_a_known_end_is_skipped_while_it_runs_and_never_taken_for_one_that_ended() -> None:
    for unknown in ("undefined", "0", None):
        running = ad(JobStatus="2", CompletionDate=unknown) + BANNER
        assert rendered(parse(HISTORY, running.encode())) == [{"skipped": "not_ended", "count": 1}]


def test_a_damaged_wall_time_is_refused_though_the_job_seems_never_to_have_run() -> None:
    damaged = ad(NumJobStarts="0", RemoteWallClockTime="36x0.0") + BANNER
    assert rendered(parse(HISTORY, damaged.encode())) == [{"reject": "bad_number", "line": 1}]
    unknown = ad(NumJobStarts="0", RemoteWallClockTime="undefined") + BANNER
    assert rendered(parse(HISTORY, unknown.encode())) == [{"skipped": "never_ran", "count": 1}]


def test_per_job_files_run_together_are_refused_and_not_read_as_one_job() -> None:
    second = ad(ClusterId="8", GlobalJobId='"ap1.example.org#8.0#1767209000"')
    (line,) = rendered(parse(HISTORY, (ad() + second).encode()))
    assert line == {"reject": "not_well_formed", "line": 1}


def test_epoch_ads_are_no_jobs_for_the_history_format_nor_jobs_attempts_for_the_epoch_format() -> None:
    attempts = input_of("condor-epoch", "attempts")
    assert not any("table" in line for line in rendered(parse(HISTORY, attempts)))
    jobs = input_of("condor-history", "history_file")
    assert not any("table" in line for line in rendered(parse(EPOCH, jobs)))


def test_an_attempt_keeps_its_identity_apart_from_the_other_attempts() -> None:
    (piece,) = parse(EPOCH, input_of("condor-epoch", "attempts"))
    records = piece.tables["usage_records"]
    assert len(set(records["identity"].to_pylist())) == len(records) == 3


def test_the_last_attempt_of_a_file_without_its_last_newline_counts_to_its_own_end() -> None:
    text = input_of("condor-epoch", "attempts").rstrip(b"\n")
    rows = rendered(parse(EPOCH, text))
    # CurrentTime may be cut off there, and this ad has no EpochWriteDate: nothing says when it ended.
    assert [row for row in rows if "reject" in row] == [{"reject": "no_times", "line": 60}]


def test_json_says_the_same_as_text() -> None:
    values = {name: json.loads(value) for name, value in AD.items()}
    both = "[\n" + json.dumps(values) + ",\n" + json.dumps(values, indent=2) + "\n]\n"
    assert rendered(parse(HISTORY, both.encode())) == [only_record(ad())] * 2


def test_json_of_one_line_each_is_read_as_well() -> None:
    values = json.dumps({name: json.loads(value) for name, value in AD.items()})
    assert rendered(parse(HISTORY, f"{values}\n{values}\n".encode())) == [only_record(ad())] * 2


def test_an_array_without_its_end_is_told_though_its_last_object_is_whole() -> None:
    values = json.dumps({name: json.loads(value) for name, value in AD.items()})
    lines = rendered(parse(HISTORY, f"[\n{values},\n".encode()))
    assert [line.get("reject", "record") for line in lines] == ["record", "truncated"]


def test_an_ad_that_is_too_long_is_refused_and_the_ads_behind_it_are_read() -> None:
    values = json.dumps({name: json.loads(value) for name, value in AD.items()})
    text = BANNER + "X = 1\n" * (RECORD_LIMIT_BYTES // 4) + BANNER + ad() + BANNER
    array = "[\n{" + '"x": 1, ' * (RECORD_LIMIT_BYTES // 4) + '"y": 1},\n' + values + "\n]\n"
    for source in (text, array):
        lines = rendered(parse(HISTORY, source.encode(), block_bytes=1024 * 1024))
        assert [line.get("reject", line.get("local_job_id")) for line in lines] == ["7.0", "record_too_long"]


@pytest.mark.parametrize(
    ("format_name", "case"), [(name, case) for name, case in cases() if "condor" in name]
)
@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 700))
def test_blocks_joined_are_the_source(format_name: str, case: str, size: int) -> None:
    data = input_of(format_name, case)
    blocks = list(ad_blocks(BytesIO(data), size))
    assert b"".join(block.data for block in blocks) == data
    for before, after in pairwise(blocks):
        assert after.first_line == before.first_line + before.data.count(b"\n")


@settings(deadline=None)
@given(st.decimals(0, 10**11, places=6, allow_nan=False, allow_infinity=False))
def test_cpu_seconds_are_exact_to_the_microsecond_however_many(seconds: Decimal) -> None:
    made, damaged = classad_values.microseconds(pa.array([f"{seconds:f}"]))
    assert made.to_pylist() == [int(seconds * 1_000_000)]
    assert damaged.to_pylist() == [False]


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(
        _TEXT.map(str.strip).filter(lambda name: name and not name.endswith("\\")), min_size=1, max_size=4
    )
)
def test_whatever_a_string_holds_it_comes_back_from_text_and_json_alike(names: list[str]) -> None:
    # A backslash before a quote cannot be told from an escape in the text that HTCondor writes.
    names = [name.replace('\\"', '"') for name in names]
    as_text = "\n".join(ad(Owner='"' + name.replace('"', '\\"') + '"') for name in names)
    as_json = json.dumps(
        [{key: json.loads(value) for key, value in AD.items()} | {"Owner": name} for name in names]
    )
    for data in (as_text, as_json):
        assert [row["local_user"] for row in rendered(parse(HISTORY, data.encode()))] == names


def test_every_refusal_says_which_attribute_it_is_about() -> None:
    (piece,) = parse(HISTORY, (ad(RemoteWallClockTime='"long"') + BANNER).encode())
    (reject,) = piece.rejects
    assert reject.rule is Rule.BAD_NUMBER
    assert reject.sentence("history").startswith(
        "history, line 1: RemoteWallClockTime cannot be read (rule bad_number)"
    )
    assert reject.text.endswith(BANNER.encode())

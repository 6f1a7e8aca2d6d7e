"""APEL messages: both ways of reading agree, one bad record is refused alone, and January 2017 comes out whole."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.formats import apel_messages
from gridkeeper.formats.apel import FORMAT
from gridkeeper.records.draft import Delivery, Parsed
from tests.formats.cases import RECEIVED, parse, rendered
from tests.shared_material import shared

HEADER = "APEL-individual-job-message: v0.3\n"
GOOD = {
    "Site": "GRID-EAST",
    "LocalJobId": "1",
    "WallDuration": "60",
    "CpuDuration": "50",
    "StartTime": "1709400000",
    "EndTime": "1709400060",
}


def message(*records: dict[str, str], header: str = HEADER) -> bytes:
    texts = ("".join(f"{key}: {value}\n" for key, value in record.items()) + "%%\n" for record in records)
    return (header + "".join(texts)).encode()


def outcome(data: bytes, block_bytes: int = 1 << 20) -> list[str]:
    return sorted(map(str, rendered(parse(FORMAT, data, block_bytes=block_bytes))))


def rows(data: bytes) -> list[dict[str, Any]]:
    return [
        row for piece in parse(FORMAT, data) for table in piece.tables.values() for row in table.to_pylist()
    ]


blanks = st.text(" \t", max_size=2)
values = st.one_of(
    st.sampled_from(["null", "None", "", "0", "-1", "12", "3600.5", "{HEPscore23: 12.5}", "/geo/Role=NULL", "a\rb", "é", "x:y", "1709400000"]),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=6),
)  # fmt: skip


@st.composite
def loose_records(draw: st.DrawFn) -> str:
    """A record as careless hands write it: keys in any order, some missing, doubled or unknown, blanks about."""
    fields = dict(GOOD) | draw(
        st.dictionaries(st.sampled_from([*apel_messages.JOB.keys, "Colour"]), values, max_size=4)
    )
    lines = [
        draw(blanks) + key + draw(blanks) + ":" + draw(blanks) + value + draw(blanks)
        for key, value in draw(st.permutations(list(fields.items())))
    ]
    if draw(st.integers(0, 9)) == 0:
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", "no colon", "Site: B"])))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join([*lines, "%%", ""])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(loose_records(), st.just(message(GOOD, header="").decode())), max_size=12))
def test_reading_columns_at_once_and_one_by_one_agree(records: list[str]) -> None:
    data = (HEADER + "".join(records)).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apel_messages, "FEWEST_RECORDS_FOR_COLUMNS", 1)
        at_once = outcome(data)
        patch.setattr(apel_messages, "MOST_KEY_ORDERS", 0)
        one_by_one = outcome(data)
    assert at_once == one_by_one


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(loose_records(), max_size=6), st.integers(64, 2000))
def test_where_blocks_are_cut_never_matters(records: list[str], block_bytes: int) -> None:
    data = (HEADER + "".join(records)).encode()
    assert outcome(data, block_bytes) == outcome(data)


def test_one_bad_record_is_refused_alone_not_its_message() -> None:
    many = [GOOD | {"LocalJobId": str(number)} for number in range(1000)]
    many[500] = many[500] | {"WallDuration": "3600.5"}
    parsed, *_ = parse(FORMAT, message(*many))
    assert len(parsed.tables["usage_records"]) == 999
    assert [(reject.rule.value, reject.line) for reject in parsed.rejects] == [("bad_number", 2 + 500 * 7)]
    assert parsed.rejects[0].text.startswith(b"Site: GRID-EAST\nLocalJobId: 500\n")


def test_a_thousand_records_in_different_key_orders_all_come_out() -> None:
    keys = list(GOOD)
    turned = [
        {key: (GOOD | {"LocalJobId": str(number)})[key] for key in keys[number % 6 :] + keys[: number % 6]}
        for number in range(1000)
    ]
    assert [row["local_job_id"] for row in rows(message(*turned))] == [str(number) for number in range(1000)]


def test_a_record_without_a_benchmark_is_taken() -> None:
    (row,) = rows(message(GOOD))
    assert row["benchmark_name"] is None
    assert row["wall_duration_s"] == 60


def test_the_vo_comes_from_the_fqan_where_no_vo_is_named() -> None:
    fqan = "/geo/europe/Role=NULL/Capability=NULL"
    named, unnamed = rows(message(GOOD | {"FQAN": fqan, "VO": "astro"}, GOOD | {"FQAN": fqan, "VO": "None"}))
    assert (named["vo_reported"], unnamed["vo_reported"]) == ("astro", "geo")


def test_a_sent_again_job_has_the_same_identity_whatever_else_changed() -> None:
    first, again = rows(message(GOOD, GOOD | {"CpuDuration": "55", "Queue": "long"}))
    assert first["identity"] == again["identity"]
    assert first["content_hash"] != again["content_hash"]


def test_the_delivery_says_on_which_resource_the_jobs_are_booked() -> None:
    parsed, *_ = parse(FORMAT, message(GOOD), Delivery(RECEIVED, resource="East_CE1"))
    (row,) = parsed.tables["usage_records"].to_pylist()
    assert (row["resource"], row["site_reported"]) == ("East_CE1", "GRID-EAST")


def test_a_sync_message_is_one_refusal_however_many_records_it_has() -> None:
    sync = {"Site": "GRID-EAST", "SubmitHost": "ce", "NumberOfJobs": "3", "Month": "3", "Year": "2024"}
    data = message(*[sync] * 50, header="APEL-sync-message: v0.1\n")
    pieces = parse(FORMAT, data, block_bytes=200)
    assert [reject.rule.value for piece in pieces for reject in piece.rejects] == ["unknown_record_type"]


def test_a_job_with_a_number_beyond_64_bits_is_refused_and_nothing_raises() -> None:
    for key in ("WallDuration", "CpuDuration", "StartTime", "EndTime", "Processors", "MemoryReal"):
        for value in ("9" * 30, str(2**63 - 1), str(-(2**63))):
            parsed, *_ = parse(FORMAT, message(GOOD | {key: value}))
            assert len(parsed.rejects) == 1, (key, value)


def real(name: str) -> list[Parsed]:
    return parse(FORMAT, shared(f"apel/{name}").read_bytes())


def test_the_summaries_of_january_2017_give_the_known_totals_by_site_and_vo() -> None:
    known = json.loads(shared("apel/expected_totals.json").read_text())["gracc_2017-01.apel"]
    parsed, *_ = real("gracc_2017-01.apel")
    sums: dict[str, Counter[str]] = {}
    for row in parsed.tables["usage_reported"].to_pylist():
        for place in ("all", f"{row['site_reported']}|{row['vo_reported']}"):
            sums.setdefault(place, Counter()).update(
                WallDuration=row["wall_duration_s"],
                CpuDuration=row["cpu_duration_s"],
                NormalisedWallDuration=row["normalised_wall_s"],
                NormalisedCpuDuration=row["normalised_cpu_s"],
                NumberOfJobs=row["njobs"],
                CoreWallDuration=row["wall_duration_s"] * row["processors"],
            )
    assert not parsed.rejects
    assert len(parsed.tables["usage_reported"]) == known["records"] == 295
    assert sums.pop("all") == known["totals"]
    assert sums == known["by_site_vo"]


@pytest.mark.parametrize(("name", "records"), [("gracc_2017-01.apel", 295), ("gratia_2017-01.apel", 286)])
def test_each_group_of_a_real_month_has_an_identity_of_its_own(name: str, records: int) -> None:
    parsed, *_ = real(name)
    table = parsed.tables["usage_reported"]
    assert not parsed.rejects
    assert len(set(table["identity"].to_pylist())) == len(table) == records
    assert {str(day) for day in table["start_day"].to_pylist()} == {"2017-01-01"}
    assert {str(day) for day in table["end_day"].to_pylist()} == {"2017-01-31"}

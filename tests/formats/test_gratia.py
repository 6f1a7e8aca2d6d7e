"""Gratia's records, as XML and as GRACC's JSON: what is read, what is refused, and that all readings agree."""

from __future__ import annotations

import json
import urllib.parse
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.formats.contract import RECORD_LIMIT_BYTES, Joinable
from gridkeeper.formats.gratia_terms import USAGE_WANTED
from gridkeeper.formats.gratia_tokens import read_plain
from gridkeeper.formats.gratia_tree import flat_fields
from gridkeeper.formats.gratia_values import iso_durations_us, seconds_us, times, whole_seconds
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.records.draft import Delivery, Parsed
from gridkeeper.records.rules import Rule
from tests.formats.cases import RECEIVED, parse, rendered
from tests.formats.gratia_texts import any_records, job
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (*USAGE_WANTED.elements, *USAGE_WANTED.attributes)
GRACC_RECORDS = [
    *(f"JobUsageRecord0{number}" for number in range(1, 7)),
    *("UsageRecord01", "StorageElement01", "StorageElement02", "StorageElementRecord01", "StorageElementRecord02"),
]  # fmt: skip


def xml(text: str | bytes, block_bytes: int = 1 << 20) -> list[Parsed]:
    data = text.encode() if isinstance(text, str) else text
    return parse(format_named("gratia-xml"), data, block_bytes=block_bytes)


def rows(pieces: list[Parsed], table: str = "usage_records") -> list[dict[str, Any]]:
    return [row for piece in pieces if table in piece.tables for row in piece.tables[table].to_pylist()]


def rules(pieces: list[Parsed]) -> list[Rule]:
    return [reject.rule for piece in pieces for reject in piece.rejects]


def envelope(*records: str) -> str:
    return "\n".join(['<?xml version="1.0"?>', "<RecordEnvelope>", *records, "</RecordEnvelope>", ""])


# The two readings of XML.


@pytest.mark.slow
def test_the_fast_reading_accepts_only_what_a_parser_accepts_and_reads_the_same() -> None:
    read = refused = 0
    for seed in range(2_000):
        records = any_records(seed)
        read += _assert_readings_agree(records)
        refused += len(records)
    assert read > 1_000, "too few records were plain for the comparison to say anything"
    assert refused > read + 1_000


@pytest.mark.parametrize(
    "records",
    [
        [b"<J><Queue>a</Queue><Queue/></J>"],
        [b'<J><Network storageUnit="MB">1</Network><Network>2</Network></J>'],
        [b"<J/>", b"<J></J></J>", b"<J><J>", b"<J></J>", b"</J><J>"],
        [b"<J a='1\"2' b=\"3'4\"></J>", b"<J a='\n' b='&#10;'></J>", b'<J a="1" a="2"></J>'],
        [b"<J><a><b></a></b></J>", b"<J><a></b></J>", b"<a:J></b:J>", b"<J></J ><J></J>"],
        [b"<J>" + b"<a>" * 31 + b"</a>" * 31 + b"</J>", b"<J>" + b"<a>" * 32 + b"</a>" * 32 + b"</J>"],
        [b"<J><Queue>\xff</Queue></J>", b"<J><Queue>\xef\xbf\xbe</Queue></J>", b"<J><Queue>\xed\xa0\x80</Queue></J>"],
    ],
)  # fmt: skip
def test_the_readings_agree_where_it_is_hard(records: list[bytes]) -> None:
    _assert_readings_agree(records)


@given(
    st.lists(
        st.sampled_from([b"<J>", b"</J>", b"<a>", b"</a>", b"<a/>", b"x", b"&lt;", b"&", b'<a b="c">', b"<"]),
        max_size=9,
    )
)
def test_the_readings_agree_on_any_arrangement_of_tags(pieces: list[bytes]) -> None:
    _assert_readings_agree([b"<J>" + b"".join(pieces) + b"</J>", b"<J><Queue>1</Queue></J>"])


def _assert_readings_agree(records: list[bytes]) -> int:
    """Compare what both make of the records that the fast one accepts; say how many those are."""
    accepted, columns = read_plain(records, USAGE_WANTED)
    for row, index in enumerate(accepted):
        by_parser = flat_fields(records[index])
        assert {name: columns[name][row].as_py() for name in NAMES} == {
            name: by_parser.get(name) for name in NAMES
        }, records[index]
    return len(accepted)


def test_a_record_counts_whatever_stands_before_it() -> None:
    for seed in range(100):
        text = b"\n".join([*any_records(seed), job(99).encode()])
        assert rows(xml(text))[-1]["local_job_id"] == "99", text


def test_records_as_probes_send_them_take_the_fast_reading() -> None:
    odd = job(2, Queue="a<!-- b -->c")
    accepted, _ = read_plain(
        [job(1).encode(), odd.encode(), job(3, Queue="é &amp; ü").encode()], USAGE_WANTED
    )
    assert accepted.tolist() == [0, 2]


def test_rows_keep_their_order_when_some_take_the_slow_reading() -> None:
    texts = [job(number, Queue="a<!-- b -->c" if number % 2 else "5") for number in range(1, 7)]
    assert [row["local_job_id"] for row in rows(xml(envelope(*texts)))] == list("123456")


# What the XML may look like.


def test_a_document_type_refuses_each_record_of_its_document_in_every_block() -> None:
    under = (
        '<?xml version="1.0"?>\n<!DOCTYPE RecordEnvelope [<!ENTITY a "b">]>\n'
        + envelope(*(job(number) for number in range(1, 40))).split("\n", 1)[1]
    )
    for block_bytes in (1 << 20, 600):
        pieces = xml(under + job(99), block_bytes)
        assert Counter(rules(pieces)) == {Rule.DTD_REFUSED: 39}
        assert [row["local_job_id"] for row in rows(pieces)] == ["99"]


def test_a_document_type_without_a_record_is_refused_once() -> None:
    assert rules(xml('<!DOCTYPE a [<!ENTITY b "c">]><RecordEnvelope></RecordEnvelope>')) == [Rule.DTD_REFUSED]
    assert rules(xml("<!DOCTYPE RecordEnvelope>")) == [Rule.DTD_REFUSED]


@pytest.mark.parametrize("unit", ["<a>", "<RecordEnvelope>", "<JobUsageRecord>"])
def test_a_nesting_bomb_is_refused_and_the_next_record_counts(unit: str) -> None:
    pieces = xml(unit * 50_000 + job(7))
    assert set(rules(pieces)) <= {Rule.NESTED_TOO_DEEP, Rule.NOT_WELL_FORMED, Rule.UNKNOWN_RECORD_TYPE}
    assert [row["local_job_id"] for row in rows(pieces)] == ["7"]


@pytest.mark.parametrize(
    "unit",
    ["<JobUsageRecord ", "<UsageRecord><JobUsageRecord>", "<!--", "<![CDATA[", "<!DOCTYPE[", "<?a ", "<x> <JobUsageRecord>",
     "replication|", "replication|<a>|", "replication|'", "</JobUsageRecord>", "<"],
)  # fmt: skip
def test_hostile_repetition_takes_linear_time(unit: str) -> None:
    # A quadratic reading of a million bytes takes minutes, and the run with it.
    xml(unit * (1_000_000 // len(unit)), block_bytes=1 << 23)


def test_one_broken_member_leaves_the_others() -> None:
    broken = job(2).replace("</SiteName>", "</Site>")
    pieces = xml(envelope(job(1), broken, job(3)))
    assert [row["local_job_id"] for row in rows(pieces)] == ["1", "3"]
    (reject,) = pieces[0].rejects
    assert (reject.rule, reject.text) == (Rule.NOT_WELL_FORMED, broken.encode())
    assert reject.line == 3 + job(1).count("\n") + 1


def test_a_truncated_last_record_is_told_as_truncated() -> None:
    assert rules(xml(envelope(job(1), job(2))[:-400])) == [Rule.TRUNCATED]
    assert rules(xml(f"replication|{job(1)}|null||replication|{job(2)[:300]}")) == [Rule.TRUNCATED]


def test_a_record_over_the_limit_is_refused_whatever_the_blocks() -> None:
    long = job(1, Queue="q" * RECORD_LIMIT_BYTES)
    for block_bytes in (1 << 16, 1 << 23):
        pieces = xml(envelope(long, job(2)), block_bytes)
        assert rules(pieces) == [Rule.RECORD_TOO_LONG]
        assert [row["local_job_id"] for row in rows(pieces)] == ["2"]


@pytest.mark.parametrize("block_bytes", [100, 3000, 1 << 20])
def test_blocks_joined_are_the_source(block_bytes: int) -> None:
    plugin = format_named("gratia-xml")
    comment = "<!-- </JobUsageRecord> " + "x" * 3000 + "-->"
    for text in (envelope(job(1), comment, job(2)), f"replication|{job(1)}|{job(1)}||" * 3):
        blocks = list(plugin.blocks(BytesIO(text.encode()), block_bytes))
        assert b"".join(block.data for block in blocks) == text.encode()
        assert sum(plugin.parse(block, Delivery(RECEIVED)).read for block in blocks) == (
            2 if "<!--" in text else 3
        )


def test_a_post_is_one_block_that_another_may_follow() -> None:
    """So that the many small posts of a probe are read together, not each for itself."""
    plugin = format_named("gratia-xml")
    assert isinstance(plugin, Joinable)
    prefixed = envelope(job(1)).replace("RecordEnvelope>", "g:RecordEnvelope>")
    for text, may_be_followed in ((envelope(job(1), job(2)), True), (prefixed, False)):
        [block] = plugin.blocks(BytesIO(text.encode()))
        assert plugin.may_be_followed(block.data) is may_be_followed


def test_a_pipe_in_a_bundled_record_is_data() -> None:
    record = job(1, Queue="a|b 'c|d' \"e|f\" it's")
    pieces = xml(f"replication|{record}|{record}|'x|y'|replication|{job(2)}|null|null|")
    assert [row["queue"] for row in rows(pieces)] == ["a|b 'c|d' \"e|f\" it's", "5"]
    assert rules(pieces) == []


# Values.


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("PT0S", 0), ("PT2M32.0S", 152_000_000), ("P1DT2H", 93_600_000_000), ("PT1H2M3.5S", 3_723_500_000), ("-PT5S", -5_000_000),
     ("PT0.0000005S", 1), ("PT0.00000049S", 0), ("P1Y1M1D", 34_214_400_000_000), ("P0D", 0), ("PT", None), ("P", None), ("", None),
     ("P1DT", None), ("1H", None), ("PT1.5H", None), ("PT1S ", None), ("PT-1S", None), ("PT5", None), ("P2W", None),
     ("PT99999999999999999999S", None)],
)  # fmt: skip
def test_durations_are_read_exactly_or_not_at_all(text: str, microseconds: int | None) -> None:
    values, bad = iso_durations_us(pa.array([text, None, "PT1S"]))
    assert values.to_pylist() == [microseconds, None, 1_000_000]
    assert bad[0].as_py() is (microseconds is None)


def test_decimal_seconds_are_read_exactly() -> None:
    values, _ = seconds_us(pa.array(["65.32", "0.29", "1e-05", "-2.5", "NaN", "1e99", "PT1S"]))
    assert values.to_pylist() == [65_320_000, 290_000, 10, -2_500_000, None, None, None]


def test_seconds_are_rounded_half_up_and_stay_negative() -> None:
    assert whole_seconds(pa.array([499_999, 500_000, 1_500_000, -1, None])).to_pylist() == [0, 1, 2, -1, None]


def test_times_need_a_zone_and_may_have_offset_and_fraction() -> None:
    sound = [
        "2025-03-01T10:00:00Z",
        "2025-03-01T12:00:00+02:00",
        "2025-03-01T10:00:00.1234567Z",
        "2025-03-01T05:30:00-0430",
    ]
    bad = ["2025-03-01T10:00:00", "2025-03-01", "2025-02-30T10:00:00Z", "1740823200", "2025-03-01T25:00:00Z"]
    values, masks = times(pa.array(sound + bad))
    assert [None if value is None else f"{value:%d %H:%M:%S.%f}" for value in values.to_pylist()] == [
        "01 10:00:00.000000", "01 10:00:00.000000", "01 10:00:00.123456", "01 10:00:00.000000", *[None] * 5,
    ]  # fmt: skip
    assert masks.to_pylist() == [False] * 4 + [True] * 5


# The real material.


def seconds_of(value: str) -> float:
    values, bad = iso_durations_us(pa.array([value]))
    assert not bad[0].as_py(), value
    return float(values[0].as_py() / 1e6)


@pytest.mark.parametrize("name", GRACC_RECORDS)
def test_flat_fields_equal_what_gracc_made_of_the_same_record(name: str) -> None:
    folder = shared("gracc/test_data")
    theirs = json.loads((folder / f"{name}.json").read_bytes())
    ours: dict[str, Any] = dict(flat_fields(_without_prolog((folder / f"{name}.xml").read_bytes())))
    ours["ResourceType"] = {"BatchPilot": "Payload"}.get(
        ours.get("ResourceType", ""), ours.get("ResourceType") or "Batch"
    )
    cpu = [ours[key] for key in ("CpuDuration", "CpuDuration_user", "CpuDuration_system") if key in ours]
    ours["CpuDuration"] = f"PT{sum(map(seconds_of, cpu))}S" if cpu else "PT0S"
    only_theirs = set(theirs) - set(ours) - {"type", "RawXML"}
    assert only_theirs <= {"ServiceLevel_type", "Memory_type", "Host_primary"}
    for key in set(theirs) & set(ours):
        if isinstance(theirs[key], str):
            assert ours[key] == theirs[key], key
        elif ours[key].startswith("P"):
            assert seconds_of(ours[key]) == pytest.approx(theirs[key]), key
        else:
            assert int(ours[key]) == theirs[key], key


def _without_prolog(data: bytes) -> bytes:
    return data[data.index(b"?>") + 2 :].strip() if data.startswith(b"<?xml") else data.strip()


@pytest.mark.parametrize("name", GRACC_RECORDS)
def test_a_record_is_the_same_as_xml_and_as_json(name: str) -> None:
    folder = shared("gracc/test_data")
    (by_xml,) = rendered(xml((folder / f"{name}.xml").read_bytes()))
    (by_json,) = rendered(parse(format_named("gracc-json"), (folder / f"{name}.json").read_bytes()))
    if by_xml["table"] == "usage_records":  # GRACC writes Batch where the record says nothing
        by_xml.setdefault("resource_type_reported", "Batch")
    assert by_json == by_xml


@pytest.mark.parametrize(
    ("name", "usage", "space"), [("gracc/test.bundle", 11, 4), ("gracc/test_bundle.xml", 7, 4)]
)
def test_the_bundles_of_gracc_are_read_whole(name: str, usage: int, space: int) -> None:
    data = shared(name).read_bytes()
    assert recognise(data).name == "gratia-xml"
    for block_bytes in (512, 1 << 20):
        pieces = xml(data, block_bytes)
        assert sum(piece.read for piece in pieces) == usage + space
        assert len(rows(pieces)) == usage
        assert len(rows(pieces, "storage_space")) == space


def test_thirty_jobs_from_the_wire_are_21965_seconds() -> None:
    found: list[dict[str, Any]] = []
    handshakes = 0
    for path in sorted(shared("wire").glob("cap.condor.*")):
        pieces = xml(_body(path))
        assert rules(pieces) == []
        found += rows(pieces)
        handshakes += sum(piece.skipped["handshake"] for piece in pieces)
    assert len(found) == 30
    assert sum(row["wall_duration_s"] for row in found) == 21_965
    assert Counter(row["outcome"] for row in found)["cancelled"] == 10
    assert handshakes > 0


def _body(path: Path) -> bytes:
    form = urllib.parse.parse_qs(path.read_bytes().replace(b"\r\n", b"\n").split(b"\n\n", 1)[1].decode())
    return form["arg1"][0].encode()


def test_the_samples_of_gracc_are_batch_and_payload() -> None:
    text = shared("gracc/record_samples.md").read_text(encoding="utf-8")
    records = [part for part in text.split("```") if "<JobUsageRecord>" in part]
    found = rows(xml("\n".join(records)))
    assert [row["resource_type"] for row in found] == ["Batch", "Payload", "Batch"]
    assert [row["host_description"] for row in found] == [None, "TACC", None]

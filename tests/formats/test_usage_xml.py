"""Usage records in OGF's words: whose are whose, what they say, and what no reading of them may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.errors import UnreadableInput
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.formats.usage_elements import MOST_ELEMENTS, read_record
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Rule
from tests.formats.cases import RECEIVED, parse

if TYPE_CHECKING:
    from gridkeeper.records.draft import Parsed

GRATIA = "http://www.gridforum.org/2003/ur-wg"
OGF, OGF_2 = "http://schema.ogf.org/urf/2003/09/urf", "http://schema.ogf.org/urf/2013/04/urf"
CAR = "http://eu-emi.eu/namespaces/2012/11/computerecord"
SUMS = "http://eu-emi.eu/namespaces/2012/11/aggregatedcomputerecord"
JOB = (
    "<JobIdentity><LocalJobId>17</LocalJobId></JobIdentity><MachineName>ce1.example.org</MachineName>"
    "<Site>EXAMPLE-SITE</Site><WallDuration>PT1H</WallDuration><StartTime>2025-03-01T10:00:00Z</StartTime>"
    "<EndTime>2025-03-01T11:00:00Z</EndTime><Processors>1</Processors>"
)


def record(more: str = "", namespace: str = OGF) -> str:
    return f'<UsageRecord xmlns="{namespace}">{JOB}{more}</UsageRecord>'


def read(format_name: str, text: str, block_bytes: int = 1 << 20) -> list[Parsed]:
    return parse(format_named(format_name), text.encode(), block_bytes=block_bytes)


def rows(format_name: str, text: str) -> list[dict[str, Any]]:
    return [row for piece in read(format_name, text) for table in piece.tables.values() for row in table.to_pylist()]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'<JobUsageRecord xmlns="{GRATIA}">', "gratia-xml"),
        (f'<urwg:UsageRecord xmlns:urwg="{GRATIA}">', "gratia-xml"),
        ("<UsageRecord><Queue>a</Queue></UsageRecord>", "gratia-xml"),
        (f'<RecordEnvelope><JobUsageRecord xmlns="{OGF}">', "gratia-xml"),
        (f'<?xml version="1.0"?>\n<JobUsageRecord xmlns="{OGF}">', "ogf-ur"),
        (f'<ur:UsageRecords xmlns:ur="{OGF}"><ur:JobUsageRecord>', "ogf-ur"),
        (f'<UsageRecords><JobUsageRecord\nxmlns="{OGF}">', "ogf-ur"),
        (f"<urf:UsageRecord xmlns:xsi='x' xmlns:urf = '{OGF_2}'>", "ogf-ur"),
        ("<UsageRecord><ComputeUsageBlock>", "ogf-ur"),
        (f'\ufeff<com:UsageRecord xmlns:com="{CAR}">', "car"),
        (f'<UsageRecords xmlns="{CAR}"><UsageRecord>', "car"),
        (f'<a:SummaryRecords xmlns:a="{SUMS}" xmlns:u="{CAR}"><a:SummaryRecord>', "car"),
        ("<SummaryRecord><Site>a</Site>", "car"),
    ],
)
def test_the_namespace_tells_whose_records_these_are(text: str, name: str) -> None:
    assert recognise(text.encode()).name == name


@pytest.mark.parametrize(
    "text", [f'<StorageUsage xmlns="{OGF}"/>', f"no XML: {OGF} <UsageRecord>", "<html/>"]
)
def test_other_text_is_none_of_them(text: str) -> None:
    with pytest.raises(UnreadableInput):
        recognise(text.encode())


@pytest.mark.parametrize("prefix", ["", "urf:", "anything-else:"])
def test_the_prefix_of_a_name_means_nothing(prefix: str) -> None:
    (plain,) = rows("ogf-ur", record('<Memory storageUnit="MB">2</Memory>'))
    text = record('<Memory urf:storageUnit="MB">2</Memory>').replace("<", f"<{prefix}").replace(f"<{prefix}/", f"</{prefix}")  # fmt: skip
    assert rows("ogf-ur", text) == [plain]


def test_a_job_sent_to_apel_as_text_and_as_car_is_one_record() -> None:
    text = (
        "APEL-individual-job-message: v0.3\nSite: EXAMPLE-SITE\nLocalJobId: 17\nWallDuration: 3600\nCpuDuration: 3000\n"
        "StartTime: 1740823200\nEndTime: 1740826800\n%%\n"
    )
    (by_text,) = rows("apel", text)
    (by_car,) = rows("car", record("<CpuDuration>PT50M</CpuDuration>", CAR))
    assert by_car["identity"] == by_text["identity"]
    assert by_car["wall_duration_s"] == by_text["wall_duration_s"]
    assert by_car["cpu_user_us"] == by_text["cpu_user_us"]


def test_runs_of_one_job_differ_in_their_start_and_a_new_record_id_changes_nothing() -> None:
    first = record('<RecordIdentity recordId="a"/>')
    again = record('<RecordIdentity recordId="b"/>')
    later = record().replace("T10:00:00Z", "T10:30:00Z")
    identities = [row["identity"] for row in rows("ogf-ur", first + again + later)]
    assert identities[0] == identities[1] != identities[2]


HOST = "<MachineName>ce1.example.org</MachineName><Site>EXAMPLE-SITE</Site>"


@pytest.mark.parametrize(
    ("places", "resource"),
    [
        ("<MachineName>m</MachineName><Site>s</Site><Host primary='true'>h</Host>", "m"),
        ("<Site>s</Site><Host primary='true'>h</Host>", "s"),
        ("<Host>n1</Host><Host primary='true'>h</Host><Host>n2</Host>", "h"),
        ("<Host>n1</Host>", None),  # a node of some cluster, perhaps; where it belongs nobody says
    ],
)
def test_the_primary_host_stands_for_a_machine_without_a_name(places: str, resource: str | None) -> None:
    (row,) = rows("ogf-ur", record().replace(HOST, places))
    assert row["resource"] == resource


def test_a_record_of_no_place_is_refused_with_the_option_that_names_it() -> None:
    (piece,) = read("ogf-ur", record().replace(HOST, ""))
    (reject,) = piece.rejects
    assert reject.rule is Rule.NO_RESOURCE
    assert "--resource" in reject.sentence("a.xml")


@pytest.mark.parametrize("probe", [None, "slurm:ce1.example.org"])
@pytest.mark.parametrize(
    "places",
    [HOST, "<MachineName>m</MachineName>", "<Host primary='true'>h</Host>", "<Host>n1</Host>", "<GlobalJobId>schedd.example.org#17.0#1740823200</GlobalJobId>"],
)  # fmt: skip
def test_a_record_without_a_probe_is_one_job_as_gratias_and_as_ogfs(places: str, probe: str | None) -> None:
    text = record().replace(HOST, places).encode()
    delivery = Delivery(RECEIVED, probe=probe)
    names = [
        row["identity"]
        for format_name in ("ogf-ur", "gratia-xml")
        for piece in parse(format_named(format_name), text, delivery)
        for row in piece.tables["usage_records"].to_pylist()
    ]
    assert len(names) == 2
    assert len(set(names)) == 1


@pytest.mark.parametrize(
    ("cpu", "user_s", "system_s"),
    [
        ([("user", 60), ("system", 5)], 60, 5),
        ([("user", 60), ("system", 5), ("all", 65)], 60, 5),
        ([("user", 60), ("system", 5), ("all", 70)], 70, 0),
        ([("all", 65)], 65, 0),
        ([(None, 65)], 65, 0),
        ([("user", 60)], 60, 0),
        ([("wait", 60)], None, None),
        ([("user", 0), ("system", 0), ("all", 0)], 0, 0),
    ],
)
def test_all_of_the_cpu_time_wins_over_its_parts(
    cpu: list[tuple[str | None, int]], user_s: int | None, system_s: int | None
) -> None:
    durations = "".join(
        f"<CpuDuration{f' usageType={kind!r}' if kind else ''}>PT{seconds}S</CpuDuration>"
        for kind, seconds in cpu
    )
    (row,) = rows("car", record(durations, CAR).replace("PT1H", "PT10M"))
    micro = [None if seconds is None else seconds * 1_000_000 for seconds in (user_s, system_s)]
    assert [row["cpu_user_us"], row["cpu_system_us"]] == micro


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        ('<Memory storageUnit="KB" type="physical" metric="max">3</Memory>', 3072),
        ('<Memory storageUnit="KB" type="virtual" metric="max">3</Memory>', None),
        ('<Memory storageUnit="KB" type="physical" metric="average">3</Memory>', None),
        ('<Memory storageUnit="KB">3</Memory><Memory storageUnit="KB" type="physical">4</Memory>', 4096),
        ('<Memory storageUnit="Kb">8</Memory>', 1024),
        ('<Memory storageUnit="B">8.5</Memory>', 8),
        ("<Memory>8</Memory>", None),
        ('<Memory storageUnit="pages">8</Memory>', None),
        (f'<Memory storageUnit="EB">{"9" * 18}</Memory>', 2**62),
    ],
)
def test_memory_is_the_most_real_memory_in_a_unit_that_is_known(memory: str, size: int | None) -> None:
    (row,) = rows("car", record(memory, CAR))
    assert row["memory_bytes"] == size


@pytest.mark.parametrize(
    ("roles", "role"),
    [("Role=pilot", "Role=pilot"), ("/Role=pilot", "Role=pilot"), ("pilot", "Role=pilot"), ("pilot/Capability=NULL", "Role=pilot"),
     ("Role=NULL", "Role=NULL"), ("/atlas", None)],
)  # fmt: skip
def test_roles_however_they_are_written(roles: str, role: str | None) -> None:
    text = f'<UserIdentity><GroupAttribute type="vo-role">{roles}</GroupAttribute></UserIdentity>'
    (row,) = rows("car", record(text, CAR))
    assert row["vo_role"] == role


@pytest.mark.parametrize(
    ("end", "outcome", "code"),
    [
        ("<Status>completed</Status>", "success", None),
        ("<Status>completed</Status><ExitStatus>0</ExitStatus>", "success", 0),
        ("<Status>completed</Status><ExitStatus>2</ExitStatus>", "failed", 2),
        ("<Status>aborted</Status><ExitStatus>0</ExitStatus>", "failed", 0),
        ("<ExitStatus>0</ExitStatus>", "success", 0),
        ("<Status>7</Status>", "failed", 7),
        ("<Status>odd</Status>", "unknown", None),
        (f"<ExitStatus>{2**40}</ExitStatus>", "unknown", None),
        ("", "unknown", None),
    ],
)
def test_how_a_job_ended(end: str, outcome: str, code: int | None) -> None:
    (row,) = rows("ogf-ur", record(end))
    assert (row["outcome"], row["exit_code"]) == (outcome, code)


def test_a_class_of_service_is_no_benchmark() -> None:
    (qos,) = rows("ogf-ur", record('<ServiceLevel type="QOS">low</ServiceLevel>'))
    (bench,) = rows("ogf-ur", record('<ServiceLevel type="hepSpec">11.5</ServiceLevel>'))
    assert (qos["benchmark_name"], qos["benchmark_per_core"]) == (None, None)
    assert (bench["benchmark_name"], bench["benchmark_per_core"]) == ("HEPSPEC", 11.5)


@pytest.mark.parametrize(("name", "skipped"), [("car", 1), ("ogf-ur", 0), ("gratia-xml", 0)])
def test_a_sum_of_jobs_is_no_job(name: str, skipped: int) -> None:
    (piece,) = read(name, "<SummaryRecords><SummaryRecord><Site>a</Site></SummaryRecord></SummaryRecords>")
    assert not piece.tables
    assert piece.skipped["summary"] == skipped
    assert [reject.rule for reject in piece.rejects] == [Rule.UNKNOWN_RECORD_TYPE] * (1 - skipped)


@pytest.mark.parametrize("name", ["ogf-ur", "car"])
def test_a_record_of_very_many_elements_is_refused(name: str) -> None:
    (piece,) = read(name, record("<Host/>" * MOST_ELEMENTS))
    assert [reject.rule for reject in piece.rejects] == [Rule.RECORD_TOO_LONG]


def test_text_around_an_element_is_not_its_text() -> None:
    fields = read_record(b"<U><Queue>a</Queue>b<Site>c<!-- d -->e</Site>f</U>").fields
    assert (fields["queue"], fields["site"]) == ("a", "ce")


@pytest.mark.parametrize("name", ["ogf-ur", "car"])
@pytest.mark.parametrize("block_bytes", [64, 300, 1 << 20])
def test_where_blocks_are_cut_changes_nothing(name: str, block_bytes: int) -> None:
    text = f'<UsageRecords xmlns="{OGF}">\n' + "\n".join(record() for _ in range(20)) + "\n</UsageRecords>"
    pieces = read(name, text, block_bytes)
    assert sum(len(table) for piece in pieces for table in piece.tables.values()) == 20
    assert not any(piece.rejects for piece in pieces)

"""A month as APEL is told it: sums equal to the books', every gate of its server kept, nothing left out in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridkeeper.errors import UserMistake
from gridkeeper.exports.apel import MOST_BYTES, MOST_RECORDS, NotToBeSent, messages
from gridkeeper.exports.apel_fields import escaped, group_and_role
from gridkeeper.exports.apel_groups import Key, Sums, month_told, total
from gridkeeper.exports.apel_validator import faults
from gridkeeper.federation.model import read_registry
from gridkeeper.feed_settings import Apel
from gridkeeper.queries.periods import parse_month
from gridkeeper.queries.usage import Scope, usage
from gridkeeper.records.draft import Delivery
from gridkeeper.summaries.books import Books
from tests.exports.grids import FEDERATION, NOW, GridJob, grid_home, records_of, sums_of, told, written
from tests.homes import RECEIVED, InventedHome, every_day
from tests.shared_material import shared
from tests.summaries.corrections.invented import having, rule

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = parse_month("2017-01")
SUMS = ("WallDuration", "CpuDuration", "NormalisedWallDuration", "NormalisedCpuDuration", "NumberOfJobs")
JOBS = [
    GridJob(1),
    GridJob(2, end="2017-01-01T00:00:00", cores=8, wall_s=7200, cpu_s=50_000),
    GridJob(3, end="2017-01-31T23:59:59", user="/DC=org/DC=example/CN=bob", fqan="/cms/Role=production"),
    GridJob(4, vo="atlas", fqan="/atlas", host="", site="WEST"),
    GridJob(5, vo="hcc", fqan="/hcc"),  # not reported to the WLCG
    GridJob(6, end="2017-02-01T00:00:00"),  # in February
]


def test_a_group_is_told_key_by_key(tmp_path: Path) -> None:
    made = written(told(grid_home(tmp_path / "home", JOBS), users="dn"))
    record = next(one for one in records_of(made) if one["Processors"] == "8")
    assert record == {
        "Site": "EAST", "Month": "1", "Year": "2017", "GlobalUserName": "/DC=org/DC=example/CN=alice", "VO": "cms", "VOGroup": "/cms/uscms",
        "VORole": "Role=pilot", "SubmitHost": "ce1.example.org:9619/ce1", "Infrastructure": "grid", "NodeCount": "1", "Processors": "8",
        "EarliestEndTime": "1483228800", "LatestEndTime": "1483228800", "WallDuration": "7200", "CpuDuration": "50000",
        "NormalisedWallDuration": "{HEPscore23: 72000}", "NormalisedCpuDuration": "{HEPscore23: 500000}", "NumberOfJobs": "1",
    }  # fmt: skip
    assert made[0].text.startswith(b"APEL-normalised-summary-message: v0.4\nSite: ")
    (atlas,) = (one for one in records_of(made) if one["VO"] == "atlas")
    assert "SubmitHost" not in atlas
    assert "VORole" not in atlas


def test_users_are_generic_unless_the_home_says_otherwise(tmp_path: Path) -> None:
    records = records_of(written(told(grid_home(tmp_path / "home", JOBS))))
    assert {one["GlobalUserName"] for one in records} == {"generic cms user", "generic atlas user"}


def test_sync_records_say_how_many_jobs_each_submit_host_has(tmp_path: Path) -> None:
    made = written(told(grid_home(tmp_path / "home", JOBS)))
    assert records_of(made, "sync") == [
        {"Site": "EAST", "SubmitHost": "ce1.example.org:9619/ce1", "NumberOfJobs": "3", "Month": "1", "Year": "2017"},
        {"Site": "WEST", "NumberOfJobs": "1", "Month": "1", "Year": "2017"},
    ]  # fmt: skip
    assert made[-1].text.startswith(b"APEL-sync-message: v0.1\n")


def test_gracc_s_dialect_has_its_keys_in_its_order_and_ends_by_days(tmp_path: Path) -> None:
    made = written(told(grid_home(tmp_path / "home", JOBS), dialect="gracc"), "gracc")
    assert made[0].text.startswith(b"APEL-summary-job-message: v0.3\nSite: EAST\nVO: cms\n")
    one_core, eight = (one for one in records_of(made) if one["VO"] == "cms")
    assert list(one_core) == [
        "Site", "VO", "EarliestEndTime", "LatestEndTime", "Month", "Year", "Infrastructure", "GlobalUserName", "Processors", "NodeCount", *SUMS,
    ]  # fmt: skip
    assert (one_core["Month"], one_core["Infrastructure"]) == ("01", "Gratia-OSG")
    assert (one_core["EarliestEndTime"], one_core["LatestEndTime"]) == ("1484438400", "1485907199")
    assert (eight["EarliestEndTime"], eight["LatestEndTime"]) == ("1483228800", "1483315199")


@pytest.mark.parametrize("dialect", ["v0.4", "gracc"])
@pytest.mark.parametrize("users", ["dn", "generic"])
def test_sums_are_those_of_the_books_to_the_second(tmp_path: Path, dialect: str, users: str) -> None:
    """Also where CPU time has fractions, of which each group has its part."""
    home = InventedHome(
        tmp_path / "home",
        "mapping: [{when: {account: cms}, vo: cms}]\nfederation: {default_hepscore23: 12.3456}",
    )
    for number in range(7):
        home.payloads(
            f"site{number}",
            every_day("2017-01-01", "2017-02-01", number=100 * number, hours=0.1237, cores=number % 3 + 1),
        )
    records = records_of(written(told(home, users=users, dialect=dialect), dialect))
    scope = Scope(JANUARY, where=(("vo", "cms"),))
    books = home.books()
    (row,) = usage(books, (), ("jobs", "wall_hours", "cpu_hours"), scope).rows
    (exact,) = books.select(
        "SELECT CAST(SUM(COALESCE(cpu_user_us, 0) + COALESCE(cpu_system_us, 0)) AS BIGINT) AS cpu_us FROM usage_records"
    ).to_pylist()
    assert exact["cpu_us"] % 1_000_000  # there is a fraction
    wall = round(row["wall_hours"] * 3600)
    assert sums_of(records, *SUMS) == {
        "NumberOfJobs": row["jobs"],
        "WallDuration": wall,
        "CpuDuration": exact["cpu_us"] // 10**6,
        "NormalisedWallDuration": wall * 123_456 // 10**4,
        "NormalisedCpuDuration": exact["cpu_us"] * 123_456 // 10**10,
    }


def test_each_job_has_the_factor_of_its_resource_on_its_day(tmp_path: Path) -> None:
    federation = "resources: [{name: EAST, benchmarks: [{hs06: 10}, {from: 2017-01-10, hepscore23: 12.5}]}]"
    jobs = [GridJob(1, end="2017-01-09T23:59:59"), GridJob(2, end="2017-01-10T00:00:00")]
    home = grid_home(tmp_path / "home", jobs, federation + "\nmapping: [{when: {resource: EAST}, grid: OSG}]")
    (record,) = records_of(written(told(home)))
    assert record["NormalisedWallDuration"] == f"{{HEPscore23: {3600 * 10 + 45_000}}}"


def test_what_has_no_factor_is_refused_with_its_core_hours_and_what_to_do(tmp_path: Path) -> None:
    home = grid_home(
        tmp_path / "home", JOBS, "resources: [{name: WEST, benchmarks: [{hs06: 10}]}]\nmapping: [{when: {resource: WEST}, grid: OSG}]"
    )  # fmt: skip
    with pytest.raises(UserMistake, match=r"EAST \(18.0 core hours\)") as refused:
        told(home)
    assert "federation.default_hepscore23" in str(refused.value)


def test_the_share_on_the_default_factor_is_told(tmp_path: Path) -> None:
    assert told(grid_home(tmp_path / "home", JOBS)).notes == (
        "100.0 % of the core hours on the default factor",
    )


def test_sites_are_told_by_their_names_in_the_wlcg_s_accounting_of_that_day(tmp_path: Path) -> None:
    federation = (
        FEDERATION
        + """
resources:
  - {name: EAST, site: East, accounting_name: [{name: US-East-old}, {from: 2017-01-20, name: US-East}]}
  - {name: WEST, site: West}
sites: [{name: West, accounting_name: US-West}]
mapping: [{when: {resource: "*"}, grid: OSG}]
"""
    )
    records = records_of(written(told(grid_home(tmp_path / "home", JOBS, federation))))
    assert {one["Site"]: one["NumberOfJobs"] for one in records} == {
        "US-East-old": "1",
        "US-East": "1",
        "US-West": "1",
    }


def test_local_jobs_are_told_only_where_the_home_says_so(tmp_path: Path) -> None:
    federation = FEDERATION + "resources: [{name: EAST}]\nmapping: [{when: {queue: none}, vo: x}]"
    jobs = [GridJob(1), GridJob(2).again(fqan="", user="")]
    text = "APEL-individual-job-message: v0.3\n" + "".join(
        job.text.replace("%%", f"InfrastructureType: {kind}\n%%")
        for job, kind in zip(jobs, ("grid", "local"), strict=True)
    )
    home = InventedHome(
        tmp_path / "home", federation.replace("{queue: none}, vo: x", "{fqan: /cms}, grid: OSG")
    )
    home.load(text, "apel", Delivery(RECEIVED))
    assert [one["NumberOfJobs"] for one in records_of(written(told(home)))] == ["1"]
    both = records_of(written(told(home, grid="any")))
    assert sorted(one["Infrastructure"] for one in both) == ["grid", "local"]


def many(count: int, user: str = "u{}") -> dict[Key, Sums]:
    sums = Sums(1, 10, 9, 100, 90, 1483228800, 1485907199)
    return {
        Key("EAST", "cms", "", "", user.format(number), "", "grid", 1, 1, "HEPscore23"): sums
        for number in range(count)
    }


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (1000, [1000]), (1001, [1000, 1]), (2001, [1000, 1000, 1])])  # fmt: skip
def test_a_message_holds_a_thousand_records_at_most(count: int, sizes: list[int]) -> None:
    made = [message for message in messages(JANUARY, many(count), "v0.4", NOW) if message.kind == "summaries"]
    assert [message.records for message in made] == sizes
    assert len(records_of(made)) == count
    assert [message.name for message in made] == [
        f"apel-2017-01-v0.4-summaries-{number + 1:04d}.apel" for number in range(len(sizes))
    ]
    assert MOST_RECORDS == 1000


def test_a_message_has_no_more_bytes_than_travel_signed_and_encoded() -> None:
    made = messages(JANUARY, many(2500, "/CN=" + "x" * 240 + "{}"), "v0.4", NOW)
    summaries = [message for message in made if message.kind == "summaries"]
    assert max(len(message.text) for message in summaries) <= MOST_BYTES
    assert sum(message.records for message in summaries) == 2500
    full = messages(JANUARY, {key._replace(site="S" * 255, group="/g" * 127, role="r" * 255, submit_host="h" * 255): sums for key, sums in many(1000).items()}, "v0.4", NOW)  # fmt: skip
    assert [message.records for message in full if message.kind == "summaries"] != [1000]
    assert max(len(message.text) for message in full) <= MOST_BYTES


def test_the_same_groups_give_the_same_bytes_in_whatever_order() -> None:
    groups = many(1500)
    turned = dict(reversed(groups.items()))
    assert messages(JANUARY, groups, "v0.4", NOW) == messages(JANUARY, turned, "v0.4", NOW)


def test_a_month_to_come_is_not_written() -> None:
    with pytest.raises(NotToBeSent, match="lies in the future"):
        messages(parse_month("2017-03"), many(1), "v0.4", NOW)


def test_names_are_told_in_ascii_and_two_names_stay_two(tmp_path: Path) -> None:
    names = ["/CN=Zoë", "/CN=Zo\\xC3\\xABs", "/CN=50%%", "/CN=" + "x" * 300, "/CN=" + "x" * 299 + "y"]
    jobs = [GridJob(number, user=name) for number, name in enumerate(names)]
    jobs[2] = GridJob(2, user="/CN=50%")
    found = told(grid_home(tmp_path / "home", jobs), users="dn")
    users = {one["GlobalUserName"] for one in records_of(written(found))}
    assert len(users) == 5
    assert "/CN=Zo\\xC3\\xAB" in users
    assert max(map(len, users)) == 255
    assert "3 names are told otherwise than they are, since messages take ASCII and 255 characters" in found.notes  # fmt: skip


@given(st.text())
def test_any_text_becomes_one_that_a_message_takes(text: str) -> None:
    groups = {key._replace(user=escaped(text)): sums for key, sums in many(1).items()}
    made = messages(JANUARY, groups, "v0.4", NOW)
    (record,) = records_of(made)
    assert record.get("GlobalUserName", "") == escaped(text)


@pytest.mark.parametrize(
    ("fqan", "said"),
    [
        ("/cms/Role=pilot/Capability=NULL", ("/cms", "Role=pilot")),
        ("/atlas/usatlas/Role=NULL", ("/atlas/usatlas", "Role=NULL")),
        ("/fermilab/nova", ("/fermilab/nova", "")),
    ],
)
def test_an_fqan_is_a_group_and_a_role(fqan: str, said: tuple[str, str]) -> None:
    assert group_and_role(fqan) == said


numbers = st.integers(0, 2**55)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.integers(1, 5000),
        st.builds(
            Sums, numbers, numbers, numbers, numbers, numbers, st.just(1483228800), st.just(1485907199)
        ),
        max_size=20,
    )
)
def test_whatever_the_sums_the_server_takes_them_and_reads_the_same(groups: dict[int, Sums]) -> None:
    base = next(iter(many(1)))
    keyed = {base._replace(processors=cores): sums for cores, sums in groups.items()}
    made = messages(JANUARY, keyed, "v0.4", NOW)
    assert not [fault for message in made for fault in faults(message.text, NOW)]
    whole = total(keyed.values())
    if keyed:
        assert sums_of(records_of(made), *SUMS)["NormalisedCpuDuration"] == whole.normalised_cpu_s


@pytest.mark.parametrize("dialect", ["v0.4", "gracc"])
def test_real_summaries_of_january_2017_come_out_as_they_went_in(tmp_path: Path, dialect: str) -> None:
    """GRACC's own: 295 groups, told again to the unit, by site and VO and in all."""
    text = shared("apel/gracc_2017-01.apel").read_text(encoding="ascii")
    expected = orjson.loads(shared("apel/expected_totals.json").read_bytes())["gracc_2017-01.apel"]
    home = InventedHome(tmp_path / "home")
    home.load(text, "apel", Delivery(RECEIVED))
    found = month_told(home.books(), Apel(users="dn"), JANUARY, "reported", dialect)
    records = records_of(written(found, dialect))
    assert len(records) == expected["records"] == 295
    wanted = {name: value for name, value in expected["totals"].items() if name in SUMS}
    assert sums_of(records, *SUMS) == wanted
    for pair, sums in expected["by_site_vo"].items():
        site, vo = pair.split("|")
        part = [one for one in records if (one["Site"], one["VO"]) == (site, vo)]
        assert sums_of(part, *SUMS) == {name: sums[name] for name in SUMS}, pair
    generic = month_told(home.books(), Apel(), JANUARY, "reported", dialect)
    fewer = records_of(written(generic, dialect))
    assert len(fewer) < 295
    assert sums_of(fewer, *SUMS) == wanted


def test_real_summaries_are_told_in_gracc_s_words_but_for_the_last_second(tmp_path: Path) -> None:
    """In January 2017 GRACC still gave the begin of the last day for its end."""
    text = shared("apel/gracc_2017-01.apel").read_text(encoding="ascii")
    home = InventedHome(tmp_path / "home")
    home.load(text, "apel", Delivery(RECEIVED))
    ours = records_of(
        written(month_told(home.books(), Apel(users="dn"), JANUARY, "reported", "gracc"), "gracc")
    )
    _, _, body = text.partition("\n")
    theirs = [
        dict(line.split(": ", 1) for line in one.strip().splitlines())
        for one in body.split("%%")
        if one.strip()
    ]
    for record in theirs:
        record["LatestEndTime"] = str(int(record["LatestEndTime"]) + 86_399)
    assert sorted(map(str, ours)) == sorted(map(str, theirs))


def test_corrections_in_force_are_told_and_estimates_are_not(tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    lost = {"vo": "cms", "resource": "EAST", "level": "batch", "per_day": {"jobs": 5, "core_seconds": 7200}}
    books = Books(
        home.lake,
        read_registry(home.home.federation),
        corrections=having(
            rule("processors", match={"vo_reported": "cms", "processors": 8}, set={"processors": {"8": 16}}),
            rule("lost", period={"first": "2017-01-30", "last": "2017-01-31"}, add=lost),
        ),
    )
    found = month_told(books, Apel(), JANUARY, "jobs", "v0.4")
    assert sorted(key.processors for key in found.groups if key.vo == "cms") == [1, 1, 16]
    assert total(found.groups.values()).jobs == 4
    assert "4.0 core hours that corrections estimate are not told: no record has them" in found.notes


def test_sums_that_others_reported_are_not_told_with_jobs_and_that_is_said(tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    ours = written(told(home))
    sums = ours[0].text.decode("ascii").replace("Site: EAST", "Site: NORTH")
    home.load(sums, "apel", Delivery(RECEIVED))
    found = told(home)
    assert written(found) == ours
    assert "sums that others reported of NORTH, WEST are not told with jobs; --source reported tells them" in found.notes  # fmt: skip

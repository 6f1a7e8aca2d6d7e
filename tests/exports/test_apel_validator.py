"""The validator refuses what APEL's server refuses and takes what it takes: verdicts seen on the server itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gridkeeper.exports.apel_validator import MOST_MESSAGE_BYTES, faults
from tests.shared_material import shared

NOW = datetime(2024, 4, 3, tzinfo=UTC)
JOB = {
    "Site": "GRID-EAST", "SubmitHost": "ce1.example.org:9619/ce1-condor", "LocalJobId": "ce1#1234.0#1709400000", "GlobalUserName": "/DC=org/CN=alice",
    "FQAN": "/geo/Role=pilot/Capability=NULL", "WallDuration": "3600", "CpuDuration": "7000", "Processors": "2", "NodeCount": "1",
    "StartTime": "1709400000", "EndTime": "1709403600", "InfrastructureType": "grid", "ServiceLevelType": "HEPscore23", "ServiceLevel": "12.5",
}  # fmt: skip
SUMMARY = {
    "Site": "GRID-EAST", "Month": "3", "Year": "2024", "VO": "geo", "NodeCount": "1", "Processors": "8", "EarliestEndTime": "1709251200",
    "LatestEndTime": "1711929599", "WallDuration": "100", "CpuDuration": "700", "NumberOfJobs": "3",
}  # fmt: skip
LEVEL = {"ServiceLevelType": "hepspec", "ServiceLevel": "11"}
PLAIN = SUMMARY | {
    "NormalisedWallDuration": "1250",
    "NormalisedCpuDuration": "8750",
    "Infrastructure": "grid",
}
LISTED = PLAIN | {
    "NormalisedWallDuration": "{HEPscore23: 1250}",
    "NormalisedCpuDuration": "{HEPscore23: 8750}",
}
SYNC = {"Site": "GRID-EAST", "SubmitHost": "ce1", "NumberOfJobs": "3", "Month": "3", "Year": "2024"}
JOB_03, JOB_04 = "APEL-individual-job-message: v0.3", "APEL-individual-job-message: v0.4"
SUMMARY_02, SUMMARY_04 = "APEL-summary-job-message: v0.2", "APEL-summary-job-message: v0.4"
NORMALISED_03, NORMALISED_04 = "APEL-summary-job-message: v0.3", "APEL-normalised-summary-message: v0.4"
SYNC_01 = "APEL-sync-message: v0.1"


def message(header: str, *records: dict[str, str], end: str = "\n") -> bytes:
    texts = [
        end.join(f"{key}: {value}" for key, value in record.items()) + f"{end}%%{end}" for record in records
    ]
    return (header + end + "".join(texts)).encode()


def without(record: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in record.items() if key not in keys}


def said(data: bytes) -> str:
    return "; ".join(map(str, faults(data, NOW)))


TAKEN: dict[str, bytes] = {
    "a job": message(JOB_03, JOB),
    "a job of version 0.1": message("APEL-individual-job-message: v0.1", JOB),
    "a job of version 9.9": message("APEL-individual-job-message: v9.9", JOB),
    "a job with a list of benchmarks": message(
        JOB_04, without(JOB, "ServiceLevelType") | {"ServiceLevel": "{hepspec: 11.4, HEPscore23: 12.5}"}
    ),
    "lines as Windows ends them": message(JOB_03, JOB, end="\r\n"),
    "keys in another order, with blanks": message(JOB_03, {f" {key} ": f" {JOB[key]} " for key in reversed(JOB)}),
    "times of ISO with Z": message(
        JOB_03, JOB | {"StartTime": "2024-03-02T17:20:00Z", "EndTime": "2024-03-02T18:20:00Z"}
    ),
    "a summary": message(SUMMARY_02, SUMMARY | LEVEL),
    "a summary with a list": message(SUMMARY_04, SUMMARY | {"ServiceLevel": "{HEPSPEC: 11}"}),
    "a normalised summary": message(NORMALISED_03, PLAIN),
    "a normalised summary with lists": message(NORMALISED_04, LISTED),
    "a benchmark in any capitals": message(
        NORMALISED_04, LISTED | {"NormalisedWallDuration": "{HEPSCORE23: 1}", "NormalisedCpuDuration": "{hepscore23: 2}"}
    ),
    "several benchmarks, of which the first counts": message(
        NORMALISED_04,
        LISTED | {"NormalisedWallDuration": "{si2k: 7, HEPscore23: 1}", "NormalisedCpuDuration": "{HEPscore23: 2}"},
    ),
    "no jobs at all": message(NORMALISED_04, LISTED | {"NumberOfJobs": "0", "WallDuration": "0", "CpuDuration": "0"}),
    "a month's last moment": message(NORMALISED_04, LISTED | {"LatestEndTime": "1711929600"}),
    "a name that is a word for nothing": message(NORMALISED_04, LISTED | {"VOGroup": "None", "VORole": "NULL"}),
    "a sync": message(SYNC_01, SYNC),
    "a sync of month 15": message(SYNC_01, SYNC | {"Month": "15"}),
    "a sync of another version": message("APEL-sync-message: v7", SYNC),
    "a cloud message": message("APEL-cloud-message: v0.4", {"VMUUID": "x"}),
    "a CAR": b'<UsageRecords xmlns="http://eu-emi.eu/namespaces/2012/11/computerecord"/>',
    "a header and no record": NORMALISED_04.encode() + b"\n",
}  # fmt: skip

REFUSED: dict[str, tuple[bytes, str]] = {
    "a name that is not ASCII": (message(JOB_03, JOB | {"GlobalUserName": "Zoë"}), "not ASCII"),
    "an unknown header": (message("APEL-job-message: v1", JOB), "none that the server knows"),
    "a header without version": (message("APEL-sync-message", SYNC), "no colon"),
    "a summary of version 0.1": (message("APEL-summary-job-message: v0.1", SUMMARY | LEVEL), "none that the server knows"),
    "a normalised summary of version 0.3 by its new name": (message("APEL-normalised-summary-message: v0.3", PLAIN), "none that the server knows"),
    "Gratia's own XML": (b'<JobUsageRecord xmlns="http://www.gridforum.org/2003/ur-wg"/>', "not recognised"),
    "an aggregated usage record": (
        b'<SummaryRecord xmlns="http://eu-emi.eu/namespaces/2012/11/aggregatedcomputerecord"/>', "not yet supported",
    ),
    "broken XML": (b"<UsageRecords", "not well-formed"),
    "an unknown key": (message(JOB_03, JOB | {"Colour": "red"}), "the key Colour is unknown"),
    "a key in other capitals": (message(JOB_03, without(JOB, "Site") | {"site": "A"}), "the key site is unknown"),
    "a missing key": (message(JOB_03, without(JOB, "LocalJobId")), "LocalJobId is missing"),
    "a mandatory key that says nothing": (message(JOB_03, JOB | {"Site": "Null"}), "Site is mandatory"),
    "a blank line in a record": (message(JOB_03, JOB).replace(b"\nProcessors", b"\n\nProcessors"), "no colon"),
    "two signs within a value": (message(JOB_03, JOB | {"GlobalUserName": "/CN=50%%off"}), "off"),
    "a fraction of a second": (message(JOB_03, JOB | {"WallDuration": "3600.5"}), "no whole number"),
    "a time with an offset": (message(JOB_03, JOB | {"EndTime": "2024-03-02T18:20:00+00:00"}), "whole seconds since 1970"),
    "a time with a fraction": (message(JOB_03, JOB | {"EndTime": "1709403600.5"}), "whole seconds since 1970"),
    "an end before the start": (message(JOB_03, JOB | {"EndTime": "1709399999"}), "before StartTime"),
    "an end in three days": (message(JOB_03, JOB | {"EndTime": str(int((NOW + timedelta(days=3)).timestamp()))}), "in the future"),
    "a job without a benchmark": (message(JOB_03, without(JOB, "ServiceLevelType", "ServiceLevel")), "both needed"),
    "a job with half a benchmark": (message(JOB_03, without(JOB, "ServiceLevel")), "both needed"),
    "a benchmark of another name": (message(JOB_03, JOB | {"ServiceLevelType": "HEPSPEC06"}), "HEPSPEC06"),
    "a benchmark spelt with a hyphen": (message(JOB_03, JOB | {"ServiceLevelType": "HEP-SCORE"}), "HEP-SCORE"),
    "a negative wall time, by the database": (message(JOB_03, JOB | {"WallDuration": "-1"}), "negative"),
    "a wall time beyond 31 bits, by the database": (message(JOB_03, JOB | {"WallDuration": str(2**31)}), "2,147,483,647"),
    "a level beyond its column": (message(JOB_03, JOB | {"ServiceLevel": "10000000"}), "9999999.999"),
    "a job of version 0.4 without a level": (message(JOB_04, without(JOB, "ServiceLevelType", "ServiceLevel")), "ServiceLevel is missing"),
    "month 13": (message(NORMALISED_04, LISTED | {"Month": "13"}), "no month"),
    "a month to come": (message(NORMALISED_04, LISTED | {"Month": "5"}), "in the future"),
    "an end before the month": (message(NORMALISED_04, LISTED | {"EarliestEndTime": "1709251199"}), "EarliestEndTime is not within"),
    "an end behind the month": (message(NORMALISED_04, LISTED | {"LatestEndTime": "1711929601"}), "LatestEndTime is not within"),
    "ends the wrong way round": (message(NORMALISED_04, LISTED | {"EarliestEndTime": "1711929000", "LatestEndTime": "1711928000"}), "earlier than"),
    "a negative normalised time": (message(NORMALISED_03, PLAIN | {"NormalisedCpuDuration": "-1"}), "negative"),
    "numbers where lists belong": (message(NORMALISED_04, PLAIN), "no list such as"),
    "two benchmarks": (message(NORMALISED_04, LISTED | {"NormalisedCpuDuration": "{HEPSPEC: 8750}"}), "different benchmarks"),
    "one list alone": (message(NORMALISED_04, without(LISTED, "NormalisedCpuDuration")), "NormalisedCpuDuration is missing"),
    "a fraction in a list": (message(NORMALISED_04, LISTED | {"NormalisedCpuDuration": "{HEPscore23: 8750.5}"}), "no whole number"),
    "no processors, by the database": (message(NORMALISED_04, without(LISTED, "Processors")), "Processors is missing"),
    "no nodes, by the database": (message(SUMMARY_02, without(SUMMARY | LEVEL, "NodeCount")), "NodeCount is missing"),
    "InfrastructureType in a normalised summary": (message(NORMALISED_04, LISTED | {"InfrastructureType": "grid"}), "InfrastructureType is unknown"),
    "a long infrastructure": (message(NORMALISED_04, LISTED | {"Infrastructure": "g" * 21}), "20"),
    "a long user's name": (message(NORMALISED_04, LISTED | {"GlobalUserName": "u" * 256}), "255"),
    "processors beyond 31 bits": (message(NORMALISED_04, LISTED | {"Processors": str(2**31)}), "2,147,483,647"),
    "more than a megabyte": (message(NORMALISED_04, *[LISTED] * 4000), "1,000,000"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN)
def test_what_the_server_takes_is_taken(what: str) -> None:
    assert faults(TAKEN[what], NOW) == []


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_server_refuses_is_refused_with_the_reason(what: str) -> None:
    data, reason = REFUSED[what]
    assert reason in said(data)


def test_one_bad_record_of_many_is_named_by_its_number() -> None:
    found = faults(message(NORMALISED_04, LISTED, LISTED | {"Year": "MMXXIV"}, LISTED), NOW)
    assert [fault.record for fault in found] == [2]


def test_a_message_of_exactly_a_megabyte_is_taken() -> None:
    data = message(NORMALISED_04, LISTED)
    assert faults(data + b"\n" * (MOST_MESSAGE_BYTES - len(data)), NOW) == []
    assert faults(data + b"\n" * (MOST_MESSAGE_BYTES + 1 - len(data)), NOW) != []


@pytest.mark.parametrize("name", ["gracc_2017-01.apel", "gratia_2017-01.apel"])
def test_what_was_really_sent_in_2017_is_taken(name: str) -> None:
    assert faults(shared(f"apel/{name}").read_bytes(), NOW) == []

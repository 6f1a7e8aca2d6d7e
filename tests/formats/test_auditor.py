"""AUDITOR's records: what is one job, whose units its amounts are in, and how records may be arranged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridkeeper.formats.auditor import FORMAT
from gridkeeper.formats.registry import recognise
from tests.formats.cases import parse

CONDOR_ID = "htcondor-schedd1.example.org#12.0#1740823200"


def component(name: str, amount: Any, **scores: float) -> dict[str, Any]:
    return {
        "name": name,
        "amount": amount,
        "scores": [{"name": key, "value": value} for key, value in scores.items()],
    }


def record(*components: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "record_id": "slurm-1", "meta": {"site_id": ["EXAMPLE-SITE"]}, "components": list(components),
        "start_time": "2025-03-01T10:00:00Z", "stop_time": "2025-03-01T10:10:00Z", "runtime": 600,
    } | changed  # fmt: skip


def rows(*records: dict[str, Any], text: str | None = None) -> list[dict[str, Any]]:
    pieces = parse(FORMAT, (text or json.dumps(records)).encode())
    return [row for piece in pieces for table in piece.tables.values() for row in table.to_pylist()]


def test_a_requeued_job_has_the_same_record_id_and_is_another_run() -> None:
    found = rows(
        record(), record(start_time="2025-03-01T10:05:00Z"), record(stop_time="2025-03-01T10:20:00Z")
    )
    assert len({row["identity"] for row in found}) == 2
    assert found[0]["identity"] == found[2]["identity"]
    assert str(found[0]["identity_day"]) == "2025-03-01"


@pytest.mark.parametrize(
    ("record_id", "components", "user_us", "system_us"),
    [
        ("slurm-1", [component("TotalCPU", 2_608_686)], 2_608_686_000, 0),
        ("slurm-1", [component("UserCPU", 2_000), component("SystemCPU", 30), component("TotalCPU", 2_030)], 2_000_000, 30_000),
        ("slurm-1", [component("UserCPU", 2_000), component("TotalCPU", 2_030)], 2_030_000, 0),
        (CONDOR_ID, [component("TotalCPU", 590)], 590_000_000, 0),
        (CONDOR_ID, [component("UserCPU", 590)], 590_000_000, 0),
        ("kubernetes-1", [component("cpu", 590)], 590_000_000, 0),
        ("kubernetes-1", [], None, None),
        ("slurm-1", [component("TotalCPU", 2**63)], 9 * 10**18, 0),
    ],
)  # fmt: skip
def test_cpu_time_is_in_the_unit_of_its_collector(
    record_id: str, components: list[dict[str, Any]], user_us: int | None, system_us: int | None
) -> None:
    found = rows(record(*components, record_id=record_id))
    if user_us is not None and user_us > 10**18:
        assert found == []  # refused as absurd
    else:
        (row,) = found
        assert (row["cpu_user_us"], row["cpu_system_us"]) == (user_us, system_us)


def test_the_newest_benchmark_holds_and_a_score_of_zero_is_none() -> None:
    both, old, none = rows(
        record(component("Cores", 8, HEPSPEC=10.0, hepscore23=12.5)),
        record(component("Cores", 8, HEPSPEC=10.0, HEPscore23=0.0)),
        record(component("Cores", 8)),
    )
    assert (both["benchmark_name"], both["benchmark_per_core"]) == ("HEPscore23", 12.5)
    assert (old["benchmark_name"], old["benchmark_per_core"]) == ("HEPSPEC", 10.0)
    assert none["benchmark_name"] is None


def test_every_arrangement_gives_the_same_records() -> None:
    records = [record(component("Cores", number), record_id=f"slurm-{number}") for number in range(1, 6)]
    arrangements = [
        json.dumps(records),
        json.dumps(records, indent=4),
        "\n".join(map(json.dumps, records)) + "\n",
        "".join(json.dumps(each, indent=1) for each in records),
    ]
    made = [[row["identity"] for row in rows(text=text)] for text in arrangements]
    assert len(made[0]) == 5
    assert all(identities == made[0] for identities in made)
    assert {recognise(text.encode()).name for text in arrangements} == {"auditor"}


@pytest.mark.parametrize("value", [None, [], {}, 7, -(2**70), 1e300, True, "²", "", [None], {"a": 1}])
def test_a_value_of_any_kind_never_raises(value: Any) -> None:
    names = ("record_id", "meta", "components", "start_time", "stop_time", "runtime")
    changed = [record(**{name: value}) for name in names]
    changed += [record(meta={"site_id": value}), record(meta={"voms": [value]}), record(component("Cores", value)),
                record({"name": "Cores", "amount": 1, "scores": value}),
                record({"name": "Cores", "amount": 1, "scores": [{"name": "HEPSPEC", "value": value}]})]  # fmt: skip
    for each in changed:
        for piece in parse(FORMAT, json.dumps(each).encode()):
            assert piece.read == 1
            for table in piece.tables.values():
                table.validate(full=True)

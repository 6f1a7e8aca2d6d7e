"""The data source for Grafana: the calls that its JSON plug-ins make, as they make them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.collectors import Collector, collector
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

FEDERATION = """
vos: [{name: cms}, {name: atlas}]
resources: [{name: alpha, site: Springfield}, {name: beta, site: Shelbyville}]
mapping:
  - {when: {account: cms}, vo: cms, grid: OSG}
  - {when: {account: atlas}, vo: atlas, grid: OSG}
downtimes: [{resource: alpha, from: 2017-01-03T10:00:00Z, until: 2017-01-03T14:00:00Z, reason: power}]
"""
# What Grafana posts, less what no data source looks at.
RANGE = {
    "from": "2017-01-01T00:00:00.000Z",
    "to": "2017-01-04T23:59:59.999Z",
    "raw": {"from": "now-7d", "to": "now"},
}
WHOLE = {
    "app": "dashboard", "requestId": "Q100", "timezone": "utc", "panelId": 2, "range": RANGE, "interval": "1h", "intervalMs": 3600000,
    "maxDataPoints": 900, "scopedVars": {"__interval": {"text": "1h", "value": "1h"}}, "startTime": 1483228800000, "adhocFilters": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("grafana") / "home"
    home = InventedHome(folder, FEDERATION)
    home.slurm("alpha", every_day("2017-01-01", "2017-01-05", number=1, cores=8))
    home.slurm("beta", every_day("2017-01-02", "2017-01-03", number=500, account="atlas"))
    made = collector(folder, federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture(scope="module")
def grafana(filled: Collector) -> TestClient:
    return filled.client()


def ask(grafana: TestClient, *targets: dict[str, Any], **changes: Any) -> Any:
    return grafana.post("/api/v1/grafana/query", json=WHOLE | {"targets": list(targets)} | changes).json()


def at(day: int) -> int:
    return int(datetime(2017, 1, day, tzinfo=UTC).timestamp() * 1000)


def test_save_and_test_is_answered(grafana: TestClient) -> None:
    assert grafana.get("/api/v1/grafana").status_code == 200
    assert grafana.get("/api/v1/grafana/").status_code == 200


def test_what_can_be_asked_is_listed_for_both_plug_ins(grafana: TestClient) -> None:
    assert "core_hours" in grafana.post("/api/v1/grafana/search", json={"target": ""}).json()
    metrics = grafana.post("/api/v1/grafana/metrics", json={"metric": "", "payload": {}}).json()
    assert {"core_hours", "jobs", "efficiency"} <= {metric["value"] for metric in metrics}
    said = grafana.post(
        "/api/v1/grafana/metric-payload-options", json={"metric": "jobs", "payload": {}, "name": "by"}
    ).json()
    assert {"label": "vo", "value": "vo"} in said


def test_a_series_has_a_point_a_day_and_zero_where_nothing_ran(grafana: TestClient) -> None:
    found = ask(grafana, {"refId": "A", "target": "core_hours by vo", "type": "timeserie"})
    assert [one["target"] for one in found] == ["atlas", "cms"]
    assert found[0]["datapoints"] == [[0, at(1)], [1.0, at(2)], [0, at(3)], [0, at(4)]]
    assert found[1]["datapoints"] == [[8.0, at(day)] for day in (1, 2, 3, 4)]
    assert found[0]["refId"] == "A"


def test_words_and_payload_say_the_same(grafana: TestClient) -> None:
    words = ask(grafana, {"refId": "A", "target": "jobs by site where vo=cms"})
    fields = ask(grafana, {"refId": "A", "target": "jobs", "payload": {"by": ["site"], "where": "vo=cms"}})
    assert words == fields
    assert [one["target"] for one in words] == ["Springfield"]


def test_a_ratio_has_no_point_where_it_is_not_defined(grafana: TestClient) -> None:
    [atlas] = ask(grafana, {"refId": "A", "target": "efficiency where vo=atlas"})
    assert [moment for _, moment in atlas["datapoints"]] == [at(2)]


def test_a_table_has_columns_with_types(grafana: TestClient) -> None:
    [table] = ask(grafana, {"refId": "B", "target": "core_hours by site,vo", "type": "table"})
    assert table["columns"] == [
        {"text": "site", "type": "string"}, {"text": "vo", "type": "string"}, {"text": "core_hours", "type": "number"},
    ]  # fmt: skip
    assert table["rows"] == [["Springfield", "cms", 32.0], ["Shelbyville", "atlas", 1.0]]


def test_months_are_told_by_their_first_day(grafana: TestClient) -> None:
    [all_of_it] = ask(grafana, {"refId": "A", "target": "jobs", "payload": {"every": "month"}})
    assert all_of_it["datapoints"] == [[5, at(1)]]


def test_filters_narrow_and_hidden_targets_are_not_answered(grafana: TestClient) -> None:
    narrowed = ask(
        grafana,
        {"refId": "A", "target": "jobs by vo"},
        adhocFilters=[{"key": "site", "operator": "=", "value": "Shelbyville"}],
    )
    assert [one["target"] for one in narrowed] == ["atlas"]
    assert ask(grafana, {"refId": "A", "target": "jobs", "hide": True}) == []


def test_variables_and_filters_know_the_values(grafana: TestClient) -> None:
    assert grafana.post("/api/v1/grafana/variable", json={"payload": {"target": "vo"}}).json() == [
        {"__text": "atlas", "__value": "atlas"}, {"__text": "cms", "__value": "cms"},
    ]  # fmt: skip
    keys = [one["text"] for one in grafana.post("/api/v1/grafana/tag-keys", json={}).json()]
    assert "site" in keys
    assert "user" not in keys
    values = grafana.post("/api/v1/grafana/tag-values", json={"key": "site"}).json()
    assert values == [{"text": "Shelbyville"}, {"text": "Springfield"}]


def test_downtimes_are_annotations(grafana: TestClient) -> None:
    asked = {"range": RANGE, "annotation": {"name": "downtimes", "enable": True}}
    [down] = grafana.post("/api/v1/grafana/annotations", json=asked).json()
    assert (down["title"], down["text"]) == ("alpha down", "power")
    assert down["timeEnd"] - down["time"] == 4 * 3600 * 1000


@pytest.mark.parametrize(
    "target", ["nosuch", "jobs by nosuch", "jobs where nosuch=1", "jobs; DROP TABLE", "jobs by day"]
)
def test_a_question_that_is_none_is_told(grafana: TestClient, target: str) -> None:
    answer = grafana.post(
        "/api/v1/grafana/query", json=WHOLE | {"targets": [{"refId": "A", "target": target}]}
    )
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("target")


def test_no_user_is_told_to_the_public(grafana: TestClient, filled: Collector) -> None:
    asked = WHOLE | {"targets": [{"refId": "A", "target": "jobs by user"}]}
    assert grafana.post("/api/v1/grafana/query", json=asked).status_code == 403
    assert grafana.post("/api/v1/grafana/variable", json={"payload": {"target": "user"}}).status_code == 403
    carol = filled.client(filled.token(role="operator"))
    assert [one["target"] for one in carol.post("/api/v1/grafana/query", json=asked).json()] == ["bob"]


def test_the_same_over_the_plain_api_page_by_page(grafana: TestClient) -> None:
    first = grafana.get("/api/v1/usage?by=day,vo&measure=jobs&first=2017-01-01&until=2017-01-05&limit=2")
    said = first.json()
    assert (said["total_rows"], len(said["rows"]), said["units"]) == (5, 2, {"jobs": "jobs"})
    following = first.headers["link"].partition("<")[2].partition(">")[0]
    rest = grafana.get(following).json()
    assert rest["offset"] == 2
    assert rest["rows"][0] not in said["rows"]
    assert grafana.get("/api/v1/names/vo").json() == {"dimension": "vo", "names": ["atlas", "cms"]}
    assert grafana.get("/api/v1/names/user").status_code == 403
    assert grafana.get("/api/v1/usage?by=vo&format=csv").text.startswith("vo,")

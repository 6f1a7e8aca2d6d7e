"""The feed for APEL over HTTP: for operators, written down once, the same until the books change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.database import reading
from gridkeeper.exports.apel_sent import sendings
from gridkeeper.exports.apel_validator import faults
from gridkeeper.trust import audit
from tests.collectors import LOCAL, Collector, collector
from tests.exports.grids import FEDERATION, GridJob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
MONTH = "/api/v1/apel/2017-01"


def deliver(house: Collector, *jobs: GridJob) -> None:
    text = "APEL-individual-job-message: v0.3\n" + "".join(job.text for job in jobs)
    sent = house.client(house.token(role="operator")).post("/api/v1/batches?format=apel", content=text)
    assert sent.status_code == 202, sent.text
    house.load()
    house.services.reading.settle()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


def test_an_operator_fetches_a_month_and_it_is_written_down_and_audited(house: Collector) -> None:
    deliver(house, GridJob(1), GridJob(2, cores=8))
    operator = house.client(house.token(role="operator"))
    fetched = operator.get(MONTH)
    assert fetched.status_code == 200, fetched.text
    assert fetched.headers["content-type"] == "text/plain; charset=us-ascii"
    first, second = fetched.text.split("APEL-sync")
    assert faults(first.encode(), datetime.now(UTC)) == []
    assert faults(("APEL-sync" + second).encode(), datetime.now(UTC)) == []
    (one,) = sendings(house.services.engine)
    assert (one.destination, one.month, one.jobs) == ("pull", "2017-01", 2)
    assert one.who.startswith("token ")
    with reading(house.services.engine) as connection:
        (entry,) = audit.entries(connection, act="apel.send")
    assert (entry.address, entry.subject) == (LOCAL, "2017-01 v0.4")


def test_what_did_not_change_is_not_written_down_again(house: Collector) -> None:
    deliver(house, GridJob(1))
    operator = house.client(house.token(role="operator"))
    tag = operator.get(MONTH).headers["etag"]
    assert operator.get(MONTH, headers={"If-None-Match": tag}).status_code == 304
    assert operator.get(MONTH).status_code == 200
    assert len(sendings(house.services.engine)) == 1
    with reading(house.services.engine) as connection:
        assert len(audit.entries(connection, act="apel.send")) == 2
    deliver(house, GridJob(2, cores=8))
    changed = operator.get(MONTH, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert "Processors: 8" in changed.text
    assert len(sendings(house.services.engine)) == 2


def test_the_difference_is_told_and_nothing_written_down(house: Collector) -> None:
    deliver(house, GridJob(1))
    operator = house.client(house.token(role="operator"))
    operator.get(MONTH)
    deliver(house, GridJob(2, cores=8))
    told = operator.get(f"{MONTH}/difference").json()
    assert {name: told["difference"][name] for name in ("new", "changed", "gone", "same")} == {
        "new": 1,
        "changed": 0,
        "gone": 0,
        "same": 1,
    }
    assert told["totals"]["jobs"] == 2
    assert len(sendings(house.services.engine)) == 1


@pytest.mark.parametrize("role", ["probe", "viewer"])
def test_others_do_not_get_it_since_it_may_name_users(house: Collector, role: str) -> None:
    token = house.token("EAST", role="probe") if role == "probe" else house.token(role="viewer")
    for path in (MONTH, f"{MONTH}/difference"):
        assert house.client(token).get(path).status_code == 403
        assert house.client().get(path).status_code in (401, 403)
    assert sendings(house.services.engine) == []


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/apel/2017-13", 400, "no month"),
        ("/api/v1/apel/2016-01", 404, "nothing is known of January 2016"),
        (f"{MONTH}?dialect=v9", 422, "dialect"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(
    house: Collector, path: str, status: int, said: str
) -> None:
    refused = house.client(house.token(role="operator")).get(path)
    assert (refused.status_code, said in refused.text) == (status, True), refused.text

"""Archived text is read again after a parser was mended, and only what it changes is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gridkeeper import clock
from gridkeeper.formats import sacct as parser
from gridkeeper.intake.archived import Wanted
from gridkeeper.records.identity import content_hashes
from gridkeeper.records.usage import USAGE_RECORDS
from tests.collectors import LOCAL, Collector, collector
from tests.intake.replays import again, counts
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(
        tmp_path / "home",
        {"trust": {"addresses": [LOCAL]}},
        "resources: [{name: alpha, site: Alpha}]\nvos: [{name: cms}]\nmapping: [{when: {account: cms}, vo: cms}]\n",
    )
    yield made
    made.close()


def today() -> Wanted:
    day = clock.now().date()
    return Wanted(day - timedelta(days=1), day + timedelta(days=1))


def send(gate: Collector, body: bytes) -> None:
    assert gate.client().post("/api/v1/batches?format=sacct&resource=alpha", content=body).status_code == 202
    gate.load()


def test_nothing_changes_where_the_parser_is_as_it_was(gate: Collector) -> None:
    send(gate, sacct(1, 2, 3))
    assert (
        gate.client().post("/gratia-servlets/rmi", content=post("multiupdate", envelope(record(9)))).content
        == b"OK"
    )
    gate.load()
    done = again(gate, today())
    assert (done.texts, done.records, counts(done)) == (2, 4, {"same": 4})


def test_a_mended_parser_changes_the_books_by_what_the_dry_run_said(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(gate, sacct(1, 2))
    mend(monkeypatch)
    looked = again(gate, today(), commit=False)
    ((place, sums),) = looked.tables["usage_records"].by_place.items()
    assert place == ("cms", "Alpha")
    assert (sums.new, sums.changed, sums.wall_seconds, sums.core_seconds) == (0, 2, 0, 2 * 3600 * 2)
    assert core_seconds(gate) == 2 * 3600 * 2
    again(gate, today())
    assert core_seconds(gate) == 2 * 3600 * 4
    assert counts(again(gate, today())) == {"same": 2}


def test_a_parser_that_is_as_it_was_before_the_mending_is_said_to_change_nothing(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(gate, sacct(1))
    with monkeypatch.context() as mended:
        mend(mended)
        again(gate, today())
    assert counts(again(gate, today())) == {"elsewhere": 1}
    assert core_seconds(gate) == 3600 * 4


def test_what_a_later_delivery_revised_stays_as_that_one_said(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(gate, sacct(1))
    send(gate, sacct(1, wall_s=3000))
    first_text = Wanted(date(2000, 1, 1), clock.now().date() + timedelta(days=1))
    mend(monkeypatch)
    done = again(gate, first_text)
    assert core_seconds(gate) == 3000 * 4
    assert counts(done) == {"elsewhere": 1, "changed": 1}


def test_only_the_wanted_texts_are_read(gate: Collector) -> None:
    send(gate, sacct(1))
    assert again(gate, Wanted(date(2001, 1, 1), date(2001, 2, 1))).texts == 0
    other = Wanted(date(2001, 1, 1), datetime(2100, 1, 1, tzinfo=UTC).date(), format="apel")
    assert again(gate, other).texts == 0


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the parser sees twice the processors: as if it had miscounted them before."""
    before = parser.FORMAT.parse

    def parse(block: object, delivery: object) -> object:
        parsed = before(block, delivery)  # type: ignore[arg-type]
        rows = parsed.tables["usage_records"]
        for name in ("processors", "processors_reported"):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(
                place, rows.schema.field(place), pc.cast(pc.multiply(rows[name], 2), pa.int32())
            )
        columns = {name: rows[name].combine_chunks() for name in rows.column_names}
        place = rows.schema.get_field_index("content_hash")
        hashes = content_hashes(columns, USAGE_RECORDS.content)
        parsed.tables["usage_records"] = rows.set_column(place, rows.schema.field(place), hashes)
        return parsed

    monkeypatch.setattr(parser.FORMAT, "parse", parse)


def core_seconds(gate: Collector) -> int:
    sql = "SELECT CAST(SUM(core_seconds) AS BIGINT) AS core FROM usage_daily_end"
    (row,) = gate.place.books().select(sql).to_pylist()
    return int(row["core"])

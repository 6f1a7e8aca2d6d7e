"""Who may send for whom holds when archived text is read again: alice is of Utah, bob of Nebraska, carol operates."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gridkeeper import clock
from gridkeeper.cli.app import app
from gridkeeper.database import reading, writing
from gridkeeper.formats import gratia_xml as parser
from gridkeeper.intake import quarantine
from gridkeeper.intake.archived import Wanted
from gridkeeper.intake.tables import BATCHES, REJECTS
from gridkeeper.lake.archive import RECEPTIONS
from gridkeeper.lake.tables import Handle
from gridkeeper.trust import audit
from tests.collectors import Collector, collector
from tests.intake.replays import again, counts
from tests.web.gratia_posts import envelope, handshake, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gridkeeper.formats.contract import Block, Format
    from gridkeeper.records.draft import Delivery, Parsed

pytestmark = pytest.mark.slow

GRATIA = "/gratia-servlets/rmi"
UTAH, NEBRASKA = "condor:ce.example.org", "condor:red.example.org"
FEDERATION = f"""\
resources:
  - {{name: Utah-Kingspeak, site: Utah, probes: ["{UTAH}"]}}
  - {{name: Nebraska, probes: ["{NEBRASKA}"]}}
  - {{name: alpha, site: Alpha}}
"""
MEMBER_BYTES = 4096
LONG = record(3).replace("<Status>0", f"<JobName>{'x' * 8000}</JobName><Status>0")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"intake": {"member_bytes": MEMBER_BYTES}}, FEDERATION)
    yield made
    made.close()


def ever(probe: str | None = None) -> Wanted:
    day = clock.now().date()
    return Wanted(day - timedelta(days=1), day + timedelta(days=1), probe=probe)


def send(gate: Collector, resource: str, *members: str, probe: str = UTAH) -> None:
    client = gate.client(gate.token(resource))
    assert client.post(GRATIA, content=post("multiupdate", envelope(*members), probe)).content == b"OK"
    gate.load()


def refusals(gate: Collector, **chosen: str) -> list[tuple[str, str]]:
    """Rule and state of what is in the quarantine."""
    rows = quarantine.entries(gate.services.engine, quarantine.Choice(state=None, **chosen))  # type: ignore[arg-type]
    return sorted((row.rule, row.state) for row in rows)


def forget_receptions(gate: Collector) -> None:
    """As in a home of a version that kept none."""
    handle = Handle(gate.place.lake.root, RECEPTIONS)
    table = handle.table()
    table.delete()


def test_what_alice_may_not_send_a_replay_does_not_book_either(gate: Collector) -> None:
    send(gate, "Utah-Kingspeak", record(1), record(2, "Nebraska"), LONG)
    before = refusals(gate)
    assert before == [("not_allowed", "open"), ("record_too_long", "open")]
    done = again(gate, ever())
    assert counts(done) == {"same": 1}
    assert dict(done.refused) == {"not_allowed": 1, "record_too_long": 1}
    assert (refusals(gate), done.closed, gate.sums()) == (before, 0, (1, 3600))


@pytest.mark.parametrize("is_still_known_to", ["inbox", "quarantine"])
def test_that_holds_for_text_that_was_archived_before_receptions_were_kept(
    gate: Collector, is_still_known_to: str
) -> None:
    send(gate, "Utah-Kingspeak", record(1), record(2, "Nebraska"))
    forget_receptions(gate)
    if is_still_known_to == "quarantine":
        with writing(gate.services.engine) as connection:
            connection.execute(sa.delete(BATCHES))
    done = again(gate, ever(UTAH))
    assert (done.texts, counts(done), dict(done.refused)) == (1, {"same": 1}, {"not_allowed": 1})
    assert gate.sums() == (1, 3600)


def test_text_that_was_loaded_by_hand_before_receptions_were_kept_is_read_again(
    gate: Collector, tmp_path: Path
) -> None:
    (tmp_path / "jobs.txt").write_bytes(sacct(1, 2))
    home = str(gate.place.home.path)
    assert CliRunner().invoke(app, ["--home", home, "load", str(tmp_path / "jobs.txt")]).exit_code == 0
    forget_receptions(gate)
    assert counts(again(gate, ever())) == {"same": 2}


def test_the_same_text_of_alice_and_of_bob_is_judged_for_each_of_them(gate: Collector) -> None:
    for resource in ("Utah-Kingspeak", "Nebraska"):  # an old probe that does not say who it is
        send(gate, resource, record(1), record(2, "Nebraska").replace(UTAH, NEBRASKA), probe="")
    assert gate.sums() == (2, 7200)
    done = again(gate, ever())
    assert (done.texts, done.records, counts(done)) == (1, 4, {"same": 2})
    assert dict(done.refused) == {"not_allowed": 2}
    assert refusals(gate) == [("not_allowed", "open")] * 2


def test_a_refusal_whose_record_a_replay_books_is_closed_and_says_by_whom(gate: Collector) -> None:
    send(gate, "Utah-Kingspeak", record(1), record(2, "Nebraska"), LONG)
    looked = again(gate, ever(), commit=False, member_bytes=1024 * 1024)
    assert (looked.closed, refusals(gate)[1]) == (1, ("record_too_long", "open"))
    done = again(gate, ever(), member_bytes=1024 * 1024)
    assert counts(done) == {"same": 1, "new": 1}
    assert refusals(gate) == [("not_allowed", "open"), ("record_too_long", "loaded")]
    (row,) = quarantine.entries(gate.services.engine, quarantine.Choice(state="loaded"))
    assert (row.closed_by, row.closed_because) == ("local carol", "replayed")
    assert gate.sums() == (2, 7200)


def test_what_a_replay_refuses_anew_is_kept_like_any_refusal(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(gate, "Utah-Kingspeak", record(1), record(2))
    stricter(monkeypatch)
    assert dict(again(gate, ever(), commit=False).refused) == {"absurd_value": 1}
    assert refusals(gate) == []
    done = again(gate, ever())
    assert (counts(done), refusals(gate)) == ({"same": 1, "orphans": 1}, [("absurd_value", "open")])
    again(gate, ever())
    (row,) = quarantine.entries(gate.services.engine, quarantine.Choice())
    assert row.times == 1


def test_a_probe_is_found_by_the_name_it_gives_itself_and_its_records_keep_their_own(gate: Collector) -> None:
    send(gate, "*", record(1), record(2).replace("PT3600S", "PTsoonS"), probe="gratia:gateway.example.org")
    send(gate, "*", handshake(), record(3).replace(UTAH, "condor:other.example.org"), probe="")
    assert again(gate, ever("gratia:gateway.example.org")).texts == 1
    assert again(gate, ever(UTAH)).texts == 1  # so its handshake says
    assert again(gate, ever("condor:third.example.org")).texts == 0
    assert len(refusals(gate, probe="gratia:gateway.example.org")) == 1
    (group,) = quarantine.groups(gate.services.engine, quarantine.Choice())
    assert group.probe == "gratia:gateway.example.org"
    found = gate.place.lake.snapshot().select("SELECT DISTINCT probe FROM usage_records ORDER BY probe")
    assert found["probe"].to_pylist() == [UTAH, "condor:other.example.org"]


def test_the_audit_says_who_replayed_what_and_what_it_changed(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(gate, "*", record(1))
    shorter(monkeypatch)
    again(gate, ever(UTAH))
    with reading(gate.services.engine) as connection:
        (entry,) = audit.entries(connection, act="archive")
    assert (entry.who, entry.act, entry.details["probe"]) == ("local carol", "archive.replay", UTAH)
    assert entry.details["changes"]["usage_records"] == {
        "new": 0,
        "changed": 1,
        "places": [
            {"vo": "cms", "site": "Utah", "new": 0, "changed": 1, "wall_seconds": -600, "core_seconds": -1200, "cpu_seconds": -300}
        ],
    }  # fmt: skip


def test_a_dry_run_writes_nothing_at_all(gate: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    send(gate, "*", record(1), record(2))
    forget_receptions(gate)
    stricter(monkeypatch)
    before = everything(gate)
    home = str(gate.place.home.path)
    told = CliRunner().invoke(
        app, ["--home", home, "replay", "--from", "2000-01-01", "--to", f"{clock.now():%Y-%m-%d}", "--dry-run", "--json"]
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    assert (said["records"], said["same"], said["orphans"], said["committed"]) == (2, 1, 1, False)
    assert everything(gate) == before


def everything(gate: Collector) -> object:
    """Every file of the lake, and every row of the database that a replay could write."""
    files = {path: path.stat().st_mtime_ns for path in gate.place.lake.root.rglob("*")}
    with reading(gate.services.engine) as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(REJECTS))]
        return files, rows, audit.entries(connection)


def stricter(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the parser takes no job of the number 2."""
    head, wall = b"<LocalJobId>2</LocalJobId>.*?<WallDuration>", b"PT99999999999S"
    reads_otherwise(monkeypatch, lambda text: re.sub(b"(?s)(" + head + b")PT3600S", rb"\1" + wall, text))


def shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the parser sees ten minutes less of wall time, and five of CPU time."""
    reads_otherwise(
        monkeypatch, lambda text: text.replace(b"PT3600S", b"PT3000S").replace(b"PT1800S", b"PT1500S")
    )


def reads_otherwise(
    monkeypatch: pytest.MonkeyPatch, sees: Callable[[bytes], bytes], format_: Format = parser.FORMAT
) -> None:
    before = format_.parse

    def parse(block: Block, delivery: Delivery) -> Parsed:
        return before(replace(block, data=sees(block.data)), delivery)

    monkeypatch.setattr(format_, "parse", parse)

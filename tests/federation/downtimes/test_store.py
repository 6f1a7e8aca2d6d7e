"""Downtimes that are kept here: every change is a revision, and an import twice changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import osg_yaml, store
from gridkeeper.federation.downtimes.forms import read_path
from gridkeeper.federation.downtimes.model import Severity
from gridkeeper.federation.downtimes.times import typed
from tests.databases import database, sqlite_database  # noqa: F401 (fixtures)
from tests.federation.downtimes.sample import DOWNTIMES
from tests.homes import at
from tests.shared_material import shared

if TYPE_CHECKING:
    from datetime import datetime

    from gridkeeper.federation.downtimes.model import Row
    from gridkeeper.federation.downtimes.revising import Kept

NOW = at("2017-02-15T12:00")


class Bob:
    """Who announces at the invented site."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def announces(self, *rows: Row, now: datetime = NOW) -> Kept:
        with writing(self.engine) as connection:
            return store.announce(connection, rows, "bob", now)

    def extends(self, name: str, until: str | None, now: datetime = NOW) -> Kept:
        with writing(self.engine) as connection:
            return store.extend(connection, name, typed(until) if until else None, "bob", now, "more work")

    def cancels(self, name: str, now: datetime = NOW) -> Kept:
        with writing(self.engine) as connection:
            return store.cancel(connection, name, "bob", now, "not needed")

    def imports(self, text: str, now: datetime = NOW) -> store.Imported:
        with writing(self.engine) as connection:
            return store.take_in(connection, osg_yaml.read(text.encode(), "f").rows, "bob", now)

    def sees(self) -> list[Kept]:
        with reading(self.engine) as connection:
            return store.everything(connection)


@pytest.fixture
def bob(database: sa.Engine) -> Bob:  # noqa: F811
    return Bob(database)


COOLING = osg_yaml.read(DOWNTIMES.encode(), "f").rows[0]


def test_a_downtime_is_kept_as_it_was_declared(bob: Bob) -> None:
    kept = bob.announces(COOLING)
    (again,) = bob.sees()
    assert again == kept
    assert again.last.rows == (COOLING,)
    assert again.last.rows[0].place == COOLING.place
    assert again.incident.window.start.text == "Feb 20, 2017 08:00 -0600"


def test_rows_without_an_id_get_ids_that_nobody_has(bob: Bob) -> None:
    bare = replace(COOLING, id=None, source="command")
    ids = [row.id for kept in (bob.announces(bare, bare), bob.announces(bare)) for row in kept.last.rows]
    assert len(set(ids)) == 3
    assert all(int(number or 0) > 2_600_000_000 for number in ids)


def test_every_change_is_a_revision_and_nothing_is_overwritten(bob: Bob) -> None:
    kept = bob.announces(COOLING)
    bob.extends(kept.id, "2017-02-24T00:00")
    bob.extends("101", "2017-02-23T00:00")  # by the id of its row
    bob.extends(kept.id[:5], None)
    bob.extends(kept.id, "2017-02-21T00:00", now=at("2017-02-21T06:00"))
    (again,) = bob.sees()
    assert [revision.act for revision in again.revisions] == [
        "announce",
        "extend",
        "shorten",
        "extend",
        "end-early",
    ]
    assert [revision.rows[0].window.until for revision in again.revisions] == [
        at("2017-02-22T14:00"), at("2017-02-24"), at("2017-02-23"), None, at("2017-02-21"),
    ]  # fmt: skip
    with pytest.raises(sa.exc.DBAPIError, match="only ever added"), writing(bob.engine) as connection:
        connection.execute(sa.text("UPDATE downtime_revisions SET reason = 'other'"))
    with pytest.raises(sa.exc.DBAPIError, match="only ever added"), writing(bob.engine) as connection:
        connection.execute(sa.text("DELETE FROM downtime_revisions"))


def test_what_has_begun_ends_now_and_what_has_not_never_was(bob: Bob) -> None:
    assert bob.cancels(bob.announces(COOLING).id).state(NOW) == "cancelled"
    begun = bob.announces(replace(COOLING, id="105"))
    ended = bob.cancels(begun.id, now=at("2017-02-20T20:00"))
    assert ended.last.act == "end-early"
    assert ended.incident.window.until == at("2017-02-20T20:00")


@pytest.mark.parametrize(
    ("until", "now", "said"),
    [
        ("2017-02-22T14:00", NOW, "has that end already"),
        ("2017-02-20T14:00", NOW, "an end must be later"),
        ("2017-02-25T00:00", at("2017-02-23"), "is over; announce a new one"),
    ],
)
def test_an_end_that_cannot_be_is_refused(bob: Bob, until: str, now: datetime, said: str) -> None:
    kept = bob.announces(COOLING)
    with pytest.raises(UserMistake, match=said):
        bob.extends(kept.id, until, now)


def test_a_cancelled_one_stays_cancelled_and_an_unknown_one_is_named(bob: Bob) -> None:
    kept = bob.announces(COOLING)
    bob.cancels(kept.id)
    with pytest.raises(UserMistake, match="was cancelled on 2017-02-15"):
        bob.extends(kept.id, "2017-02-25T00:00")
    with pytest.raises(UserMistake, match="there is no downtime 'nothing'"):
        bob.cancels("nothing")


def test_an_import_twice_changes_nothing_and_a_later_one_makes_revisions(bob: Bob) -> None:
    first = bob.imports(DOWNTIMES)
    assert (len(first.new), len(first.changed), first.same) == (2, 0, 0)
    again = bob.imports(DOWNTIMES)
    assert (len(again.new), len(again.changed), again.same, again.vanished) == (0, 0, 2, ())
    longer = bob.imports(DOWNTIMES.replace("Feb 22, 2017 08:00", "Feb 23, 2017 08:00"))
    assert [kept.last.act for kept in longer.changed] == ["extend"]
    renamed = bob.imports(
        DOWNTIMES.replace("Feb 22, 2017 08:00", "Feb 23, 2017 08:00").replace("a disk", "two disks")
    )
    assert [kept.last.act for kept in renamed.changed] == ["change"]
    gone = bob.imports(DOWNTIMES.split("# ---")[0])
    assert [kept.last.rows[0].id for kept in gone.vanished] == ["103"]
    assert len(bob.sees()) == 2


def test_an_incident_that_is_taken_apart_stays_one_and_makes_another(bob: Bob) -> None:
    bob.imports(DOWNTIMES)
    apart = bob.imports(DOWNTIMES.replace("EndTime: Feb 22", "EndTime: Feb 23", 1))
    assert (len(apart.new), len(apart.changed)) == (1, 1)
    assert sorted(row.id or "" for kept in bob.sees() for row in kept.last.rows) == ["101", "102", "103"]


def test_what_was_cancelled_here_is_not_brought_back_by_an_import(bob: Bob) -> None:
    kept = bob.imports(DOWNTIMES).new[0]
    bob.cancels(kept.id)
    assert bob.imports(DOWNTIMES).changed == ()
    assert next(each for each in bob.sees() if each.id == kept.id).cancelled


def test_only_what_stops_records_explains_a_silence(bob: Bob) -> None:
    bob.announces(COOLING)
    bob.announces(replace(COOLING, id="2", severity=Severity.NO_OUTAGE))
    bob.announces(replace(COOLING, id="3", services=(replace(COOLING.services[0], name="Squid"),)))
    bob.cancels(bob.announces(replace(COOLING, id="4", resource="EXAMPLE_CE2")).id)
    (told,) = store.announced(bob.sees())
    assert (told.resource, told.begin, told.until) == (
        "EXAMPLE_CE1",
        at("2017-02-20T14:00"),
        at("2017-02-22T14:00"),
    )


@pytest.mark.slow
def test_the_real_downtimes_are_kept_whole(sqlite_database: sa.Engine) -> None:  # noqa: F811
    rows = read_path(shared("topology/topology")).rows
    with writing(sqlite_database) as connection:
        done = store.take_in(connection, rows, "bob", NOW)
        again = store.take_in(connection, rows, "bob", NOW)
        kept = store.everything(connection)
    assert len(done.new) == len(kept) == again.same == 1457
    assert sum(len(each.last.rows) for each in kept) == 3821

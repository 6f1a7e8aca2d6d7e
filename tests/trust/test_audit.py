"""The audit only grows, is written with what it tells of or not at all, and holds no secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.trust import audit, tokens
from gridkeeper.trust.tables import AUDIT

if TYPE_CHECKING:
    from tests.trust.conftest import Collector

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def written(database: sa.Engine) -> sa.Engine:
    with writing(database) as connection:
        audit.record(connection, "local carol", "token.create", "token 1 (Utah)", {"days": 400}, at=NOON)
        audit.record(
            connection,
            "token 9 (dan)",
            "quarantine.retry",
            "b7",
            {},
            "10.1.2.3",
            at=NOON + timedelta(hours=1),
        )
        audit.record(
            connection, "local carol", "token.revoke", "token 1 (Utah)", {}, at=NOON + timedelta(hours=2)
        )
        audit.record(connection, "local carol", "tokenless.act", "x", {}, at=NOON + timedelta(hours=3))
    return database


def test_everything_is_there_newest_first(written: sa.Engine) -> None:
    with reading(written) as connection:
        found = audit.entries(connection)
    assert [entry.act for entry in found] == [
        "tokenless.act",
        "token.revoke",
        "quarantine.retry",
        "token.create",
    ]
    assert found[-1].details == {"days": 400}
    assert found[-1].at == NOON
    assert found[-1].address is None
    assert found[2].address == "10.1.2.3"


@pytest.mark.parametrize(
    ("question", "acts"),
    [
        ({"who": "token 9 (dan)"}, ["quarantine.retry"]),
        ({"act": "token"}, ["token.revoke", "token.create"]),
        ({"act": "token.create"}, ["token.create"]),
        ({"act": "%"}, []),
        ({"subject": "token 1 (Utah)"}, ["token.revoke", "token.create"]),
        ({"since": NOON + timedelta(hours=2)}, ["tokenless.act", "token.revoke"]),
        ({"until": NOON + timedelta(hours=1)}, ["token.create"]),
        ({"limit": 1}, ["tokenless.act"]),
    ],
)
def test_it_can_be_asked(written: sa.Engine, question: dict[str, object], acts: list[str]) -> None:
    with reading(written) as connection:
        assert [entry.act for entry in audit.entries(connection, **question)] == acts  # type: ignore[arg-type]


def test_it_can_be_read_page_by_page(written: sa.Engine) -> None:
    with reading(written) as connection:
        first = audit.entries(connection, limit=3)
        rest = audit.entries(connection, limit=3, before=first[-1].id)
    assert [entry.act for entry in rest] == ["token.create"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET who = 'nobody'",
        "UPDATE audit SET details = '{}' WHERE act = 'token.create'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
    ],
)
def test_its_rows_cannot_be_changed_or_removed(written: sa.Engine, change: str) -> None:
    _refused(written, change)


def test_it_cannot_be_emptied_or_overwritten_either(written: sa.Engine) -> None:
    values = "INTO audit (id, at, who, act, subject, details) VALUES (1, 0, 'nobody', 'a.b', '', '{}')"
    if written.dialect.name == "sqlite":
        _refused(written, f"INSERT OR REPLACE {values}")
    else:
        _refused(written, "TRUNCATE audit")
        _refused(written, f"INSERT {values} ON CONFLICT (id) DO UPDATE SET who = 'nobody'")


def _refused(engine: sa.Engine, change: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="only ever added"), writing(engine) as connection:
        connection.execute(sa.text(change))
    with reading(engine) as connection:
        found = audit.entries(connection)
    assert len(found) == 4
    assert {entry.who for entry in found} == {"local carol", "token 9 (dan)"}


def test_an_act_that_does_not_happen_is_not_written_down(database: sa.Engine) -> None:
    with pytest.raises(RuntimeError), writing(database) as connection:
        audit.record(connection, "local carol", "token.create", "x", {})
        raise RuntimeError
    with reading(database) as connection:
        assert audit.entries(connection) == []


def test_a_secret_that_strays_into_it_is_cut(database: sa.Engine) -> None:
    home, foreign = f"gk_3f2a9c81_{'5' * 48}", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"
    with writing(database) as connection:
        audit.record(
            connection, f"who {home}", "token.use", f"it was {foreign}", {"header": [home, {"t": foreign}]}
        )
        text = repr(connection.execute(sa.select(AUDIT)).all())
    assert "gk_3f2a9c81_…" in text
    assert "55555" not in text
    assert "c2lnbmF0dXJl" not in text


def test_odd_characters_do_not_keep_an_act_out_of_it(database: sa.Engine) -> None:
    with writing(database) as connection:
        audit.record(connection, "a\0b", "token.use", "\ud800", {"x": "\0\ud800"}, "\0")
        [entry] = audit.entries(connection)
    assert (entry.who, entry.subject, entry.address) == (
        "a\N{REPLACEMENT CHARACTER}b",
        "?",
        "\N{REPLACEMENT CHARACTER}",
    )


def test_an_act_has_a_noun_and_a_verb(database: sa.Engine) -> None:
    with pytest.raises(ValueError, match=r"noun\.verb"), writing(database) as connection:
        audit.record(connection, "local carol", "Did something", "x", {})


def test_giving_and_taking_tokens_is_in_it(collector_on_each: Collector) -> None:
    collector = collector_on_each
    token = collector.give("Utah-Kingspeak", name="Utah CE")
    tokens.revoke(collector.engine, token, "lost", "local carol", collector.now)
    with reading(collector.engine) as connection:
        revoked, created = audit.entries(connection)
    assert created.who == revoked.who == "local carol"
    assert created.subject == revoked.subject
    assert "(Utah CE)" in created.subject
    assert created.details["resources"] == ["Utah-Kingspeak"]
    assert revoked.details == {"reason": "lost"}


def test_who_sits_at_the_console_is_not_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    before = audit.local_user()
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    assert audit.local_user() == before
    assert before.startswith("local ")

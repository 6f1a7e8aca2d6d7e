"""Stories of sessions and of logins on the way, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from gridkeeper.database import open_database, reading, writing
from gridkeeper.login_settings import Login
from gridkeeper.trust import attempts, audit, sessions, tokens
from gridkeeper.trust.refusals import CannotTell
from gridkeeper.trust.tables import LOGIN_ATTEMPTS, SESSIONS
from gridkeeper.trust.visitors import Visitor
from tests.trust.conftest import CAROL

if TYPE_CHECKING:
    from tests.trust.conftest import Collector

LIMITS = Login(session_hours=12, idle_minutes=60)
ALICE = Visitor(
    "Alice (oidc a-1)", "site-contact", "10.1.2.3", frozenset({"Utah"}), frozenset({"Nebr*"}), users=frozenset({"alice"})
)  # fmt: skip
AT_PROVIDER = sessions.Origin("oidc", "https://login.example.org a-1", rules="as they are")


@pytest.fixture
def collector(collector_on_each: Collector) -> Collector:
    return collector_on_each


def opens(
    collector: Collector, visitor: Visitor = ALICE, origin: sessions.Origin = AT_PROVIDER, **more: Any
) -> sessions.Opened:
    return sessions.open_(collector.engine, visitor, origin, LIMITS, collector.now, **more)


def finds(
    collector: Collector, secret: str, rules: str = "as they are", limits: Login = LIMITS
) -> Visitor | None:
    return sessions.find(collector.engine, secret, "10.9.9.9", limits, rules, collector.now)


def acts(collector: Collector) -> list[tuple[str, str, Any]]:
    with reading(collector.engine) as connection:
        return [
            (entry.who, entry.act, entry.details.get("because"))
            for entry in reversed(audit.entries(connection))
        ]


def test_alice_is_found_again_with_all_that_she_may_see(collector: Collector) -> None:
    opened = opens(collector)
    found = finds(collector, opened.secret)
    assert found == replace(opened.visitor, address="10.9.9.9")
    assert found.form_key
    assert found.session
    assert found.speaks_for_resource("Utah-Kingspeak", "Utah")
    assert found.sees_user("alice")
    assert not found.sees_user("bob")
    assert finds(collector, opened.secret[:-1] + ("A" if opened.secret[-1] != "A" else "B")) is None


def test_the_database_holds_no_cookie_and_no_two_sessions_share_a_key(collector: Collector) -> None:
    first, second = opens(collector), opens(collector)
    assert first.secret != second.secret
    assert first.visitor.form_key != second.visitor.form_key
    assert first.secret not in repr(first)
    assert str(first.visitor.form_key) not in repr(first)
    with reading(collector.engine) as connection:
        everything = repr(connection.execute(sa.select(SESSIONS)).all())
    assert first.secret not in everything
    assert tokens.hash_of(first.secret) in everything


@pytest.mark.parametrize(
    "forged", ["", "x", "a" * 32, "a" * 31 + "\0", "é" * 32, "' OR 1=1 --" + " " * 21, "A" * 5000]
)
def test_a_forged_cookie_names_nobody(collector: Collector, forged: str) -> None:
    opens(collector)
    assert finds(collector, forged) is None


def test_a_session_ends_for_who_asks_for_nothing(collector: Collector) -> None:
    opened = opens(collector)
    for _ in range(3):
        collector.wait(minutes=59)
        assert finds(collector, opened.secret)
    collector.wait(minutes=60)
    assert finds(collector, opened.secret) is None


def test_a_session_ends_at_last_however_much_it_is_used(collector: Collector) -> None:
    opened = opens(collector)
    for _ in range(23):
        collector.wait(minutes=30)
        assert finds(collector, opened.secret)
    collector.wait(minutes=30)
    assert finds(collector, opened.secret) is None


def test_a_session_ends_when_the_settings_change_that_gave_its_role(collector: Collector) -> None:
    opened = opens(collector)
    assert finds(collector, opened.secret, rules="otherwise") is None
    assert finds(collector, opened.secret)


def test_a_revoked_token_ends_its_sessions_at_once(collector: Collector) -> None:
    made = tokens.create(collector.engine, role="viewer", who=CAROL, name="bob", now=collector.now)
    bob = Visitor(made.token.label, "viewer", "10.1.2.3")
    origin = sessions.Origin("token", made.token.id, until=made.token.expires_at)
    opened = opens(collector, bob, origin)
    assert finds(collector, opened.secret)
    tokens.revoke(collector.engine, made.token.id, "it was found in a ticket", CAROL, collector.now)
    assert finds(collector, opened.secret) is None


def test_no_session_is_good_for_longer_than_its_token(collector: Collector) -> None:
    made = tokens.create(collector.engine, role="viewer", who=CAROL, name="bob", days=1, now=collector.now)
    collector.wait(hours=23, minutes=50)
    origin = sessions.Origin("token", made.token.id, until=made.token.expires_at)
    opened = opens(collector, Visitor(made.token.label, "viewer"), origin)
    assert opened.expires_at == made.token.expires_at
    collector.wait(minutes=10)
    assert finds(collector, opened.secret) is None


def test_a_login_takes_the_place_of_the_session_that_the_browser_had(collector: Collector) -> None:
    first = opens(collector)
    second = opens(collector, replaced=first.secret)
    assert finds(collector, first.secret) is None
    assert finds(collector, second.secret)
    assert acts(collector) == [
        (ALICE.name, "session.open", None),
        (ALICE.name, "session.close", "another login in the same browser"),
        (ALICE.name, "session.open", None),
    ]


def test_alice_ends_her_other_session_and_cannot_end_bobs(collector: Collector) -> None:
    here, there = opens(collector), opens(collector)
    bob = opens(collector, Visitor("Bob (oidc b-2)", "viewer"), replace(AT_PROVIDER, subject="b-2"))
    ids = [str(each.visitor.session) for each in (there, bob)]
    assert sessions.close(collector.engine, here.visitor, ids, "ended by its owner", collector.now) == 1
    assert finds(collector, there.secret) is None
    assert finds(collector, here.secret)
    assert finds(collector, bob.secret)
    assert [entry for entry in acts(collector) if entry[1] == "session.close"] == [
        (ALICE.name, "session.close", "ended by its owner")
    ]


def test_alice_sees_her_own_sessions_only_and_no_ended_ones(collector: Collector) -> None:
    idle = opens(collector)
    collector.wait(minutes=60)
    here = opens(collector)
    opens(collector, Visitor("Bob (oidc b-2)", "viewer"), replace(AT_PROVIDER, subject="b-2"))
    listed = sessions.list_of(collector.engine, str(here.visitor.session), LIMITS, collector.now)
    assert [each.id for each in listed] == [here.visitor.session]
    with reading(collector.engine) as connection:
        ids = set(connection.execute(sa.select(SESSIONS.c.id)).scalars())
    assert idle.visitor.session not in ids, "what time has ended is swept away"


def test_nobody_has_more_than_so_many_sessions(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_ONE", 3)
    opened = []
    for _ in range(5):
        opened.append(opens(collector))
        collector.wait(seconds=1)
    assert [bool(finds(collector, each.secret)) for each in opened] == [False, False, True, True, True]


def test_a_session_is_found_where_its_last_use_cannot_be_noted(collector: Collector) -> None:
    if collector.engine.dialect.name != "sqlite":
        pytest.skip("only a SQLite database has a single writer")
    opened = opens(collector)
    collector.wait(minutes=5)
    hasty = open_database(str(collector.engine.url))
    sa.event.listen(hasty, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 1"))
    hasty.connect().close()
    with writing(collector.engine):
        assert sessions.find(hasty, opened.secret, "10.9.9.9", LIMITS, "as they are", collector.now)
    hasty.dispose()


def test_a_login_on_the_way_returns_once_and_in_the_same_browser(collector: Collector) -> None:
    state, begun = attempts.begin(collector.engine, "alices browser", "/me", collector.now)
    assert len(begun.challenge) == 43
    assert attempts.take(collector.engine, "bobs browser", state, collector.now) is None
    assert attempts.take(collector.engine, "alices browser", state, collector.now) == begun
    assert attempts.take(collector.engine, "alices browser", state, collector.now) is None
    assert attempts.take(collector.engine, "alices browser", "another state", collector.now) is None


def test_a_login_on_the_way_is_good_for_ten_minutes(collector: Collector) -> None:
    state, _ = attempts.begin(collector.engine, "alices browser", "/me", collector.now)
    collector.wait(minutes=10)
    assert attempts.take(collector.engine, "alices browser", state, collector.now) is None


def test_logins_on_the_way_are_bounded_and_swept(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_AT_ONCE", 2)
    for _ in range(2):
        attempts.begin(collector.engine, "a browser", "/me", collector.now)
    with pytest.raises(CannotTell, match="more than 2 logins are on the way"):
        attempts.begin(collector.engine, "a browser", "/me", collector.now)
    collector.wait(minutes=10)
    attempts.begin(collector.engine, "a browser", "/me", collector.now)
    with reading(collector.engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(LOGIN_ATTEMPTS)) == 1


def test_the_challenge_is_that_of_the_standard() -> None:
    known = attempts.Attempt("n", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "/")  # RFC 7636, appendix B
    assert known.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_times_of_the_clock_going_back_end_nothing(collector: Collector) -> None:
    opened = opens(collector)
    collector.now -= timedelta(minutes=5)
    assert finds(collector, opened.secret)

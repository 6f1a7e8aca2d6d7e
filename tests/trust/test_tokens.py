"""Stories of tokens: alice sends for Utah, bob for Nebraska, carol gives and takes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.trust import audit, own_tokens, tokens
from gridkeeper.trust.refusals import NotRecognised
from gridkeeper.trust.senders import Role, Sender, refusal
from gridkeeper.trust.tables import TOKENS
from tests.trust.conftest import CAROL

if TYPE_CHECKING:
    from tests.trust.conftest import Collector


@pytest.fixture
def collector(collector_on_each: Collector) -> Collector:
    return collector_on_each


def test_alice_sends_for_utah_and_not_for_nebraska(collector: Collector) -> None:
    alice = collector.ask(collector.give("Utah-Kingspeak", "Utah-Notchpeak", name="Utah CE"))
    assert alice.role == "probe"
    assert alice.name.startswith("token ")
    assert alice.name.endswith("(Utah CE)")
    assert alice.address == "10.1.2.3"
    assert alice.may_send_for("Utah-Kingspeak")
    assert alice.may_send_for("utah-notchpeak")
    assert not alice.may_send_for("Nebraska")
    assert refusal(alice, "Nebraska") == (
        "this token may send for Utah-Kingspeak, Utah-Notchpeak only; it asked for Nebraska"
    )


def test_bobs_token_opens_nothing_of_alices(collector: Collector) -> None:
    utah, nebraska = collector.give("Utah-Kingspeak"), collector.give("Nebraska")
    assert not collector.ask(nebraska).may_send_for("Utah-Kingspeak")
    for mixed in (
        f"{utah.rpartition('_')[0]}_{nebraska.rpartition('_')[2]}",
        f"{nebraska.rpartition('_')[0]}_{utah.rpartition('_')[2]}",
    ):
        with pytest.raises(NotRecognised, match="its secret is another one"):
            collector.ask(mixed)


def test_a_resource_may_be_asked_for_by_its_other_names(collector: Collector) -> None:
    alice = collector.ask(collector.give("kingspeak.example.edu"))
    assert alice.may_send_for("Utah-Kingspeak", {"kingspeak.example.edu", "slurm:kingspeak.example.edu"})
    assert not alice.may_send_for("Nebraska", {"red.example.edu"})


def test_a_pattern_binds_to_all_that_fit(collector: Collector) -> None:
    alice = collector.ask(collector.give("Utah-*"))
    assert alice.may_send_for("Utah-Lonepeak")
    assert not alice.may_send_for("Nebraska-Utah-Lonepeak")
    assert not alice.may_send_for("Utah")
    dots = collector.ask(collector.give("ce[1].example.*", "ce?.example.org"))
    assert dots.may_send_for("ce[1].example.org")
    assert not dots.may_send_for("ce1.example.org")


def test_a_vos_token_may_name_any_resource(collector: Collector) -> None:
    factory = collector.ask(collector.give(vos=("cms",)))
    assert factory.may_send_for("Nebraska")
    assert refusal(factory, "atlas") == "this token may send records of cms only; it asked for atlas"


def test_a_revoked_token_is_refused_within_seconds(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak", name="Utah CE")
    collector.ask(token)
    tokens.revoke(collector.engine, token, "found in a ticket", CAROL, collector.now)
    collector.now += own_tokens.REVOKED_WITHIN
    with pytest.raises(NotRecognised, match=r"\(Utah CE\) was revoked on 2026-03-01") as refused:
        collector.ask(token)
    assert refused.value.status == 401
    assert refused.value.challenge == 'Bearer realm="gridkeeper", error="invalid_token"'
    assert "ticket" not in str(refused.value)
    assert timedelta(seconds=10) >= own_tokens.REVOKED_WITHIN


def test_an_expired_token_is_refused_to_the_second(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak", days=30)
    collector.wait(days=30, seconds=-1)
    collector.ask(token)
    collector.wait(seconds=1)
    with pytest.raises(NotRecognised, match="expired on 2026-03-31; ask for a new one"):
        collector.ask(token)


@pytest.mark.parametrize(
    "text",
    [
        "gk_",
        "gk__",
        "gk_00000000_",
        "gk_00000000_" + "0" * 48,
        "gk_%_" + "0" * 48,
        "gk_0000000\u0660_" + "0" * 48,
    ],
)
def test_what_is_no_token_is_refused(collector: Collector, text: str) -> None:
    with pytest.raises(NotRecognised):
        collector.ask(text)


def test_the_secret_is_nowhere_in_the_database(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    secret = token.rpartition("_")[2]
    collector.ask(token)
    with reading(collector.engine) as connection:
        rows = [*connection.execute(sa.select(TOKENS)), *audit.entries(connection)]
    assert rows
    assert secret not in repr(rows)
    assert secret not in repr(tokens.list_(collector.engine))
    made = tokens.create(collector.engine, role="viewer", who=CAROL)
    assert made.text not in repr(made)


def test_a_hundred_requests_are_not_a_hundred_reads(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    statements: list[str] = []
    sa.event.listen(
        collector.engine, "before_cursor_execute", lambda *seen: statements.append(str(seen[2]).split()[0])
    )
    for _ in range(100):
        collector.ask(token)
        collector.wait(milliseconds=10)
    assert statements.count("SELECT") == 1
    assert statements.count("UPDATE") == 1


def test_the_last_use_is_noted_once_a_minute(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    began = collector.now
    collector.ask(token, peer="10.1.2.3")
    collector.wait(seconds=59)
    collector.ask(token, peer="10.9.9.9")
    [noted] = tokens.list_(collector.engine)
    assert (noted.last_used_at, noted.last_used_from) == (began, "10.1.2.3")
    collector.wait(seconds=1)
    collector.ask(token, peer="10.9.9.9")
    [noted] = tokens.list_(collector.engine)
    assert (noted.last_used_at, noted.last_used_from) == (collector.now, "10.9.9.9")


def test_another_server_does_not_note_the_same_minute_again(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    collector.ask(token, peer="10.1.2.3")
    collector.reopen()
    collector.wait(seconds=10)
    collector.ask(token, peer="10.9.9.9")
    [noted] = tokens.list_(collector.engine)
    assert noted.last_used_from == "10.1.2.3"


def test_two_servers_note_one_minute_once(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    collector.ask(token, peer="10.0.0.1")
    first, began = collector.door, collector.now
    collector.reopen()
    collector.wait(minutes=1)
    collector.ask(token, peer="10.0.0.2")
    collector.door = first
    collector.wait(seconds=1)
    collector.ask(token, peer="10.0.0.1")
    [noted] = tokens.list_(collector.engine)
    assert (noted.last_used_at, noted.last_used_from) == (began + timedelta(minutes=1), "10.0.0.2")


def test_a_refused_use_is_not_noted(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak", days=1)
    collector.wait(days=2)
    with pytest.raises(NotRecognised):
        collector.ask(token)
    [noted] = tokens.list_(collector.engine)
    assert noted.last_used_at is None
    assert noted.state(collector.now) == "expired"


def test_revoking_twice_changes_nothing_the_second_time(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    first = tokens.revoke(collector.engine, token, "lost", CAROL, collector.now)
    collector.wait(days=1)
    second = tokens.revoke(collector.engine, first[0].id, "again", CAROL, collector.now)
    assert (first[1], second[1]) == (True, False)
    assert second[0] == first[0]
    assert second[0].state(collector.now) == "revoked"
    with reading(collector.engine) as connection:
        assert [entry.act for entry in audit.entries(connection)] == ["token.revoke", "token.create"]


def test_roles_stand_above_one_another_and_a_probe_apart(collector: Collector) -> None:
    def asks(role: Role) -> Sender:
        made = tokens.create(collector.engine, role=role, who=CAROL, name=role, now=collector.now)
        return collector.ask(made.text)

    probe = collector.ask(collector.give("Utah-Kingspeak", name="Utah CE"))
    viewer, operator, admin = asks("viewer"), asks("operator"), asks("admin")
    may = {
        sender.role: [least for least in ("probe", "viewer", "operator", "admin") if sender.may_act_as(least)]
        for sender in (probe, viewer, operator, admin)
    }
    assert may == {
        "probe": ["probe"],
        "viewer": ["viewer"],
        "operator": ["viewer", "operator"],
        "admin": ["viewer", "operator", "admin"],
    }
    assert operator.resources is None
    assert operator.may_send_for("Nebraska")
    assert not viewer.may_send_for("Nebraska")
    assert "for reading" in refusal(viewer, "Nebraska")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"role": "probe"}, "must say what it is for; name resources or VOs"),
        ({"role": "operator", "resources": ["Utah"]}, "the role operator is not bound to resources"),
        ({"role": "king"}, "no role 'king'"),
        ({"role": "probe", "resources": [" "]}, "'' is no name of a resource"),
        ({"role": "probe", "vos": ["c\nms"]}, "is no name of a VO"),
        ({"role": "probe", "resources": ["Utah"], "days": 0}, "1 to 3660 days, not 0"),
        ({"role": "probe", "resources": ["Utah"], "name": "a\nb"}, "is no name; write 1 to 200 printable"),
        ({"role": "probe", "resources": ["Utah"], "name": "a" * 201}, "is no name; write 1 to 200 printable"),
        ({"role": "probe", "resources": ["Utah"], "name": ""}, "is no name"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(
    collector: Collector, wish: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserMistake, match=sentence):
        tokens.create(collector.engine, who=CAROL, **wish)  # type: ignore[arg-type]
    assert tokens.list_(collector.engine) == []


def test_a_token_that_is_not_there_or_goes_without_reason_is_not_revoked(collector: Collector) -> None:
    token = collector.give("Utah-Kingspeak")
    for unknown in ("00000000", "", "gk_", "%", "\0", token.upper()):
        with pytest.raises(UserMistake, match=r"there is no token .* here; `gridkeeper token list` shows"):
            tokens.revoke(collector.engine, unknown, "lost", CAROL)
    for reason in (" ", "a\0b", "a" * 201):
        with pytest.raises(UserMistake, match="is no reason; write 1 to 200"):
            tokens.revoke(collector.engine, token, reason, CAROL)
    assert collector.ask(token)

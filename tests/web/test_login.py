"""Alice, Bob and Carol log in with tokens, and what strangers try at the same door."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper import clock
from gridkeeper.database import DatabaseUnavailable, reading
from gridkeeper.trust import audit, sessions
from gridkeeper.trust.tokens import revoke
from gridkeeper.web.app import make_app
from gridkeeper.web.logins import local_path
from tests.collectors import Browser, Collector, collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = "http://127.0.0.1"
PUBLIC = "https://accounting.example.org"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def behind_https(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"server": {"public_url": PUBLIC}})
    yield made
    made.close()


def entries(gate: Collector, act: str) -> list[audit.Entry]:
    with reading(gate.services.engine) as connection:
        return audit.entries(connection, act=act)


def test_alice_logs_in_sees_what_she_may_and_logs_out(gate: Collector) -> None:
    alice = gate.browser()
    assert "Log in" in alice.get("/about").text
    page = alice.log_in(gate.token(role="site-contact", sites=("Utah",), users=("alice",)))
    assert page.url.path == "/me"
    assert "site-contact" in page.text
    assert "at the sites Utah." in page.text
    assert "in the name alice." in page.text
    assert "Your token expires" in page.text
    assert 'action="/logout"' in alice.get("/about").text
    out = alice.submit("/logout")
    assert out.url.path == "/"
    assert alice.get("/me").url.path == "/login"
    assert "gridkeeper" not in alice.cookies
    opened, closed = entries(gate, "session.open"), entries(gate, "session.close")
    assert [entry.details["role"] for entry in opened] == ["site-contact"]
    assert [entry.details["because"] for entry in closed] == ["logged out"]
    assert opened[0].subject == closed[0].subject
    assert opened[0].address == "203.0.113.9"


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_every_role_that_reads_logs_in(gate: Collector, role: Any) -> None:
    assert f"<dd>{role}</dd>" in gate.browser(gate.token(role=role)).get("/me").text


def test_a_probes_token_opens_no_page(gate: Collector) -> None:
    answer = gate.browser().log_in(gate.token("alpha"))
    assert answer.status_code == 403
    assert "is for sending (role probe)" in answer.text
    assert not entries(gate, "session.open")


def test_a_browser_is_led_to_the_login_and_back_to_what_it_asked_for(gate: Collector) -> None:
    alice = gate.browser()
    first = alice.get("/me?x=%C3%BC&y=1", follow_redirects=False)
    assert first.status_code == 303
    assert first.headers["location"] == "/login?next=/me%3Fx%3D%25C3%25BC%26y%3D1"
    page = alice.get(first.headers["location"])
    shown = re.search(r'name="next" value="([^"]+)"', page.text)
    assert shown
    assert shown[1] == "/me?x=%C3%BC&amp;y=1"


def test_a_program_is_told_instead(gate: Collector) -> None:
    answer = gate.client().get("/me")
    assert answer.status_code == 403
    assert "log in, or ask an operator" in answer.json()["error"]


def test_over_https_the_cookie_is_of_this_host_alone(behind_https: Collector) -> None:
    alice = Browser(make_app(behind_https.services), PUBLIC, client=("203.0.113.9", 1))
    answer = alice.log_in(behind_https.token(role="viewer"), follow_redirects=False)
    cookie = next(
        each for each in answer.headers.get_list("set-cookie") if each.startswith("__Host-gridkeeper=")
    )
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
        "httponly",
        "secure",
        "path=/",
        "samesite=lax",
    }
    assert re.fullmatch(r"__Host-gridkeeper=[\w-]{32}", cookie.split(";")[0])
    assert answer.headers["cache-control"] == "no-store"


def test_on_this_machine_the_cookie_is_not_secure_and_all_else_is_the_same(gate: Collector) -> None:
    answer = gate.browser().log_in(gate.token(role="viewer"), follow_redirects=False)
    (cookie,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith("gridkeeper="))
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=lax"}


def test_no_token_is_typed_in_where_it_would_travel_in_the_open(gate: Collector) -> None:
    far = Browser(make_app(gate.services), "http://accounting.example.org", client=("203.0.113.9", 1))
    page = far.get("/login")
    assert 'name="token"' not in page.text
    assert "server.public_url" in page.text
    answer = far.post("/login", data={"token": gate.token(role="viewer"), "form_key": "x"})
    assert answer.status_code == 403
    assert "would travel in the open" in answer.text


def test_a_session_that_somebody_planted_before_the_login_is_good_for_nothing(gate: Collector) -> None:
    mallory = gate.browser(gate.token(role="viewer"))
    planted = mallory.cookies["gridkeeper"]
    alice = gate.browser()
    alice.cookies.set("gridkeeper", planted, domain="127.0.0.1", path="/")
    alice.log_in(gate.token(role="admin"))
    assert alice.cookies["gridkeeper"] != planted
    assert mallory.get("/me").url.path == "/login", "the planted session ended with the login"


@pytest.mark.parametrize("forged", ["x", "A" * 32, "gk_00000000_" + "0" * 48, "%00", '"quoted"'])
def test_a_forged_cookie_is_ignored_and_taken_back(gate: Collector, forged: str) -> None:
    visitor = gate.client()
    answer = visitor.get("/about", headers={"cookie": f"gridkeeper={forged}"})
    assert answer.status_code == 200
    assert "Log in" in answer.text
    (gone,) = answer.headers.get_list("set-cookie")
    assert gone.startswith('gridkeeper="";')
    assert "Max-Age=0" in gone
    assert visitor.get("/me", headers={"cookie": f"gridkeeper={forged}"}).status_code == 403


def test_a_forged_cookie_does_not_stand_in_the_way_of_a_token(gate: Collector) -> None:
    carol = gate.client(gate.token(role="operator"))
    answer = carol.get("/me", headers={"cookie": "gridkeeper=" + "A" * 32})
    assert answer.status_code == 200
    assert "operator" in answer.text


def test_two_cookies_of_the_name_are_none(gate: Collector) -> None:
    secret = gate.browser(gate.token(role="viewer")).cookies["gridkeeper"]
    visitor = gate.client()
    assert visitor.get("/me", headers={"cookie": f"gridkeeper={secret}"}).status_code == 200
    twice = f"gridkeeper={secret}; gridkeeper={'A' * 32}"
    assert visitor.get("/me", headers={"cookie": twice}).status_code == 403


def test_a_stolen_cookie_ends_with_its_owners_logout(gate: Collector) -> None:
    alice = gate.browser(gate.token(role="viewer"))
    stolen = {"cookie": f"gridkeeper={alice.cookies['gridkeeper']}"}
    assert gate.client().get("/me", headers=stolen).status_code == 200
    alice.submit("/logout")
    assert gate.client().get("/me", headers=stolen).status_code == 403


def test_a_cookie_ends_with_time_and_with_its_token(gate: Collector) -> None:
    token = gate.token(role="viewer")
    first, second = gate.browser(token), gate.browser(token)
    gate.services.now = lambda: clock.now() + timedelta(minutes=gate.settings.login.idle_minutes)
    assert first.get("/me").url.path == "/login"
    gate.services.now = clock.now
    assert second.get("/me").url.path == "/me"
    revoke(gate.services.engine, token, "it was lost", "local carol")
    assert second.get("/me").url.path == "/login"


def test_public_pages_are_shown_while_the_database_is_away(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = gate.browser(gate.token(role="viewer"))

    def away(*_: object) -> None:
        raise DatabaseUnavailable("the database cannot be read: it is away; try again")

    monkeypatch.setattr(sessions, "find", away)
    answer = alice.get("/about")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert alice.get("/me").status_code == 503
    monkeypatch.undo()
    assert alice.get("/me").status_code == 200


def test_alice_ends_her_session_at_another_place(gate: Collector) -> None:
    token = gate.token(role="viewer")
    here, there = gate.browser(token), gate.browser(token, address="198.51.100.7")
    page = here.get("/me").text
    assert "198.51.100.7" in page
    ids = set(re.findall(r'name="session" value="(\w{12})"', page))
    (other,) = ids - set(re.findall(r'<th scope="row">(\w{12}) \(this one\)', page))
    assert here.submit("/me/sessions", session=other).url.path == "/me"
    assert there.get("/me").url.path == "/login"
    third = gate.browser(token)
    assert here.submit("/me/sessions", session="others").url.path == "/me"
    assert third.get("/me").url.path == "/login"
    assert here.get("/me").url.path == "/me"


def test_bob_cannot_end_alices_session(gate: Collector) -> None:
    alice, bob = gate.browser(gate.token(role="viewer")), gate.browser(gate.token(role="viewer"))
    (of_alice,) = re.findall(r'name="session" value="(\w{12})"', alice.get("/me").text)
    assert bob.submit("/me/sessions", session=of_alice).status_code == 404
    assert alice.get("/me").url.path == "/me"


def test_who_comes_with_a_token_has_no_sessions_and_needs_no_key(gate: Collector) -> None:
    bob = gate.client(gate.token(role="viewer"))
    assert bob.get("/me").status_code == 200
    answer = bob.post("/me/sessions", data={"session": "others"})
    assert answer.status_code == 400
    assert "without a session" in answer.json()["error"]


def test_only_so_many_logins_fail_in_a_minute(tmp_path: Path) -> None:
    gate = collector(tmp_path / "home", {"login": {"failures_per_minute": 12}})
    good = gate.token(role="viewer")
    bad = good[:-1] + ("0" if good[-1] != "0" else "1")
    app = make_app(gate.services)
    guesser = Browser(app, HERE, client=("203.0.113.9", 1))
    answers = [guesser.log_in(bad) for _ in range(14)]
    assert [answer.status_code for answer in answers] == [401] * 12 + [429] * 2
    assert "its secret is another one" in answers[0].text
    assert "login.failures_per_minute" in answers[-1].text
    assert answers[-1].headers["retry-after"] == "30"
    assert guesser.log_in(good).status_code == 429, "not even a lucky guess gets in"
    elsewhere = Browser(app, HERE, client=("203.0.113.10", 1))
    assert elsewhere.log_in(good).status_code == 200
    rows = entries(gate, "login.refused")
    assert [(entry.details["times"], entry.subject) for entry in rows] == [
        (10, f"token {good[3:11]}"),
        (1, f"token {good[3:11]}"),
    ]
    assert not any(good.rpartition("_")[2][:-1] in repr(entry) for entry in rows)
    gate.close()


def test_behind_a_proxy_only_who_fails_is_slowed_down(tmp_path: Path) -> None:
    told = {"login": {"failures_per_minute": 1}, "server": {"proxies": ["192.0.2.7/32"]}}
    gate = collector(tmp_path / "home", told)
    app = make_app(gate.services)
    for told_by_proxy, status in (("198.51.100.1", 401), ("198.51.100.1", 429), ("198.51.100.2", 401)):
        visitor = Browser(app, HERE, client=("192.0.2.7", 1))
        visitor.headers["x-forwarded-for"] = f"203.0.113.77, {told_by_proxy}"
        assert visitor.log_in("gk_x").status_code == status
    gate.close()


def test_the_addresses_of_one_ipv6_network_fail_together(tmp_path: Path) -> None:
    gate = collector(tmp_path / "home", {"login": {"failures_per_minute": 1}})
    app = make_app(gate.services)
    tried = [
        ("2001:db8:0:1::1", 401),
        ("2001:db8:0:1::2", 429),
        ("2001:db8:0:2::1", 401),
        ("::ffff:192.0.2.1", 401),
    ]
    for address, status in tried:
        assert Browser(app, HERE, client=(address, 1)).log_in("gk_x").status_code == status
    gate.close()


@pytest.mark.parametrize(
    "asked",
    [
        "//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/\t/evil.example",
        "/x\r\nSet-Cookie: gridkeeper=planted", "/x y", "/é", "", "me", "/" + "a" * 3000, "/login", "/login?next=/login", "/logout",
        "/login/oidc", "http:/evil.example", "/\x7f", "///evil.example", " /me",
    ],
)  # fmt: skip
def test_no_address_elsewhere_is_a_path_of_ours(asked: str) -> None:
    assert local_path(asked) == "/me"


@pytest.mark.parametrize(
    "asked", ["//evil.example", "/\\evil.example", "/x\r\nSet-Cookie: gridkeeper=planted"]
)
def test_nobody_is_sent_elsewhere_after_a_login(gate: Collector, asked: str) -> None:
    shown = gate.browser().get("/login", params={"next": asked})
    assert 'name="next" value="/me"' in shown.text
    answer = gate.browser().log_in(gate.token(role="viewer"), next=asked, follow_redirects=False)
    assert answer.headers["location"] == "/me"
    assert "planted" not in repr(answer.headers)


@pytest.mark.parametrize(
    "asked", ["/", "/usage?by=vo&first=2017-01-01", "/vo/a%2Fb", "/x#y", "/site/Z%C3%BCrich"]
)
def test_a_path_of_ours_is_gone_to(asked: str) -> None:
    assert local_path(asked) == asked

"""What forms must carry before they change anything, and what pages of others try to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.database import reading
from gridkeeper.trust import audit
from gridkeeper.web.app import make_app
from tests.collectors import Browser, Collector, collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUBLIC = "https://accounting.example.org"
OTHERS = {"session": "others"}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def alice(gate: Collector) -> Browser:
    return gate.browser(gate.token(role="operator"))


def changed(gate: Collector) -> int:
    with reading(gate.services.engine) as connection:
        return len(audit.entries(connection, act="session.close"))


@pytest.mark.parametrize("key", ["", "x", "A" * 32, "\N{SNOWMAN}"])
def test_a_form_without_the_sessions_key_changes_nothing(gate: Collector, alice: Browser, key: str) -> None:
    answer = alice.submit("/logout", key)
    assert answer.status_code == 403
    assert "does not carry this session" in answer.text
    assert changed(gate) == 0


def test_the_key_of_another_session_does_not_do(gate: Collector, alice: Browser) -> None:
    bobs = gate.browser(gate.token(role="operator")).form_key()
    assert alice.submit("/logout", bobs).status_code == 403


def test_a_key_that_is_there_twice_does_not_do(alice: Browser) -> None:
    key = alice.form_key()
    assert alice.post("/logout", data={"form_key": [key, key]}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1.evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1"},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"sec-fetch-site": "none", "origin": "null"},
    ],
    ids=str,
)
def test_a_form_of_another_page_changes_nothing_even_with_the_key(
    gate: Collector, alice: Browser, headers: dict[str, str]
) -> None:
    answer = alice.post("/logout", data={"form_key": alice.form_key()}, headers=headers)
    assert answer.status_code == 403
    assert "sent by a page of" in answer.text
    assert changed(gate) == 0


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://127.0.0.1"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "same-origin", "origin": "null"}],
    ids=str,
)  # fmt: skip
def test_a_form_of_our_own_page_is_taken(gate: Collector, alice: Browser, headers: dict[str, str]) -> None:
    assert alice.post("/logout", data={"form_key": alice.form_key()}, headers=headers).status_code == 200
    assert changed(gate) == 1


def test_behind_a_proxy_forms_come_from_the_public_address(tmp_path: Path) -> None:
    gate = collector(tmp_path / "home", {"server": {"public_url": PUBLIC}})
    carol = Browser(make_app(gate.services), PUBLIC, client=("203.0.113.9", 1))
    carol.log_in(gate.token(role="operator"))
    key = carol.form_key()
    fields = {"form_key": key, **OTHERS}
    host = {"host": "127.0.0.1:8080"}  # as a proxy may say it
    assert carol.post("/me/sessions", data=fields, headers={"origin": PUBLIC, **host}).status_code == 200
    refused = carol.post("/me/sessions", data=fields, headers={"origin": "http://127.0.0.1:8080", **host})
    assert refused.status_code == 403
    assert "server.public_url" in refused.text
    gate.close()


def test_nobody_is_logged_in_by_another_page(gate: Collector) -> None:
    """Else a page could log a visitor in as somebody else, and read what she then does."""
    visitor = gate.browser()
    token = gate.token(role="viewer")
    assert visitor.post("/login", data={"token": token, "form_key": "x"}).status_code == 403
    crossed = visitor.log_in(token, headers={"origin": "https://evil.example"})
    assert crossed.status_code == 403
    own = gate.browser().form_key("/login")
    assert visitor.post("/login", data={"token": token, "form_key": own}).status_code == 403
    assert visitor.get("/me").url.path == "/login"


def test_the_public_changes_nothing(gate: Collector) -> None:
    answer = gate.client().post("/me/sessions", data=OTHERS)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "kind", "status", "sentence"),
    [
        (b"{}", "application/json", 415, "form is sent as application/x-www-form-urlencoded"),
        (b"a=" + b"b" * 70_000, "application/x-www-form-urlencoded", 413, "at most 65,536 bytes"),
        (b"a&" * 2000, "application/x-www-form-urlencoded", 400, "at most 1,000 urlencoded fields"),
        (b"a=%ff", "application/x-www-form-urlencoded", 400, "in UTF-8"),
        (b"a=\xff", "application/x-www-form-urlencoded", 400, "in UTF-8"),
        (b"a=%00", "application/x-www-form-urlencoded", 400, "NUL"),
    ],
)
def test_what_is_no_form_is_refused_with_a_sentence(
    alice: Browser, body: bytes, kind: str, status: int, sentence: str
) -> None:
    answer = alice.post("/me/sessions", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert sentence in answer.text


def test_pages_let_browsers_say_where_a_form_comes_from(alice: Browser) -> None:
    answer = alice.get("/me")
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert alice.get("/login").headers["cache-control"] == "no-store"
    assert answer.headers["cache-control"] == "private, no-cache"

"""A login in a real browser: the cookie, the forms, and what a page of somebody else can make the browser send."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.browser.test_every_page import grave_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.browser.stage import Stage

pytestmark = pytest.mark.slow


@pytest.fixture
def window(chromium: Browser, stage: Stage) -> Iterator[Page]:
    """A window of somebody who comes with nothing."""
    context = chromium.new_context(base_url=stage.url)
    yield context.new_page()
    context.close()


def log_in(page: Page, token: str) -> None:
    page.goto("/me")
    assert page.url.endswith("/login?next=/me")
    page.get_by_label("Token, beginning with").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/me")


class Elsewhere:
    """Another web server of this machine, with one page that sends a form to us as soon as it is looked at."""

    def __init__(self, target: str, fields: dict[str, str]) -> None:
        hidden = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
        body = f'<form method="post" action="{target}">{hidden}</form><script>document.forms[0].submit()</script>'

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_a_browser_logs_in_sees_itself_and_logs_out(window: Page, stage: Stage) -> None:
    log_in(window, stage.tokens["operator"])
    assert window.get_by_text("Everything, with the names of users").is_visible()
    (cookie,) = (each for each in window.context.cookies() if each["name"] == "gridkeeper")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["value"] not in window.evaluate("document.cookie")
    window.get_by_role("button", name="Log out").click()
    window.wait_for_url(f"{stage.url}/")
    assert window.get_by_role("link", name="Log in").is_visible()
    assert not [each for each in window.context.cookies() if each["name"] == "gridkeeper"]


def test_a_session_is_ended_by_its_button(chromium: Browser, window: Page, stage: Stage) -> None:
    log_in(window, stage.tokens["operator"])
    other = chromium.new_context(base_url=stage.url).new_page()
    log_in(other, stage.tokens["operator"])
    window.goto("/me")
    window.get_by_role("button", name="End all others").click()
    window.wait_for_url("**/me")
    assert window.get_by_role("button", name="End session").count() == 1
    other.goto("/me")
    assert "/login" in other.url
    other.context.close()


@pytest.mark.parametrize(
    ("path", "fields"), [("/logout", {}), ("/me/sessions", {"session": "others"}), ("/login", {})]
)
def test_a_page_of_somebody_else_changes_nothing(
    window: Page, stage: Stage, path: str, fields: dict[str, str]
) -> None:
    """Another port of a host is another origin, but the same site: the browser sends the cookie along."""
    log_in(window, stage.tokens["operator"])
    key = window.locator('input[name="form_key"]').first.get_attribute("value")
    elsewhere = Elsewhere(f"{stage.url}{path}", {"form_key": key or "", **fields})
    with window.expect_response(lambda answer: answer.url == f"{stage.url}{path}") as sent:
        window.goto(elsewhere.url)
    elsewhere.stop()
    assert sent.value.status == 403
    assert "gridkeeper=" in sent.value.request.all_headers()["cookie"]
    window.wait_for_load_state()
    assert "sent by a page of another site" in window.inner_text("main")
    window.goto("/me")
    assert window.url.endswith("/me")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_way_in(chromium: Browser, stage: Stage, scheme: str) -> None:
    context = chromium.new_context(base_url=stage.url, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto("/login")
    assert grave_findings(page) == []
    page.get_by_label("Token, beginning with").fill("gk_wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    assert grave_findings(page) == []
    log_in(page, stage.tokens["operator"])
    assert grave_findings(page) == []
    context.close()

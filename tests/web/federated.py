"""A collector that believes a provider, its people, and browsers that come to it."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.database import reading
from gridkeeper.trust import audit
from gridkeeper.web.app import make_app
from tests.collectors import Browser, Collector, collector
from tests.web.fake_provider import CLIENT, SECRET, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = "http://127.0.0.1:8717"
ALICE = {"sub": "a-1", "name": "Alice Example", "email": "alice@example.org", "email_verified": True}
BOB = {"sub": "b-2", "preferred_username": "bob", "groups": ["cms-liaisons", "everybody"]}
CAROL = {"sub": "c-3", "email": "carol@example.org", "email_verified": True}
PEOPLE = [
    {"email": "Alice@Example.org", "role": "site-contact", "sites": ["Utah"], "users": ["alice"]},
    {"group": "cms-liaisons", "role": "vo-contact", "vos": ["cms"]},
    {"group": "everybody", "role": "viewer", "users": ["bob"]},
    {"subject": "c-3", "role": "operator"},
]


class Federation:
    """A collector that believes the provider, and browsers that come to it."""

    def __init__(self, folder: Path, provider: FakeProvider, **more: Any) -> None:
        secret = folder / "secret"
        secret.write_text(f"{SECRET}\n")
        oidc = {
            "issuer": provider.issuer,
            "client_id": CLIENT,
            "client_secret_file": str(secret),
            "name": "Example ID",
        }
        login = {"oidc": oidc, "people": PEOPLE, **more}
        self.gate: Collector = collector(folder / "home", {"server": {"public_url": HERE}, "login": login})
        self.provider = provider
        self.app = make_app(self.gate.services)

    def browser(self) -> Browser:
        return Browser(self.app, HERE, client=("203.0.113.9", 1))

    def leaves(self, browser: Browser, go_to: str = "/me") -> str:
        """Where the provider's button leads."""
        answer = browser.get("/login/oidc", params={"next": go_to}, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def logs_in(self, browser: Browser, person: dict[str, Any], go_to: str = "/me", **said: Any) -> Any:
        """The whole way, to what the visitor sees at its end."""
        return browser.get(self.provider.lets_in(self.leaves(browser, go_to), person, **said))

    def refusals(self) -> list[audit.Entry]:
        with reading(self.gate.services.engine) as connection:
            return audit.entries(connection, act="login.refused")


def sentence(answer: Any) -> str:
    match = re.search(r'<p class="error" role="alert">(.*?)</p>', answer.text)
    assert match, answer.text
    return html.unescape(match[1])


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    made = FakeProvider()
    yield made
    made.stop()


@pytest.fixture
def federation(tmp_path: Path, provider: FakeProvider) -> Iterator[Federation]:
    made = Federation(tmp_path, provider)
    yield made
    made.gate.close()

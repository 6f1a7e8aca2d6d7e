"""Alice and Bob log in at a real provider, by its own forms, into a collector that runs as operators run it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.database import reading
from gridkeeper.trust import audit
from tests.databases import SERVICES_REQUIRED
from tests.oidc.running import Surfer, installed, provider
from tests.proxies.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
SECRET = "a secret/of + ours"
PATIENCE_S = 60
SETTINGS = """\
[server]
public_url = "{here}"
[login.oidc]
issuer = "{issuer}"
client_id = "gridkeeper"
client_secret_file = "secret"
name = "Example ID"
scopes = ["openid", "profile", "email", "groups"]
[[login.people]]
email = "alice@example.org"
role = "site-contact"
sites = ["Utah"]
[[login.people]]
group = "cms-liaisons"
role = "vo-contact"
vos = ["cms"]
"""


class House:
    """A collector at an address, and the home behind it."""

    def __init__(self, home: Path, address: str) -> None:
        self.home, self.address = home, address

    def acts(self) -> list[tuple[str, str]]:
        """Who did what, by the audit."""
        engine = wired(self.home).database()
        with reading(engine) as connection:
            said = [(entry.who, entry.act) for entry in reversed(audit.entries(connection))]
        engine.dispose()
        return said


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    reason = installed()
    if isinstance(reason, str):
        if SERVICES_REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    here = f"http://127.0.0.1:{port}"
    home = Home(folder / "home")
    home.create()
    (home.path / "secret").write_text(SECRET)
    with provider(f"{here}/login/oidc/callback", SECRET) as issuer:
        home.settings.write_text(SETTINGS.format(here=here, issuer=issuer))
        with collecting(home, port, folder / "log"):
            yield House(home.path, here)


@contextmanager
def collecting(home: Home, port: int, log: Path) -> Iterator[None]:
    words = [sys.executable, "-m", "gridkeeper", "--home", str(home.path), "collect", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stderr=stream, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


@pytest.fixture
def surfer() -> Iterator[Surfer]:
    made = Surfer()
    yield made
    made.close()


def log_in(house: House, surfer: Surfer, name: str, page: str = "/me") -> httpx.Response:
    """From a page that needs a login to what is seen at last."""
    login = surfer.get(f"{house.address}{page}")
    assert "Log in with Example ID" in login.text
    button = re.search(r'href="(/login/oidc[^"]*)"', login.text)
    assert button is not None
    form = surfer.get(house.address + button[1])
    consent = surfer.fill_in(form, login=name, password="any does")
    return surfer.fill_in(consent)


def test_alice_goes_to_her_provider_and_comes_back_as_who_she_is(house: House, surfer: Surfer) -> None:
    me = log_in(house, surfer, "alice")
    assert str(me.url) == f"{house.address}/me"
    assert "Alice Example (oidc alice)" in me.text
    assert "<dd>site-contact</dd>" in me.text
    assert "at the sites Utah." in me.text
    out = surfer.fill_in(me)
    assert str(out.url) == f"{house.address}/"
    assert surfer.get(f"{house.address}/me").url.path == "/login"
    who = "Alice Example (oidc alice)"
    assert house.acts()[-2:] == [(who, "session.open"), (who, "session.close")]


def test_a_second_login_needs_no_form_of_the_provider(house: House, surfer: Surfer) -> None:
    log_in(house, surfer, "alice")
    surfer.get(f"{house.address}/login/oidc?next=/about")
    assert surfer.visited[-1] == f"{house.address}/about"


def test_bob_is_who_his_group_says(house: House, surfer: Surfer) -> None:
    me = log_in(house, surfer, "bob")
    assert "<dd>vo-contact</dd>" in me.text
    assert "The users of the VOs cms, by name." in me.text


def test_mallory_says_that_he_is_alice_and_nobody_verified_it(house: House, surfer: Surfer) -> None:
    refused = log_in(house, surfer, "mallory")
    assert refused.status_code == 403
    assert "Example ID knows you as subject" in refused.text
    assert surfer.get(f"{house.address}/me").url.path == "/login"
    assert house.acts()[-1] == ("address 127.0.0.1", "login.refused")


def test_an_answer_of_the_provider_comes_back_once_and_to_its_own_browser(
    house: House, surfer: Surfer
) -> None:
    log_in(house, surfer, "alice")
    (back,) = (url for url in surfer.visited if "/login/oidc/callback" in url)
    assert surfer.get(back).status_code == 403
    other = Surfer()
    assert other.get(back).status_code == 403
    assert other.get(f"{house.address}/me").url.path == "/login"
    other.close()


def test_alice_changes_her_mind_at_the_provider(house: House, surfer: Surfer) -> None:
    surfer.get(f"{house.address}/login")
    form = surfer.get(f"{house.address}/login/oidc")
    abort = re.search(r'href="([^"]*/abort)"', form.text)
    assert abort is not None
    back = surfer.get(str(form.url.join(abort[1])))
    assert back.status_code == 403
    assert "did not let you in: access_denied" in back.text

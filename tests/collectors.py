"""A collector in this process: its real application over a home in a temporary folder, with its loader at hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from gridkeeper import clock
from gridkeeper.cli.wiring import Wired, wired
from gridkeeper.config import Home
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.inbox import Inbox
from gridkeeper.settings import Settings
from gridkeeper.trust.door import Door
from gridkeeper.trust.tokens import create
from gridkeeper.web.app import make_app
from gridkeeper.web.reading import Reading
from gridkeeper.web.services import Services
from tests.databases import settle

if TYPE_CHECKING:
    from pathlib import Path

    from httpx2 import Response
    from starlette.types import ASGIApp

    from gridkeeper.trust.senders import Role

LOCAL = "203.0.113.9"  # the address that requests seem to come from


class Browser(TestClient):
    """Keeps cookies, asks for pages, and sends the forms that it is shown."""

    def __init__(self, app: ASGIApp, address: str, client: tuple[str, int]) -> None:
        super().__init__(app, base_url=address, client=client, headers={"accept": "text/html"})

    def form_key(self, path: str = "/me") -> str:
        """The key that the forms of a page carry."""
        match = re.search(r'name="form_key" value="([^"]+)"', self.get(path).text)
        assert match is not None, f"{path} has no form"
        return match[1]

    def log_in(self, token: str, next: str = "/me", **more: Any) -> Response:  # noqa: A002
        """Type a token into the page `/login`; follows to what the visitor sees then."""
        key = re.findall(r'name="form_key" value="([^"]+)"', self.get("/login").text)[-1]
        return self.post("/login", data={"token": token, "next": next, "form_key": key}, **more)

    def submit(self, path: str, key: str | None = None, **fields: str) -> Response:
        """Send a form with the session's key, or with another one."""
        return self.post(path, data={**fields, "form_key": self.form_key() if key is None else key})


@dataclass
class Collector:
    """A home, its collector's application, and its loader."""

    place: Wired
    settings: Settings
    services: Services
    drain: Drain
    _made: dict[int, ASGIApp] = field(default_factory=dict)

    @property
    def app(self) -> ASGIApp:
        """The application over the services, made once: to put its many addresses together takes a third of a second."""
        if id(self.services) not in self._made:
            self._made[id(self.services)] = make_app(self.services)
        return self._made[id(self.services)]

    def client(self, token: str | None = None, address: str = LOCAL) -> TestClient:
        """Somebody who sends: with a token or without, from an address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(self.app, client=(address, 50_000), headers=headers)

    def browser(self, token: str | None = None, address: str = LOCAL) -> Browser:
        """Somebody at a browser on this machine: logged in with a token, or nobody."""
        browser = Browser(self.app, "http://127.0.0.1", client=(address, 50_000))
        if token is not None:
            answer = browser.log_in(token)
            assert answer.status_code == 200, answer.text
        return browser

    def token(
        self,
        *resources: str,
        role: Role = "probe",
        vos: tuple[str, ...] = (),
        sites: tuple[str, ...] = (),
        users: tuple[str, ...] = (),
    ) -> str:
        """A token of a role, bound to what it says."""
        return create(
            self.place.database(), role=role, who="local carol", name="test", resources=resources, vos=vos, sites=sites, users=users
        ).text  # fmt: skip

    def load(self) -> None:
        """Load what waits."""
        self.drain.once()

    def sums(self) -> tuple[int, int]:
        """Jobs and wall seconds in the books."""
        sql = "SELECT CAST(COALESCE(SUM(jobs), 0) AS BIGINT) AS jobs, CAST(COALESCE(SUM(wall_seconds), 0) AS BIGINT) AS wall FROM usage_daily_end"
        (row,) = self.place.books().select(sql).to_pylist()
        return row["jobs"], row["wall"]

    def close(self) -> None:
        """End the inbox's thread and the database's connections."""
        self.services.inbox.close()
        self.services.engine.dispose()


def collector(folder: Path, settings: dict[str, Any] | None = None, federation: str = "") -> Collector:
    """Make a home with a collector, on the database that the test is about. settings: as `gridkeeper.toml` says them."""
    home = Home(folder)
    home.create()
    settle(home.path, home.database)
    if federation:
        home.federation.write_text(federation, encoding="utf-8")
    place = wired(folder)
    told = Settings.model_validate(settings or {})
    engine = place.database()
    inbox = Inbox(engine, home.path, told.intake)
    services = Services(
        home.path, told, engine, inbox, Door(engine, told.server, told.trust), place.watch,
        Reading(place.lake, lambda: place.registry, clock.now, place.corrections), clock.now,
    )  # fmt: skip
    return Collector(place, told, services, Drain(engine, place.lake, told.intake, lambda: None))

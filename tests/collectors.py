"""A collector in this process: its real application over a home in a temporary folder, with its loader at hand."""

from __future__ import annotations

from dataclasses import dataclass
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
    from collections.abc import Callable
    from pathlib import Path

    from gridkeeper.trust.senders import Role

LOCAL = "203.0.113.9"  # the address that requests seem to come from


@dataclass
class Collector:
    """A home, its collector's application, and its loader."""

    place: Wired
    settings: Settings
    services: Services
    drain: Drain

    def client(self, token: str | None = None, address: str = LOCAL) -> TestClient:
        """Somebody who sends: with a token or without, from an address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(make_app(self.services), client=(address, 50_000), headers=headers)

    def token(self, *resources: str, role: Role = "probe", vos: tuple[str, ...] = ()) -> str:
        """A token bound to resources."""
        engine = self.place.database()
        return create(engine, role=role, who="local carol", name="test", resources=resources, vos=vos).text

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
    settle(home.path)
    if federation:
        home.federation.write_text(federation, encoding="utf-8")
    place = wired(folder)
    told = Settings.model_validate(settings or {})
    engine = place.database()
    inbox = Inbox(engine, home.path, told.intake)
    registry: Callable[[], Any] = lambda: place.registry  # noqa: E731
    services = Services(
        home.path, told, engine, inbox, Door(engine, told.server, told.trust), registry,
        Reading(place.lake, registry, clock.now), clock.now,
    )  # fmt: skip
    return Collector(place, told, services, Drain(engine, place.lake, told.intake, lambda: None))

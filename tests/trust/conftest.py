"""What the tests of trust share: the databases, and the cast. Alice is at Utah, Bob at Nebraska, Carol is the operator."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.settings import Server, Trust
from gridkeeper.trust import tokens
from gridkeeper.trust.door import Door
from tests.databases import database, sqlite_database
from tests.trust.issuing import IssuerServer, ec_key, public, rsa_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from gridkeeper.trust.senders import Sender

__all__ = ["database", "sqlite_database"]

CAROL = "local carol"


@dataclass
class Collector:
    """A collector's door with its database, and a clock that a test sets."""

    engine: sa.Engine
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    server: Server = field(default_factory=Server)
    trust: Trust = field(default_factory=Trust)

    def __post_init__(self) -> None:
        self.reopen()

    def reopen(self, server: Server | None = None, trust: Trust | None = None) -> None:
        """Start anew with other settings; nothing is remembered."""
        self.server, self.trust = server or self.server, trust or self.trust
        self.door = Door(self.engine, self.server, self.trust, lambda: self.now)

    def wait(self, **spans: float) -> None:
        """Let time pass."""
        self.now += timedelta(**spans)

    def ask(self, token: str | None = None, peer: str = "10.1.2.3", **headers: str) -> Sender:
        """Who does the door say this is? `X_Y="z"` is the header `X-Y: z`."""
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        if token is not None:
            raw.append((b"Authorization", f"Bearer {token}".encode()))
        return self.door.recognise(raw, peer)

    def give(
        self, *resources: str, name: str | None = None, vos: tuple[str, ...] = (), days: int = 400
    ) -> str:
        """Carol makes a probe's token."""
        made = tokens.create(
            self.engine,
            role="probe",
            who=CAROL,
            name=name,
            resources=resources,
            vos=vos,
            days=days,
            now=self.now,
        )
        return made.text


@pytest.fixture
def collector(sqlite_database: sa.Engine) -> Collector:
    return Collector(sqlite_database)


@pytest.fixture
def collector_on_each(database: sa.Engine) -> Collector:
    """A collector on each kind of database in turn, for tests of what is kept there."""
    return Collector(database)


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    """An issuer with two keys, `one` (RSA) and `curve`; the collector does not believe it yet."""
    server = IssuerServer()
    server.publish(public(rsa_key(), "one"), public(ec_key(), "curve", use="sig", alg="ES256"))
    server.configure()
    yield server
    server.stop()

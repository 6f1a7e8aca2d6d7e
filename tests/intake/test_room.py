"""The operational database gives back the room of what was loaded, whatever the size of its pages."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper import database
from gridkeeper.database import PAGE_BYTES, open_database, url_of
from gridkeeper.intake import waiting
from gridkeeper.intake.inbox import Arrival, Inbox, Receipt, Upload
from gridkeeper.migrations import migrate
from gridkeeper.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

BODY = bytes(range(256)) * 4000  # about a megabyte
LIMITS = Settings.model_validate({"intake": {"free_disk_bytes": 0}}).intake


def keep(engine: sa.Engine, home: Path) -> str:
    """Put a body into the inbox; say its batch."""
    inbox = Inbox(engine, home, LIMITS)
    upload = inbox.open_upload(Arrival("native", "sacct", "identity", "alice", "127.0.0.1", "alpha"))
    assert isinstance(upload, Upload)
    receipt = inbox.finish(upload, BODY).result()
    inbox.close()
    assert isinstance(receipt, Receipt)
    return receipt.batch


def page_bytes(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("PRAGMA page_size").fetchone()[0])


@pytest.mark.parametrize("size", [4096, PAGE_BYTES], ids=["a home of an earlier version", "a new home"])
def test_what_was_loaded_takes_no_room_once_it_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    path = tmp_path / "gridkeeper.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(database, "PAGE_BYTES", size)
        engine = open_database(url_of(path))
        migrate(engine)
        engine.dispose()
    engine = open_database(url_of(path))
    assert page_bytes(path) == size
    begin = path.stat().st_size
    batch = keep(engine, tmp_path)
    [claimed] = waiting.claim(engine, waiting.me(), 1, datetime.now(UTC))
    assert waiting.body(engine, claimed) == BODY
    _checkpointed(path)
    assert path.stat().st_size > begin + len(BODY) // 2
    waiting.finish(engine, {batch: {}}, datetime.now(UTC))
    waiting.forget(engine, datetime.now(UTC) + timedelta(days=1))
    engine.dispose()
    _checkpointed(path)
    assert path.stat().st_size <= begin + 4 * PAGE_BYTES


def _checkpointed(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

"""Operational databases of earlier versions are brought up to this one with what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import gridkeeper.editions.tables
import gridkeeper.exports.tables
import gridkeeper.federation.downtimes.tables
import gridkeeper.intake.tables
import gridkeeper.schedules.tables
import gridkeeper.summaries.corrections.tables
import gridkeeper.trust.tables  # noqa: F401 (rooms hang their tables on the one METADATA)
from gridkeeper.database import METADATA, open_database, reading, url_of, writing
from gridkeeper.intake import quarantine
from gridkeeper.migrations import FOLDER, migrate

if TYPE_CHECKING:
    from pathlib import Path


def migrate_to(engine: sa.Engine, step: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, step)


def test_batches_that_stood_as_records_get_their_own_column(tmp_path: Path) -> None:
    engine = open_database(url_of(tmp_path / "old.db"))
    migrate_to(engine, "0002")
    with writing(engine) as connection:
        for probe, kind in (("slurm:a", "heartbeat"), ("condor:b", "handshake")):
            told = {"probe": probe, "kind": kind}
            connection.execute(
                sa.text(
                    "INSERT INTO probe_contacts (probe, resource, kind, first_at, last_at, backlog_records) "
                    "VALUES (:probe, 'A', :kind, 1, 2, 7)"
                ),
                told,
            )
            connection.execute(
                sa.text("INSERT INTO probe_contact_hours VALUES (:probe, 'A', 0, 1, 9)"), {"probe": probe}
            )
    migrate(engine)
    with reading(engine) as connection:
        words: Any = connection.execute(
            sa.text("SELECT probe, backlog_batches, backlog_records FROM probe_contacts ORDER BY probe")
        )
        assert [tuple(row) for row in words] == [("condor:b", None, 7), ("slurm:a", 7, None)]
        hours: Any = connection.execute(
            sa.text(
                "SELECT probe, most_backlog_batches, most_backlog_records FROM probe_contact_hours ORDER BY probe"
            )
        )
        assert [tuple(row) for row in hours] == [("condor:b", None, 9), ("slurm:a", 9, None)]
    engine.dispose()


def test_the_steps_lead_to_the_tables_that_the_rooms_describe(database: sa.Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        found: list[Any] = compare_metadata(context, METADATA)
        # A comment's words, which PostgreSQL keeps, may grow without a step.
        words = [
            one for one in found if isinstance(one, list) and {what[0] for what in one} == {"modify_comment"}
        ]
        assert [one for one in found if one not in words] == []


def test_batches_that_shared_a_row_each_get_their_own_and_a_discarded_one_is_asked_about_again(
    tmp_path: Path,
) -> None:
    engine = open_database(url_of(tmp_path / "old.db"))
    migrate_to(engine, "0004")
    with writing(engine) as connection:
        for name in ("one", "two", "three"):
            connection.execute(
                sa.text(
                    "INSERT INTO inbox_batches (id, received_at, door, format, encoding, sender, address, bytes, sha256, state) "
                    f"VALUES ('{name}', 1, 'native', 'auto', 'identity', 'bob', '::1', 7, 'ab', 'set-aside')"
                )
            )
        for name, state in (("one", "open"), ("three", "discarded")):
            connection.execute(
                sa.text(
                    "INSERT INTO quarantine (id, rule, format, source, line, reason, context, text, text_bytes, archive_ref, "
                    "first_seen, last_seen, times, state) VALUES "
                    f"('{name}', 'unreadable_batch', 'auto', 'batch {name}', 1, '', '', '', 7, 'ab', 1, 1, 2, '{state}')"
                )
            )
    migrate(engine)
    assert sorted(str(row.batch) for row in quarantine.entries(engine, quarantine.Choice())) == [
        "one",
        "three",
        "two",
    ]
    engine.dispose()

"""Brings an operational database up to the tables of this version, step by step (Alembic); versions/ holds the steps."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from gridkeeper.database import DatabaseRefuses, reading, writing

FOLDER = Path(__file__).parent

_ONE_AT_A_TIME = 7_071_968  # any number that nobody else takes for a lock in the same database


def migrate(engine: sa.Engine) -> None:
    """Bring the database up to this version's tables; nothing happens where it is. Of several at once, one does it.

    Raises: DatabaseUnavailable (retryable); DatabaseRefuses (permanent) where a newer version had it.
    """
    steps = sorted(path.stem.split("_", 1)[0] for path in (FOLDER / "versions").glob("*.py"))
    with reading(engine) as connection:
        known = _step(connection)
    if known == steps[-1]:
        return
    if known is not None and known not in steps:
        raise DatabaseRefuses(
            f"the database was brought to step {known} by a newer Gridkeeper, and this one knows steps up to {steps[-1]}; "
            "run the newer one, or put back a backup of before"
        )
    from alembic import command  # takes long to import, and is hardly ever needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":  # on SQLite nobody else writes
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _step(connection: sa.Connection) -> str | None:
    """The step that a database is at; None: it has no tables yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    step: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return step

"""Brings an operational database up to the tables of this version, step by step (Alembic); versions/ holds the steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

from gridkeeper.database import writing

if TYPE_CHECKING:
    import sqlalchemy as sa

FOLDER = Path(__file__).parent


def migrate(engine: sa.Engine) -> None:
    """Bring the database up to this version's tables; nothing happens where it is. Raises: DatabaseUnavailable (retryable)."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""`python -m gridkeeper.migrations "what changes"` writes the next step: what the rooms' tables say that the steps do not yet."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import gridkeeper
from gridkeeper.migrations import FOLDER, migrate

# Their tables.py describe tables of the lake.
_OF_THE_LAKE = ("gridkeeper.summaries", "gridkeeper.lake", "gridkeeper.records")


def find_tables() -> None:
    """Import every room's own tables, and those of the rooms in it, so that they hang on METADATA."""
    rooms = [f"gridkeeper.{room.name}" for room in pkgutil.iter_modules(gridkeeper.__path__) if room.ispkg]
    for room in rooms:
        for found in pkgutil.iter_modules(import_module(room).__path__):
            if found.ispkg:
                rooms.append(f"{room}.{found.name}")
            elif found.name == "tables" and room not in _OF_THE_LAKE:
                import_module(f"{room}.tables")


def main() -> None:
    """Compare and write."""
    find_tables()
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    migrate(engine)
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.revision(
            config,
            message=" ".join(sys.argv[1:]) or "tables",
            autogenerate=True,
            rev_id=f"{len(list((FOLDER / 'versions').glob('*.py'))) + 1:04d}",
        )


if __name__ == "__main__":
    main()

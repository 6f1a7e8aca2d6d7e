"""Keeps editions in the home, each in a folder of its own that is there whole or not at all, and reads them back unless they changed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.editions.edition import (
    CHECKSUM,
    FACTS,
    REPORT_PREFIX,
    Edition,
    EditionDamaged,
    checksum_of,
    edition_of,
)
from gridkeeper.editions.tables import EDITIONS
from gridkeeper.errors import GridkeeperError, UserMistake
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MOST_EDITIONS = 9999  # what four digits can number
_RESTORE = "restore its folder from a backup; an edition is never made anew"


class CannotPublish(GridkeeperError):
    """The edition could not be written now; nothing of it is left. Retryable."""

    permanent = False


@dataclass(frozen=True)
class Stored:
    """An edition as it lies in the home, its checksum found right.

    registered: whether the operational database names it, too.
    """

    edition: Edition
    checksum: str
    files: Mapping[str, bytes]
    registered: bool

    def report(self, shape: str) -> bytes:
        """The report as it was published. Raises: UserMistake (permanent) for a format that it does not have."""
        if shape not in self.edition.formats:
            raise UserMistake(
                f"edition {self.edition.number} has no format {shape!r}; it has {', '.join(self.edition.formats)}"
            )
        return self.files[f"{REPORT_PREFIX}{shape}"]


def keep(
    engine: sa.Engine, folder: Path, make: Callable[[int], tuple[Edition, dict[str, bytes]]], who: str
) -> tuple[Edition, str]:
    """Give an edition the next number, and keep it; when this returns, it is on disk, in the register and in the audit.

    make:    makes the edition of that number, and all its files but the checksum.
    Returns: the edition and its checksum.
    Raises:  CannotPublish, DatabaseUnavailable (retryable); UserMistake (permanent) after MOST_EDITIONS.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":  # on SQLite nobody else writes
            connection.execute(sa.text("LOCK TABLE editions IN SHARE ROW EXCLUSIVE MODE"))
        number = 1 + max(
            [connection.scalar(sa.select(sa.func.max(EDITIONS.c.number))) or 0, *numbers(folder)]
        )
        if number > MOST_EDITIONS:
            raise UserMistake(f"this home has {MOST_EDITIONS:,} editions, which is as many as can be")
        edition, files = make(number)
        checksum = checksum_of(files)
        days = {"first": edition.period.first.isoformat(), "until": edition.period.until.isoformat()}
        connection.execute(
            EDITIONS.insert().values(
                number=number, report=edition.report, made_at=edition.made_at, made_by=who, checksum=checksum, **days
            )
        )  # fmt: skip
        details: dict[str, Any] = {"report": edition.report, **days, "checksum": checksum}
        audit.record(connection, who, "edition.publish", str(number), details, at=edition.made_at)
        _put(folder, number, files, checksum)
    return edition, checksum


def numbers(folder: Path) -> list[int]:
    """The numbers of the editions whose folders are there, in order."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())


def registered(engine: sa.Engine | None) -> dict[int, str]:
    """The checksum of each edition in the register. Raises: DatabaseUnavailable (retryable)."""
    if engine is None:
        return {}
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table(EDITIONS.name):
            return {}
        rows = connection.execute(sa.select(EDITIONS.c.number, EDITIONS.c.checksum)).all()
    return {row.number: row.checksum for row in rows}


def read(engine: sa.Engine | None, folder: Path, number: int) -> Stored:
    """Read an edition, and hold it to its checksum, in its folder and in the register.

    Raises: UserMistake (permanent) where there is none; EditionDamaged (permanent) where it is not what was published.
    """
    known = registered(engine)
    there = numbers(folder)
    if number not in there and number not in known:
        some = f"there are {_listed(sorted({*there, *known}))}" if there or known else "there is none yet"
        raise UserMistake(f"there is no edition {number}; {some} (`gridkeeper editions` lists them)")
    place = place_of(folder, number)
    try:
        files = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
    except OSError as error:
        raise EditionDamaged(
            f"edition {number}: {place} cannot be read ({error.strerror}); {_RESTORE}"
        ) from error
    told = files.pop(CHECKSUM, b"").decode("ascii", "replace").strip()
    found = checksum_of(files)
    if found not in (told, known.get(number)) or found != known.get(number, told):
        raise EditionDamaged(
            f"edition {number}: its files in {place} have the checksum {found[:12]}…, "
            f"and it was published with {known.get(number, told)[:12] or 'one that is lost'}…; {_RESTORE}"
        )
    if found != told:
        raise EditionDamaged(
            f"edition {number}: {place / CHECKSUM} does not say the checksum that it was published with; {_RESTORE}"
        )
    try:
        edition = edition_of(files[FACTS])
    except (ValueError, KeyError, TypeError) as error:
        raise EditionDamaged(
            f"edition {number}: {place / FACTS} is none of this version's; read it with the Gridkeeper that made it"
        ) from error
    return Stored(edition, found, files, number in known)


def place_of(folder: Path, number: int) -> Path:
    """The folder of an edition."""
    return folder / f"{number:04d}"


def _listed(known: list[int]) -> str:
    return ", ".join(map(str, known)) if len(known) < 10 else f"{known[0]} to {known[-1]}"


def _put(folder: Path, number: int, files: Mapping[str, bytes], checksum: str) -> None:
    """Write all files into a folder that takes its name when everything is on disk."""
    part = folder / f".{number:04d}.{uuid4().hex}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.part"):  # of a process that was killed; nobody else publishes now
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir()
        for name, data in {**files, CHECKSUM: f"{checksum}\n".encode()}.items():
            with (part / name).open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            (part / name).chmod(0o444)
        _force(part)
        part.rename(place_of(folder, number))
        _force(folder)
        _force(folder.parent)
    except OSError as error:
        with suppress(OSError):
            shutil.rmtree(part)
        raise CannotPublish(
            f"the edition could not be written to {folder}: {error.strerror}; free its disk, or let this user write there, and try again"
        ) from error


def _force(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Makes the report of a run: its files, written whole or not at all, and the mail that goes with them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gridkeeper.errors import BadConfiguration, GridkeeperError
from gridkeeper.reports.plots import WIDTH
from gridkeeper.reports.registry import reports
from gridkeeper.schedules.letter import Picture, as_text
from gridkeeper.schedules.message import Printed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from gridkeeper.config import Home
    from gridkeeper.reports.contract import Request
    from gridkeeper.settings import Schedule, Settings
    from gridkeeper.summaries.books import Books

ENDINGS = {
    "twiki": ".twiki",
    "markdown": ".md",
    "html": ".html",
    "json": ".json",
    "xlsx": ".xlsx",
    "csv": ".csv",
}
_TEXTS = ("twiki", "markdown")
_PICTURE_WIDTH = WIDTH + 100  # with its axis and legend


class CannotWrite(GridkeeperError):
    """A report could not be written to its folder now. Retryable."""

    permanent = False


def check(settings: Settings) -> None:
    """Hold the schedules to what there is. Raises: BadConfiguration (permanent) that names schedule and remedy."""
    for schedule in settings.schedule:
        place = f"gridkeeper.toml: schedule {schedule.name}"
        known = reports()[schedule.report].formats
        unknown = [shape for shape in schedule.formats if shape not in known]
        if unknown:
            raise BadConfiguration(
                f"{place}: the report {schedule.report} has no format {unknown[0]!r}; it has {', '.join(known)}"
            )
        if schedule.recipients and settings.mail.host is None:
            raise BadConfiguration(
                f"{place}: it has recipients, but no mail server is named; name one as host under [mail]"
            )


def folder_of(home: Home, schedule: Schedule) -> Path:
    """Where the schedule's files lie; a relative folder is one of the home."""
    return (home.reports if schedule.directory is None else home.path / schedule.directory).absolute()


def file_name(schedule: Schedule, due_at: datetime, shape: str) -> str:
    """`production-2017-02-07.html`: the schedule's name and the day it was due."""
    return f"{schedule.name}-{due_at:%Y-%m-%d}{ENDINGS[shape]}"


def make(books: Books, schedule: Schedule, request: Request) -> Any:
    """Gather what the report says. Raises: UserMistake (permanent), LakeUnavailable (retryable)."""
    return reports()[schedule.report].make(books, request)


def render(content: Any, schedule: Schedule, due_at: datetime) -> dict[str, bytes]:
    """The report in every format of the schedule: file name → bytes."""
    report = reports()[schedule.report]
    return {file_name(schedule, due_at, shape): report.render(content, shape) for shape in schedule.formats}


def printed(
    content: Any, schedule: Schedule, due_at: datetime, files: Mapping[str, bytes], folder: Path
) -> Printed:
    """What goes into the mail, whatever formats are written: a text, the page, its plots; other formats are attached.

    The text is the report's TWiki where that is a format of the schedule, else its Markdown, else its page as text.
    """
    report = reports()[schedule.report]
    page_name = file_name(schedule, due_at, "html")
    page = files.get(page_name) or report.render(content, "html")
    wanted = next((shape for shape in _TEXTS if shape in schedule.formats), None)
    shape = wanted or next((shape for shape in reversed(_TEXTS) if shape in report.formats), None)
    if shape is None:
        text, shown = as_text(page), {page_name}
    else:
        text_name = file_name(schedule, due_at, shape)
        text = (files.get(text_name) or report.render(content, shape)).decode()
        shown = {page_name, text_name}
    drawn = content.plots() if hasattr(content, "plots") else []
    return Printed(
        title=content.title,
        federation=content.federation,
        text=text,
        page=page,
        page_name=page_name,
        pictures=tuple(Picture(plot.name, plot.says, plot.png(), _PICTURE_WIDTH) for plot in drawn),
        attached=tuple((name, data, str(folder / name)) for name, data in files.items() if name not in shown),
    )


def write(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write the files, each whole and on disk before it takes its name. Returns: their paths. Raises: CannotWrite (retryable)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            for left in folder.glob(f".{name}.*.part"):  # by a run that was killed
                left.unlink(missing_ok=True)
            part = folder / f".{name}.{uuid4().hex}.part"
            try:
                with part.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(folder / name)
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
        _sync(folder)
    except OSError as error:
        raise CannotWrite(
            f"the report could not be written to {folder}: {error.strerror}; free its disk, or name another directory"
        ) from error
    return [str(folder / name) for name in files]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Figures from elsewhere beside our own measure of the same thing, with the ratio; never mixed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gridkeeper.queries.figures import Figure

# A figure's unit as people write it → ours; a unit that is not here is shown as it is and compared with nothing.
_UNITS = {
    "job": "jobs", "jobs": "jobs", "pilots": "pilots", "payloads": "payloads", "wall hours": "wall hours", "wall_hours": "wall hours",
    "walltime hours": "wall hours", "core hours": "core hours", "core_hours": "core hours", "ratio": "ratio", "cores": "cores", "sites": "sites",
}  # fmt: skip


@dataclass(frozen=True)
class Ours:
    """One of our values that a figure can stand beside. name: what it is, in words."""

    name: str
    unit: str
    value: float | None


@dataclass(frozen=True)
class Beside:
    """A figure, and ours where there is one that means the same. reason: why there is none."""

    figure: Figure
    ours: Ours | None
    reason: str | None = None

    @property
    def ratio(self) -> float | None:
        """Ours ÷ theirs; None where one of them is missing or theirs is 0."""
        if self.ours is None or self.ours.value is None or not self.figure.value:
            return None
        return self.ours.value / self.figure.value


def ours_of(values: Mapping[str, float | None]) -> dict[str, Ours]:
    """Our values by the measure that a figure may name. values: by the names below, None where not known.

    A figure's "jobs" are what users ran: it stands beside our payloads where any are known, else beside our
    pilots, and the name says which.
    """
    known = {
        name: Ours(words, unit, values.get(name))
        for name, words, unit in (
            ("pilots", "pilots", "jobs"),
            ("payloads", "payloads", "jobs"),
            ("wall_hours", "wall hours", "wall hours"),
            ("core_hours", "core hours", "core hours"),
            ("efficiency", "efficiency of all cores", "ratio"),
            ("efficiency_1core", "efficiency of single-core jobs", "ratio"),
            ("running_cores", "running cores, mean", "cores"),
            ("sites", "sites used", "sites"),
            ("opportunistic_jobs", "jobs on resources that others own", "jobs"),
            ("opportunistic_wall_hours", "wall hours on resources that others own", "wall hours"),
            ("opportunistic_core_hours", "core hours on resources that others own", "core hours"),
        )
    }
    known["jobs"] = (
        known["payloads"]
        if values.get("payloads")
        else known["pilots"]
        if values.get("pilots")
        else Ours("jobs as reported", "jobs", values.get("jobs"))
    )
    return known


def beside(figures: Sequence[Figure], ours: Mapping[str | None, Mapping[str, Ours]]) -> tuple[Beside, ...]:
    """Put figures beside our measures. ours: VO in lower case (None: all) → measure → our value."""
    return tuple(_one(figure, ours) for figure in figures)


def _one(figure: Figure, ours: Mapping[str | None, Mapping[str, Ours]]) -> Beside:
    vo = figure.vo.lower() if figure.vo else None
    if vo not in ours:
        return Beside(figure, None, "no usage of this VO is known")
    mine = ours[vo].get(figure.measure.lower())
    if mine is None:
        return Beside(figure, None, "we have no measure of this name")
    unit = _UNITS.get(figure.unit.lower())
    if unit in ("pilots", "payloads"):
        mine, unit = ours[vo][unit], "jobs"
    if unit != mine.unit:
        return Beside(figure, None, f"its unit {figure.unit!r} is not {mine.unit!r}")
    return (
        Beside(figure, mine)
        if mine.value is not None
        else Beside(figure, None, f"our {mine.name} are not known")
    )

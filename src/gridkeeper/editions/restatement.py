"""What an edition said, what today's books say, and the parts of the difference by cause, which always add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# In this order, and no other, for what one cause changes the next one finds changed already.
CAUSES = ("late", "revision", "correction", "topology")
# What no cause explains; nothing, unless records were lost or another version of the program counts otherwise.
UNEXPLAINED = "unexplained"


class Amounts(NamedTuple):
    """Whole numbers. cpu_us: microseconds of CPU time, where it was measured."""

    jobs: int = 0
    wall_seconds: int = 0
    core_seconds: int = 0
    cpu_us: int = 0

    def plus(self, other: Amounts) -> Amounts:
        """Both together."""
        return Amounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def less(self, other: Amounts) -> Amounts:
        """What is left without the other."""
        return Amounts(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


Place: TypeAlias = "tuple[str | None, str | None]"
Cells: TypeAlias = "Mapping[Place, Amounts]"


def total(cells: Cells) -> Amounts:
    """All of them together."""
    found = Amounts()
    for amounts in cells.values():
        found = found.plus(amounts)
    return found


def difference(after: Cells, before: Cells) -> dict[Place, Amounts]:
    """What is more or less in each cell; cells without a change are left out."""
    changed = {
        place: after.get(place, Amounts()).less(before.get(place, Amounts())) for place in {*after, *before}
    }
    return {place: amounts for place, amounts in changed.items() if any(amounts)}


def added(one: Cells, other: Cells) -> dict[Place, Amounts]:
    """Two sets of cells together."""
    return {place: one.get(place, Amounts()).plus(other.get(place, Amounts())) for place in {*one, *other}}


class Line(NamedTuple):
    """One VO, one site, or all: then + the parts = today, in every amount. name: None where nothing says which."""

    name: str | None
    then: Amounts
    parts: Mapping[str, Amounts]
    today: Amounts

    @property
    def change(self) -> Amounts:
        """Today less then."""
        return self.today.less(self.then)


@dataclass(frozen=True)
class Restatement:
    """An edition against today, by (VO, site).

    parts:        cause → what it changed; UNEXPLAINED last.
    late_records, revised_records: how many records of the period came, or were revised, since.
    load_seq:     the last append that today's books know of.
    corrections_added, corrections_gone: ids of corrections in force today and not then, and the other way round.
    topology_changed: whether the registry says other things of sums than then.
    """

    then: Cells
    parts: Mapping[str, Cells]
    today: Cells
    late_records: int
    revised_records: int
    load_seq: int
    corrections_added: tuple[str, ...]
    corrections_gone: tuple[str, ...]
    topology_changed: bool

    @property
    def in_all(self) -> Line:
        """The whole."""
        return self._line(None, lambda _: True)

    @property
    def by_vo(self) -> list[Line]:
        """Each VO, most core seconds of today or then first."""
        return self._lines(lambda place: place[0])

    @property
    def by_site(self) -> list[Line]:
        """Each site, likewise."""
        return self._lines(lambda place: place[1])

    def _lines(self, of: Callable[[Place], str | None]) -> list[Line]:
        names = {of(place) for cells in (self.then, self.today, *self.parts.values()) for place in cells}
        lines = [self._line(name, lambda place, name=name: of(place) == name) for name in names]  # type: ignore[misc]
        return sorted(
            lines, key=lambda line: (-max(line.then.core_seconds, line.today.core_seconds), line.name or "")
        )

    def _line(self, name: str | None, wanted: Callable[[Place], bool]) -> Line:
        def of(cells: Cells) -> Amounts:
            return total({place: amounts for place, amounts in cells.items() if wanted(place)})

        return Line(
            name, of(self.then), {cause: of(cells) for cause, cells in self.parts.items()}, of(self.today)
        )

"""What belongs to somebody in the inbox and in the quarantine: by resource, or by a probe of it where no resource is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOST = "%:"


@dataclass(frozen=True)
class Owned:
    """Resources by name, and by patterns in which `*` stands for anything; probes of these. Names are compared without case."""

    resources: frozenset[str] = field(default_factory=frozenset)
    patterns: frozenset[str] = field(default_factory=frozenset)
    probes: frozenset[str] = field(default_factory=frozenset)

    def condition(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The condition of the rows of `inbox_batches` or `quarantine` that belong to it.

        Where a row names no resource, the name of a probe is a stranger's word: it counts only where the sender was
        bound to nothing (and so trusted), or to one of these resources.
        """
        column = table.c.resource
        mine = _named(column, self.resources, self.patterns)
        if not self.probes:
            return mine
        said = [table.c.probe, *([table.c.said_by] if "said_by" in table.c else [])]
        of_probe = sa.or_(
            *(_named(one, self.probes, frozenset()) for one in said),
            *(_ends_with(one, probe) for one in said for probe in sorted(self.probes) if ":" not in probe),
        )
        trusted = sa.or_(
            table.c.binding.is_(None), *(_bound_to(table, name) for name in sorted(self.resources))
        )
        return sa.or_(mine, sa.and_(column.is_(None), of_probe, trusted))


def _named(column: sa.Column[str], names: Iterable[str], patterns: Iterable[str]) -> sa.ColumnElement[bool]:
    spelled = sorted({form for name in names for form in (name, name.lower())})
    fits = [sa.func.lower(column).like(_like(pattern), escape="\\") for pattern in sorted(patterns)]
    return sa.or_(sa.false(), column.in_(spelled), sa.func.lower(column).in_(spelled), *fits)


def _like(pattern: str) -> str:
    return _escaped(pattern.lower()).replace("*", "%")


def _ends_with(column: sa.Column[str], host: str) -> sa.ColumnElement[bool]:
    """`condor:ce.example.org` is a probe on the host `ce.example.org`."""
    return sa.func.lower(column).like(_HOST + _escaped(host.lower()), escape="\\")


def _bound_to(table: sa.Table, resource: str) -> sa.ColumnElement[bool]:
    """The sender's binding (quarantine.binding_text) names the resource, as a whole name among its resources.

    A quote behind a comma and a space begins a name, since within a name it is escaped.
    """
    name = _escaped(json.dumps(resource.lower()))
    return sa.or_(
        *(
            table.c.binding.like(f'{{"resources": [{before}{name}%], "vos": [%', escape="\\")
            for before in ("", "%, ")
        )
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

"""Rows as a format read them, and who delivered them: what `records` needs to make records of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import numpy as np
    import pyarrow as pa

    from gridkeeper.records.rules import Reject


@dataclass(frozen=True)
class Delivery:
    """What is known of a delivery beside its text.

    resource, probe: hold for every record of it, whatever the record says; None: the record's word.
    vo:              holds for records that name no VO.
    said_by:         the probe that the sender says it is. It names refusals and archived text; in the books a record's own word holds.
    received_at:     one instant (UTC) for all records of one load.
    may_send_for:    resources that its sender may speak for, in small letters, with patterns (`*`); None: any.
    may_send_vos:    VOs likewise; empty: any.
    foreign_probes:  probes that stand for resources of others, in small letters: records under their names are not its own.
    """

    received_at: datetime
    resource: str | None = None
    probe: str | None = None
    vo: str | None = None
    may_send_for: frozenset[str] | None = None
    may_send_vos: frozenset[str] = frozenset()
    foreign_probes: frozenset[str] = frozenset()
    said_by: str | None = None


@dataclass
class Draft:
    """Rows of one table as a format read them.

    columns: content columns of the table by name, all of one length; what is not there is null throughout.
    lines:   1-based line of the source where each row begins.
    text:    gives the original bytes of a row, for a refusal.
    """

    columns: dict[str, pa.Array]
    lines: Sequence[int] | np.ndarray
    text: Callable[[int], bytes]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass
class Parsed:
    """What a format made of one block of text.

    tables:  finished rows by table name (their schema is that of the table, bookkeeping columns null).
    rejects: what was refused, each with its rule.
    skipped: what is rightly no record (a job step, a job still running, one that never ran), by reason.
    read:    how many records the text held: rows + rejects + skipped.
    lines:   for each table, the 1-based line of the source where each of its rows begins.
    """

    tables: dict[str, pa.Table] = field(default_factory=dict)
    lines: dict[str, list[np.ndarray]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """How many records the text held."""
        return sum(map(len, self.tables.values())) + len(self.rejects) + self.skipped.total()

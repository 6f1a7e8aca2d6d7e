"""All that is wrong with what a home's files say of its federation, as commands and pages tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.config import FEDERATION_FILE
from gridkeeper.federation.names import doubts
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.findings import findings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.model import Registry
    from gridkeeper.federation.topology.loading import Loaded


def everything_wrong(
    own: Registry, both: Registry, loaded: Loaded, others: Iterable[Fault]
) -> tuple[Fault, ...]:
    """Every fault in the order of files and lines.

    own, both: what federation.yaml says, alone and with the topology. others: what joining them, and the kept history, told.
    """
    fix = "list it under vos, or mend the name"
    doubted = [
        Fault("unknown-vo", "warning", FEDERATION_FILE, 0, doubt, fix)
        for doubt in doubts(own.model_copy(update={"vos": both.vos}))
    ]
    found = [*doubted, *others, *findings(loaded)]
    return tuple(sorted(found, key=lambda one: (one.file, one.line, one.code)))

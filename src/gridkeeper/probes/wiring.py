"""Makes the parts of a probe from its configuration."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gridkeeper.probes import htcondor, tokens
from gridkeeper.probes.collector import Collector
from gridkeeper.probes.configuration import format_of
from gridkeeper.probes.errors import BadSettings
from gridkeeper.probes.file import Files
from gridkeeper.probes.hashed_names import Names
from gridkeeper.probes.htcondor import HTCondor
from gridkeeper.probes.pbs import Pbs
from gridkeeper.probes.probe import Probe
from gridkeeper.probes.redaction import redactor_for
from gridkeeper.probes.slurm import Slurm

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.probes.clock import Clock
    from gridkeeper.probes.contract import Source
    from gridkeeper.probes.settings import Settings


def source_of(settings: Settings) -> Source:
    """Make the source that `kind` names. Raises: BadSettings (permanent) for an unusable redaction key."""
    redaction, batch_bytes = settings.redaction, settings.outbox.batch_bytes
    names = None
    if redaction.enabled and redaction.key_file is not None:
        names = Names(tokens.site_key(redaction.key_file))
    redactor = redactor_for(format_of(settings), names, redaction.also)
    kind = settings.probe.kind
    if kind == "slurm":
        return Slurm(settings.slurm, batch_bytes, redactor, names)
    if kind == "htcondor":
        return HTCondor(settings.htcondor, batch_bytes, redactor, names)
    if kind == "pbs" and settings.pbs is not None:
        return Pbs(settings.pbs, batch_bytes, redactor, names)
    if kind == "file" and settings.file is not None:
        return Files(settings.file, batch_bytes, redactor)
    raise BadSettings(f"[probe] kind = {kind} has no section [{kind}]; write one")


def collector_of(settings: Settings, clock: Clock) -> Collector:
    """Make the way to the collector."""
    probe = settings.probe
    return Collector(
        settings.collector, probe.name, probe.resource, lambda: tokens.token(settings.collector), clock.now
    )


def probe_of(
    settings: Settings, clock: Clock, say: Callable[[str], None], chance: random.Random | None = None
) -> Probe:
    """Make a whole probe. Raises: BadSettings (permanent)."""
    seen_limit = settings.slurm.seen_limit
    if settings.probe.kind == "htcondor":
        seen_limit = htcondor.SEEN_LIMIT + htcondor.FILES_A_ROUND
    return Probe(
        settings,
        source_of(settings),
        collector_of(settings, clock),
        clock,
        chance or random.Random(),
        seen_limit,
        say,
    )

"""The heartbeat: what a probe says of itself and of its queue, even when no job has finished."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gridkeeper import __version__
from gridkeeper.probes import clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.probes.outbox import Outbox
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.settings import ProbeSettings
    from gridkeeper.probes.status import Status


def heartbeat(
    probe: ProbeSettings,
    format_name: str,
    outbox: Outbox,
    status: Status,
    samples: Sequence[Sample],
    now: datetime,
) -> dict[str, Any]:
    """Make the heartbeat's JSON. Sizes in bytes, as they lie in the outbox; times are UTC."""
    return {
        "probe": probe.name,
        "resource": probe.resource,
        "format": format_name,
        "version": __version__,
        "at": clock.as_text(now),
        "backlog_batches": outbox.count,
        "backlog_bytes": outbox.size_bytes,
        "oldest_waiting_at": outbox.oldest_at(),
        "newest_record_at": status.newest_record_at or None,
        "problem": status.problem_sentence(),
        "samples": [asdict(sample) for sample in samples],
    }

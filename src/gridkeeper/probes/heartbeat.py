"""The heartbeat: what a probe says of itself and of its queue, even when no job has finished."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gridkeeper import __version__
from gridkeeper.probes import clock
from gridkeeper.probes.collector import TOO_LARGE
from gridkeeper.probes.contract import HEARTBEAT_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.probes.collector import Answer, Collector
    from gridkeeper.probes.outbox import Outbox
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.settings import ProbeSettings
    from gridkeeper.probes.status import Status


def beat(
    collector: Collector,
    probe: ProbeSettings,
    format_name: str,
    outbox: Outbox,
    status: Status,
    samples: Sequence[Sample],
    now: datetime,
) -> Answer:
    """Send a heartbeat. Where its samples make it too long it goes without them, and the status says so.

    Raises: BadSettings (permanent) when there is no token.
    """
    said = encoded(heartbeat(probe, format_name, outbox, status, samples, now))
    answer = collector.heartbeat(said) if len(said) <= HEARTBEAT_BYTES else None
    if answer is not None and (answer.kind != TOO_LARGE or not samples):
        return answer
    limit = answer.sentence if answer is not None else f"a heartbeat has at most {HEARTBEAT_BYTES:,} bytes"
    status.samples_problem = (
        f"what runs and waits now is not told: {len(samples):,} accounts and VOs make a heartbeat of "
        f"{len(said):,} bytes ({limit})"
    )
    return collector.heartbeat(encoded(heartbeat(probe, format_name, outbox, status, (), now)))


def heartbeat(
    probe: ProbeSettings,
    format_name: str,
    outbox: Outbox,
    status: Status,
    samples: Sequence[Sample],
    now: datetime,
) -> dict[str, Any]:
    """Make what a heartbeat says. Sizes in bytes, as they lie in the outbox; times are UTC."""
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


def encoded(said: dict[str, Any]) -> bytes:
    """A heartbeat as it is sent: JSON, without blanks."""
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")

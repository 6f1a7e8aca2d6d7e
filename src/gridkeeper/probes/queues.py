"""What runs and waits now: samples for the heartbeat, added up while the batch system's answer is read."""

from __future__ import annotations

from dataclasses import dataclass

from gridkeeper.probes.contract import MOST_NAME_CHARACTERS, MOST_SAMPLES
from gridkeeper.probes.errors import SourceFailed

RUNNING, PENDING = "running", "pending"


@dataclass(frozen=True)
class Sample:
    """How many jobs and cores of one account or VO run or wait now. None: not known."""

    account: str | None
    vo: str | None
    state: str
    jobs: int
    cores: int


class Tally:
    """Adds up jobs by account, VO and state."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str | None, str | None, str], tuple[int, int]] = {}

    def add(self, account: str | None, vo: str | None, state: str, cores: int, jobs: int = 1) -> None:
        """Count one job, or several alike, with the cores of each. A name is cut where the collector takes no longer one.

        Raises: SourceFailed (retryable) beyond MOST_SAMPLES.
        """
        key = (_fitting(account), _fitting(vo), state)
        if key not in self._sums and len(self._sums) >= MOST_SAMPLES:
            raise SourceFailed(
                f"the queue names more accounts and VOs than a heartbeat may have ({MOST_SAMPLES:,}); it is not reported"
            )
        before = self._sums.get(key, (0, 0))
        self._sums[key] = (before[0] + jobs, before[1] + jobs * cores)

    def samples(self) -> list[Sample]:
        """The sums, by account, VO and state."""
        order = sorted(self._sums, key=lambda key: (key[0] or "", key[1] or "", key[2]))
        return [Sample(*key, *self._sums[key]) for key in order]


def _fitting(name: str | None) -> str | None:
    return (name or "").replace("\0", "")[:MOST_NAME_CHARACTERS] or None

"""What Prometheus reads: this process's own counts, and what the loaders wrote down in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gridkeeper.errors import GridkeeperError
from gridkeeper.intake import loader_faults
from gridkeeper.intake.counting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from gridkeeper.web.services import Services

OURS = prometheus.CollectorRegistry()
RECEIVED_BATCHES = prometheus.Counter(
    "gridkeeper_received_batches", "Batches taken in.", ["door"], registry=OURS
)
RECEIVED_BYTES = prometheus.Counter(
    "gridkeeper_received_bytes", "Bytes taken in, as sent.", ["door"], registry=OURS
)
REFUSED_REQUESTS = prometheus.Counter(
    "gridkeeper_refused_requests", "Requests refused at the door.", ["reason"], registry=OURS
)
REFUSED_LOGINS = prometheus.Counter(
    "gridkeeper_refused_logins", "Logins to the pages refused.", ["how"], registry=OURS
)
ANSWER_SECONDS = prometheus.Histogram(
    "gridkeeper_answer_seconds", "Time until a request was answered.", ["path"], registry=OURS,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip


class FromTheBooks(Collector):
    """Reads, when asked, how full the inbox is and what the loaders did."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """The families; none of them where the database cannot be read, which /readyz says."""
        try:
            level = self._services.inbox.level()
            counts = counted(self._services.engine)
            faults = loader_faults.of_this_host(self._services.engine, self._services.now())
        except GridkeeperError:
            return
        age = (self._services.now() - level.oldest).total_seconds() if level.oldest else 0.0
        for name, meaning, value in (
            ("inbox_batches", "Batches that wait for the loader.", level.batches),
            ("inbox_bytes", "Bytes that wait for the loader.", level.bytes),
            ("inbox_age_seconds", "Age of the oldest waiting batch.", age),
            ("batches_set_aside", "Batches that were set aside as a whole.", level.aside_batches),
            ("batches_set_aside_bytes", "Bytes of these batches.", level.aside_bytes),
            ("loader_faults", "Loaders on this host that are themselves at fault.", len(faults)),
            ("free_disk_bytes", "Free disk under the home.", level.free_disk_bytes),
        ):
            yield GaugeMetricFamily(f"gridkeeper_{name}", meaning, value)
        families: dict[str, CounterMetricFamily] = {}
        for (name, label), value in sorted(counts.items()):
            family = families.setdefault(
                name, CounterMetricFamily(f"gridkeeper_{name}", _MEANINGS.get(name, name), labels=["reason"])
            )
            family.add_metric([label], value)
        yield from families.values()


_MEANINGS = {
    "records_loaded": "Records new in the books.",
    "records_duplicate": "Records that were in the books already.",
    "records_revised": "Records that replaced an earlier content.",
    "records_rejected": "Records and whole batches refused, by rule.",
    "loader_failures": "Tries to load a batch that ended in an error of the loader, by error.",
    "records_skipped": "What was rightly no record, by reason.",
    "commits": "Rounds in which batches were loaded.",
    "commit_seconds": "Time that these rounds took.",
}


def written(services: Services) -> bytes:
    """The page that Prometheus reads."""
    books = prometheus.CollectorRegistry()
    books.register(FromTheBooks(services))
    return prometheus.generate_latest(OURS) + prometheus.generate_latest(books)

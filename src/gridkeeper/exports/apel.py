"""Writes a month as APEL's text messages: normalised summaries, and sync records that say how many jobs they tell of.

Two dialects: `v0.4`, and `gracc`, which is what GRACC has always sent (v0.3, without submit host, group and role).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gridkeeper.errors import GridkeeperError
from gridkeeper.exports.apel_groups import seconds
from gridkeeper.exports.apel_validator import faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from gridkeeper.exports.apel_groups import Key, Sums
    from gridkeeper.feed_settings import Dialect
    from gridkeeper.queries.periods import Period

MOST_RECORDS = 1000
# A message travels signed and in base64, which makes four bytes of three; the service takes a million of these.
MOST_BYTES = 700_000
HEADERS: dict[str, str] = {
    "v0.4": "APEL-normalised-summary-message: v0.4",
    "gracc": "APEL-summary-job-message: v0.3",
}
SYNC_HEADER = "APEL-sync-message: v0.1"
_DAY_S = 86_400


@dataclass(frozen=True)
class Message:
    """One message. name: what its file is called; records: how many it holds."""

    name: str
    kind: Literal["summaries", "sync"]
    text: bytes
    records: int


class NotToBeSent(GridkeeperError):
    """A message would be refused by APEL's server. Permanent."""


def messages(
    month: Period, groups: Mapping[Key, Sums], dialect: Dialect, now: datetime
) -> tuple[Message, ...]:
    """Write a month's groups as messages, those of summaries first, in order; the same groups give the same bytes.

    Returns: messages of at most MOST_RECORDS records and MOST_BYTES each.
    Raises:  NotToBeSent (permanent) for what the server would refuse, such as a month that lies in the future.
    """
    write = _in_words_of_gracc if dialect == "gracc" else _in_words
    summaries = [write(month, key, groups[key]) for key in sorted(groups)]
    syncs = [_sync(month, *entry) for entry in sorted(_jobs_by_host(groups).items())]
    made = [
        *_split(f"apel-{month.first:%Y-%m}-{dialect}-summaries", "summaries", HEADERS[dialect], summaries),
        *_split(f"apel-{month.first:%Y-%m}-{dialect}-sync", "sync", SYNC_HEADER, syncs),
    ]
    for message in made:
        if found := faults(message.text, now):
            raise NotToBeSent(f"APEL would refuse {message.name}: {found[0]} ({len(found)} such)")
    return tuple(made)


def _split(
    name: str, kind: Literal["summaries", "sync"], header: str, records: Iterable[str]
) -> Iterator[Message]:
    texts: list[str] = []
    size, number = len(header) + 1, 1

    def message() -> Message:
        return Message(
            f"{name}-{number:04d}.apel", kind, "\n".join([header, *texts, ""]).encode("ascii"), len(texts)
        )

    for record in records:
        if texts and (len(texts) == MOST_RECORDS or size + len(record) + 1 > MOST_BYTES):
            yield message()
            texts, size, number = [], len(header) + 1, number + 1
        texts.append(record)
        size += len(record) + 1
    if texts:
        yield message()


def _record(fields: Iterable[tuple[str, object]]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in fields if value != "") + "%%"


def _in_words(month: Period, key: Key, sums: Sums) -> str:
    def listed(whole: int) -> str:
        return f"{{{key.benchmark}: {whole}}}"

    return _record(
        (
            ("Site", key.site), ("Month", month.first.month), ("Year", month.first.year), ("GlobalUserName", key.user), ("VO", key.vo),
            ("VOGroup", key.group), ("VORole", key.role), ("SubmitHost", key.submit_host), ("Infrastructure", key.infrastructure),
            ("NodeCount", key.nodes), ("Processors", key.processors), ("EarliestEndTime", sums.earliest), ("LatestEndTime", sums.latest),
            ("WallDuration", sums.wall_s), ("CpuDuration", sums.cpu_s), ("NormalisedWallDuration", listed(sums.normalised_wall_s)),
            ("NormalisedCpuDuration", listed(sums.normalised_cpu_s)), ("NumberOfJobs", sums.jobs),
        )
    )  # fmt: skip


def _in_words_of_gracc(month: Period, key: Key, sums: Sums) -> str:
    """GRACC knows ends by their days: the earliest is the begin of one, the latest the last second of one."""
    latest = min(sums.latest // _DAY_S * _DAY_S + _DAY_S, seconds(month.until)) - 1
    return _record(
        (
            ("Site", key.site), ("VO", key.vo), ("EarliestEndTime", sums.earliest // _DAY_S * _DAY_S),
            ("LatestEndTime", latest), ("Month", f"{month.first:%m}"), ("Year", month.first.year),
            ("Infrastructure", key.infrastructure), ("GlobalUserName", key.user), ("Processors", key.processors), ("NodeCount", key.nodes),
            ("WallDuration", sums.wall_s), ("CpuDuration", sums.cpu_s), ("NormalisedWallDuration", sums.normalised_wall_s),
            ("NormalisedCpuDuration", sums.normalised_cpu_s), ("NumberOfJobs", sums.jobs),
        )
    )  # fmt: skip


def _jobs_by_host(groups: Mapping[Key, Sums]) -> dict[tuple[str, str], int]:
    jobs: defaultdict[tuple[str, str], int] = defaultdict(int)
    for key, sums in groups.items():
        jobs[key.site, key.submit_host] += sums.jobs
    return jobs


def _sync(month: Period, where: tuple[str, str], jobs: int) -> str:
    site, host = where
    return _record(
        (("Site", site), ("SubmitHost", host), ("NumberOfJobs", jobs), ("Month", month.first.month), ("Year", month.first.year))
    )  # fmt: skip

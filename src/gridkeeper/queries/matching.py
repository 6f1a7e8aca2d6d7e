"""Which resource the records of each source are booked on, and why; what is ambiguous or unknown is listed by its hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from gridkeeper.federation.mapping import Mapper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gridkeeper.federation.mapping import Match, Meaning
    from gridkeeper.federation.model import Resource
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

State = Literal["matched", "site", "ambiguous", "unmatched"]
STATES: tuple[State, ...] = ("matched", "site", "ambiguous", "unmatched")
_WORDS = ("resource", "site_reported", "resource_type", "host_description", "probe")
_SOURCES = """
    SELECT {day}resource, site_reported, resource_type, probe,
           CASE WHEN LOWER(resource_type) = 'payload' THEN host_description END AS host_description,
           COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs, CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_seconds
    FROM usage_records {where}
    GROUP BY ALL
"""


@dataclass(frozen=True)
class Matched:
    """One source: records that say the same of where they ran.

    state:        matched; site: a payload names a site or resource group, no resource; ambiguous: what it names several resources
                  have; unmatched: what it names none has.
    place, probe: what the records say. level: batch, payload, transfer or other.
    resource, site, facility: on what they are booked; the resource is the place where none is registered.
    by, word:     what decided (resource, probe, host_description), and the word; None where nothing did.
    why:          the same in a sentence.
    candidates:   resources that have the word in common.
    valid_from, valid_until: the days [from, until) on which the registry matches it so; None: since ever, and still.
    other:        the resource that the probe's host says instead of the one that counts; None where it agrees.
    """

    state: State
    place: str | None
    probe: str | None
    level: str
    resource: str | None
    site: str | None
    facility: str | None
    by: str | None
    word: str | None
    why: str
    candidates: tuple[str, ...]
    valid_from: date | None
    valid_until: date | None
    other: str | None
    records: int
    jobs: int
    core_seconds: int


def sources(
    books: Books, shared: Mapping[str, tuple[str, ...]], period: Period | None = None
) -> list[Matched]:
    """Every source and its match: what is unmatched and ambiguous first, then by core hours, most first.

    shared: names and hosts in small letters → the resources that have them in common.
    Reads:   `usage_records`, all of them whatever counts, that ended in the period.
    Raises:  LakeUnavailable (retryable).
    """
    where = "WHERE end_day >= $first AND end_day < $until" if period else ""
    parameters: dict[str, Any] = {"first": period.first, "until": period.until} if period else {}
    days = (period.first, period.until) if period else None
    mapper = Mapper(books.registry)
    said = _SOURCES.format(where=where, day="end_day, " if mapper.changes else "")
    rows = books.select(said, days=days, **parameters).to_pylist()
    return list(_judged(books, shared, _by_match(mapper, rows)))


def _by_match(mapper: Mapper, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of each source with its match; of several days, added up where they have one match."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        day = row.pop("end_day", None)
        words = {name: row[name] for name in _WORDS}
        match = mapper.match(words, day)
        key = (*words.values(), match.first, match.until)
        if key in found:
            for amount in ("records", "jobs", "core_seconds"):
                found[key][amount] = (found[key][amount] or 0) + (row[amount] or 0)
        else:
            found[key] = row | {"match": match, "meaning": mapper.meaning(words, day)}
    return list(found.values())


def _judged(
    books: Books, shared: Mapping[str, tuple[str, ...]], rows: list[dict[str, Any]]
) -> Iterator[Matched]:
    hosts = {host.lower(): one for one in books.registry.resources for host in one.hosts}
    order = {state: -place for place, state in enumerate(STATES)}
    found = [_matched(row, shared, hosts) for row in rows]
    yield from sorted(
        found,
        key=lambda one: (
            order[one.state],
            -one.core_seconds,
            one.place or "",
            one.probe or "",
            one.valid_from or date.min,
        ),
    )


def _matched(
    row: dict[str, Any], shared: Mapping[str, tuple[str, ...]], hosts: dict[str, Resource]
) -> Matched:
    match: Match = row["match"]
    meaning: Meaning = row["meaning"]
    host = (row["probe"] or "").lower().rpartition(":")[2]
    candidates: tuple[str, ...] = ()
    if match.resource is not None:
        state: State = "matched"
    elif match.site is not None:
        state = "site"
    else:
        candidates = shared.get((match.place or "").lower(), ())
        if not candidates and meaning.level != "payload":
            candidates = shared.get(host, ())
        state = "ambiguous" if candidates else "unmatched"
    other = hosts.get(host) if meaning.level != "payload" else None
    differs = other is not None and match.resource is not None and other.name != match.resource.name
    return Matched(
        state=state,
        place=match.place,
        probe=row["probe"],
        level=meaning.level,
        resource=meaning.resource,
        site=meaning.site,
        facility=meaning.facility,
        by=match.by,
        word=match.word,
        why=_why(match, candidates, row["probe"]),
        candidates=candidates,
        valid_from=None if match.first == date.min else match.first,
        valid_until=None if match.until == date.max else match.until,
        other=other.name if differs and other is not None else None,
        records=row["records"],
        jobs=row["jobs"] or 0,
        core_seconds=row["core_seconds"] or 0,
    )


def _why(match: Match, candidates: tuple[str, ...], probe: str | None) -> str:
    if match.resource is not None and match.word is not None:
        one, word = match.resource, match.word.lower()
        if match.by == "probe":
            is_its_own = word in {name.lower() for name in one.probes}
            return f"{match.word} is {'a probe' if is_its_own else 'a probe on a host'} of {one.name}"
        said = "host description" if match.by == "host_description" else "resource"
        if word == one.name.lower():
            return f"its {said} is the name of {one.name}"
        kind = "a host" if word in {host.lower() for host in one.hosts} else "another name"
        return f"its {said}, {match.word}, is {kind} of {one.name}"
    if match.site is not None:
        return f"its host description, {match.word}, is the site {match.site.name} or a group of it, and no resource"
    if candidates:
        return f"what it says is common to {', '.join(candidates)}"
    told = [f"resource {match.place}"] if match.place else []
    told += [f"probe {probe}"] if probe else []
    return (
        f"no resource is known by {' or '.join(told)}"
        if told
        else "its records name no resource and no probe"
    )

"""What APEL is told of a month: groups of jobs and their sums, from the books.

No summary names the user's certificate, the group and role of the FQAN, the submit host and the processors together, so
the records of the month are read once, mapped as summaries are. Sums that others reported are told as they were reported.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from gridkeeper.errors import UserMistake
from gridkeeper.exports.apel_fields import escaped, group_and_role
from gridkeeper.exports.apel_validator import MOST_INFRASTRUCTURE, MOST_TEXT
from gridkeeper.federation import factors
from gridkeeper.federation.accounting_names import AccountingNames
from gridkeeper.federation.mapping import Mapper
from gridkeeper.federation.model import LOCAL_GRID
from gridkeeper.queries.usage import Scope, conditions_of, levels_for
from gridkeeper.records.columns import COUNT, DAY, TEXT
from gridkeeper.summaries.sql import FACTS, THOSE_THAT_END
from gridkeeper.summaries.tables import PLACE, WHOSE, Summary
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gridkeeper.federation.factors import Factors
    from gridkeeper.feed_settings import Apel
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books

HEPSCORE23, HEPSPEC = "HEPscore23", "HEPSPEC"
SI2K_PER_HEPSPEC = 250
MOST_NAMED = 5
_MICRO = 1_000_000
_FACTS = {name: FACTS[name] for name in ("end_day", "njobs", "wall_s", "processors", "cpu_us", "to_s", "is_measured")} | {
    "nodes": "GREATEST(COALESCE(node_count, 1), 1)",
    "submit_host": "COALESCE(submit_host, '')",
    "vo_group": "COALESCE(vo_group, '')",
    "vo_role": "COALESCE(vo_role, '')",
    "user_dn": "COALESCE(dn, CASE WHEN global_user LIKE '/%' THEN global_user END, '')",
}  # fmt: skip
_OTHER_KEYS = {
    "processors": COUNT, "nodes": COUNT, "submit_host": TEXT, "vo_group": TEXT, "vo_role": TEXT, "user_dn": TEXT,
}  # fmt: skip
_MADE = (
    "records",
    "jobs",
    "wall_seconds",
    "core_seconds",
    "cpu_us",
    "measured_core_seconds",
    "earliest",
    "latest",
)
MONTH_OF_JOBS = Summary(
    "apel_month", "What APEL is told of jobs, day by day.", {"day": DAY} | PLACE | WHOSE | {"fqan": TEXT} | _OTHER_KEYS, _MADE,
    f"""
        SELECT end_day AS day, part, {", ".join(_OTHER_KEYS)}, COUNT(*) AS records, CAST(SUM(njobs) AS BIGINT) AS jobs,
               CAST(SUM(wall_s) AS BIGINT) AS wall_seconds, CAST(SUM(wall_s * processors) AS BIGINT) AS core_seconds,
               CAST(SUM(cpu_us) AS BIGINT) AS cpu_us, CAST(SUM(is_measured * wall_s * processors) AS BIGINT) AS measured_core_seconds,
               MIN(to_s) AS earliest, MAX(to_s) AS latest
        FROM records WHERE end_day IN (SELECT day FROM dirty) GROUP BY ALL
    """,
)  # fmt: skip


class Key(NamedTuple):
    """What a group is one of; a text is "" where nothing is said. Texts are as they are sent."""

    site: str
    vo: str
    group: str
    role: str
    user: str
    submit_host: str
    infrastructure: str
    processors: int
    nodes: int
    benchmark: str


@dataclass(frozen=True)
class Sums:
    """What APEL is told of a group: whole seconds, wall time not multiplied by processors; ends are seconds since 1970."""

    jobs: int
    wall_s: int
    cpu_s: int
    normalised_wall_s: int
    normalised_cpu_s: int
    earliest: int
    latest: int

    @property
    def is_nothing(self) -> bool:
        """Whether it tells of no usage: a group that was sent and is no more."""
        return not (self.jobs or self.wall_s or self.cpu_s)


@dataclass
class _Sum:
    """A group while it is added up: CPU in microseconds, products with factors in millionths of these."""

    jobs: int = 0
    wall_s: int = 0
    cpu_us: int = 0
    wall_millionths: int = 0
    cpu_millionths: int = 0
    earliest: int | None = None
    latest: int | None = None


@dataclass(frozen=True)
class MonthTold:
    """A month as APEL is told it.

    groups: in order of their keys.
    notes:  what a reader must know: shares on a default factor and without measured CPU, escaped names.
    """

    month: Period
    source: UsageSource
    groups: dict[Key, Sums]
    notes: tuple[str, ...]
    versions: dict[str, int]


class _Row(NamedTuple):
    """One sum of the books before it is a group; factor: of its resource and day; None where it is normalised already."""

    day: date
    key: Key
    jobs: int
    wall_s: int
    cpu_us: int
    wall_millionths: int
    cpu_millionths: int
    earliest: int
    latest: int


def month_told(books: Books, settings: Apel, month: Period, source: UsageSource, dialect: str) -> MonthTold:
    """Add up what APEL is told of a month.

    Reads:   `usage_records` that ended in the month, or `usage_reported`, at each resource's own level, in the grid of `settings`.
    Returns: groups whose sums add up to the books' to the second: they are differences of cumulative floors.
    Raises:  UserMistake (permanent) where a resource has no factor or no site, with the core hours and what to do;
             LakeUnavailable (retryable).
    """
    reader = _Reader(books, settings, month, dialect)
    rows = reader.reported() if source == "reported" else reader.jobs()
    sums: defaultdict[Key, _Sum] = defaultdict(_Sum)
    for row in rows:
        held = sums[row.key]
        for name in ("jobs", "wall_s", "cpu_us", "wall_millionths", "cpu_millionths"):
            setattr(held, name, getattr(held, name) + getattr(row, name))
        held.earliest = row.earliest if held.earliest is None else min(held.earliest, row.earliest)
        held.latest = row.latest if held.latest is None else max(held.latest, row.latest)
    reader.must_be_whole()
    return MonthTold(month, source, _in_wholeseconds(sums), reader.notes(), books.versions_of(source))


def _in_wholeseconds(sums: Mapping[Key, _Sum]) -> dict[Key, Sums]:
    """Whole seconds for each group; what is cut off one is given to a later one, so that the total is cut off once."""
    made = {}
    units = {"cpu_us": _MICRO, "wall_millionths": _MICRO, "cpu_millionths": _MICRO * _MICRO}
    before = dict.fromkeys(units, 0)
    for key in sorted(sums):
        held, whole = sums[key], {}
        for name, unit in units.items():
            after = before[name] + getattr(held, name)
            whole[name] = after // unit - before[name] // unit
            before[name] = after
        made[key] = Sums(
            held.jobs, held.wall_s, whole["cpu_us"], whole["wall_millionths"], whole["cpu_millionths"], held.earliest or 0, held.latest or 0
        )  # fmt: skip
    return made


class _Reader:
    """Reads one month's sums, and notes what stands in their way."""

    def __init__(self, books: Books, settings: Apel, month: Period, dialect: str) -> None:
        self._books, self._settings, self._month = books, settings, month
        self._gracc = dialect == "gracc"
        self._factors: Factors = factors.benchmarks(books.registry)
        self._of_day: dict[tuple[str | None, date], tuple[int | None, bool]] = {}
        self._names = AccountingNames(books.registry)
        self._vos = {name.lower() for name in settings.vos}
        self._core_seconds = self._of_default = self._unmeasured = self._estimated = 0
        self._without_factor: defaultdict[str, int] = defaultdict(int)
        self._without_site: defaultdict[str, int] = defaultdict(int)
        self._escaped: set[str] = set()
        self._reported: list[str] = []

    def jobs(self) -> Iterator[_Row]:
        """Of records."""
        books, scope = self._books, Scope(self._month, grid=self._settings.grid)
        daily = books.of_records(MONTH_OF_JOBS, self._month.dates(), THOSE_THAT_END, _FACTS)
        parameters: dict[str, Any] = {}
        conditions = " AND ".join(conditions_of(books, scope, "usage_daily_end", parameters))
        user = "user_dn" if self._settings.users == "dn" else "''"
        sql = f"""
            SELECT day, resource, site, grid, vo, fqan, vo_group, vo_role, {user} AS user, submit_host, processors, nodes,
                   CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds,
                   CAST(SUM(core_seconds) AS BIGINT) AS core_seconds, CAST(SUM(cpu_us) AS DECIMAL(38, 0)) AS cpu_us,
                   CAST(SUM(core_seconds - measured_core_seconds) AS BIGINT) AS unmeasured, MIN(earliest) AS earliest, MAX(latest) AS latest
            FROM apel_month WHERE {conditions} AND LOWER(vo) IN (SELECT vo FROM apel_vos) GROUP BY ALL
        """
        tables = {"apel_month": daily, "apel_vos": pa.table({"vo": pa.array(sorted(self._vos), pa.string())})}
        tables |= levels_for(books, scope, "usage_daily_end")
        self._note_reported()
        if books.has_estimates:
            estimated = f"""
                SELECT CAST(COALESCE(SUM(core_seconds), 0) AS BIGINT) AS core_seconds FROM usage_daily_brief
                WHERE estimated AND {conditions} AND LOWER(vo) IN (SELECT vo FROM apel_vos)
            """
            (found,) = books.select(estimated, tables=tables, **parameters).to_pylist()
            self._estimated = found["core_seconds"]
        for row in books.select(sql, tables=tables, **parameters).to_pylist():
            group, role = group_and_role(row["fqan"]) if row["fqan"] else (row["vo_group"], row["vo_role"])
            factor = self._factor(row["resource"], row["day"], row["core_seconds"])
            self._unmeasured += row["unmeasured"]
            cpu_us = int(row["cpu_us"])
            local = (row["grid"] or "").lower() == LOCAL_GRID.lower()
            infrastructure = "local" if local else self._settings.infrastructure
            key = self._key(row, group, role, infrastructure, HEPSCORE23)
            yield _Row(
                row["day"], key, row["jobs"], row["wall_seconds"], cpu_us, row["wall_seconds"] * factor, cpu_us * factor,
                row["earliest"], row["latest"],
            )  # fmt: skip

    def reported(self) -> Iterator[_Row]:
        """Of sums that others reported; their own normalised sums are told where they gave them."""
        mapper = Mapper(self._books.registry)
        rows = self._books.select(
            _REPORTED, days=(self._month.first, self._month.until), first=self._month.first, until=self._month.until
        )  # fmt: skip
        for row in rows.to_pylist():
            said = {name: row[name] for name in ("resource", "site_reported", "vo_reported", "probe")}
            meaning = mapper.meaning(said | {"fqan": row["vo_group"]}, row["day"])
            if (meaning.vo or "").lower() not in self._vos:
                continue
            wall_s, cpu_s = row["wall_s"], row["cpu_s"] or 0
            if row["normalised_wall_s"] is None or row["normalised_cpu_s"] is None:
                factor = self._factor(meaning.resource, row["day"], wall_s * row["processors"])
                normalised, benchmark = (wall_s * factor, cpu_s * _MICRO * factor), HEPSCORE23
            else:
                # In whole millionths, which a 250th is.
                scale = _MICRO // SI2K_PER_HEPSPEC if row["benchmark_name"] == "Si2k" else _MICRO
                normalised = (row["normalised_wall_s"] * scale, row["normalised_cpu_s"] * scale * _MICRO)
                benchmark = HEPSCORE23 if row["benchmark_name"] == HEPSCORE23 else HEPSPEC
            user = row["user"] if self._settings.users == "dn" else None
            place = row | {"resource": meaning.resource, "site": meaning.site, "vo": meaning.vo, "user": user}
            place["core_seconds"] = wall_s * row["processors"]
            infrastructure = row["infrastructure"] or self._settings.infrastructure
            key = self._key(place, row["vo_group"] or "", row["vo_role"] or "", infrastructure, benchmark)
            yield _Row(
                row["day"], key, row["jobs"], wall_s, cpu_s * _MICRO, *normalised, row["earliest"] or seconds(self._month.first),
                row["latest"] or seconds(self._month.until) - 1,
            )  # fmt: skip

    def _note_reported(self) -> None:
        """Note which places reported sums of the month that the feed of jobs has nothing of."""
        if not self._books.holds("usage_reported"):
            return
        span = (self._month.first, self._month.until)
        rows = self._books.select(
            f"SELECT DISTINCT resource FROM ({_REPORTED}) AS sums ORDER BY resource", days=span, first=span[0], until=span[1]
        )  # fmt: skip
        self._reported = [name or "no resource" for name in rows["resource"].to_pylist()]

    def _factor(self, resource: str | None, day: date, core_seconds: int) -> int:
        if (resource, day) not in self._of_day:
            self._of_day[resource, day] = self._factors.on(resource, day)
        factor, is_default = self._of_day[resource, day]
        self._core_seconds += core_seconds
        self._of_default += core_seconds if is_default else 0
        if factor is None:
            self._without_factor[resource or "no resource"] += core_seconds
        return factor or 0

    def _key(self, row: Mapping[str, Any], group: str, role: str, infrastructure: str, benchmark: str) -> Key:
        site = self._names.on(row["resource"], row["site"], row["day"])
        if site is None:
            self._without_site[row["resource"] or "no resource"] += row["core_seconds"]
        user = row["user"] or f"generic {row['vo']} user"
        if self._gracc:
            return Key(
                self._sent(site or ""),
                self._sent(row["vo"]),
                "",
                "",
                self._sent(user),
                "",
                "Gratia-OSG",
                row["processors"],
                1,
                "",
            )
        return Key(
            self._sent(site or ""), self._sent(row["vo"]), self._sent(group), self._sent(role), self._sent(user),
            self._sent(row["submit_host"] or ""), self._sent(infrastructure, MOST_INFRASTRUCTURE), row["processors"], row["nodes"], benchmark,
        )  # fmt: skip

    def _sent(self, text: str, most: int = MOST_TEXT) -> str:
        found = escaped(text, most)
        if found != text:
            self._escaped.add(text)
        return found

    def must_be_whole(self) -> None:
        """Refuse a month of which a part cannot be told. Raises: UserMistake (permanent)."""
        told = []
        if self._without_factor:
            told.append(
                f"no HEPScore23 factor is known of {_listed(self._without_factor)}; write benchmarks of these resources, or "
                "federation.default_hepscore23, in federation.yaml"
            )
        if self._without_site:
            told.append(
                f"no site is known of {_listed(self._without_site)}; name it under resources in federation.yaml"
            )
        if told:
            raise UserMistake(f"{self._month.name} cannot be told to APEL whole: {'; '.join(told)}")

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the sums."""
        notes = []
        if self._of_default:
            notes.append(
                f"{100 * self._of_default / self._core_seconds:.1f} % of the core hours on the default factor"
            )
        if self._unmeasured:
            notes.append(
                f"{100 * self._unmeasured / self._core_seconds:.1f} % of the core hours without measured CPU, told as their records have it"
            )
        if self._estimated:
            notes.append(
                f"{self._estimated / SECONDS_PER_HOUR:,.1f} core hours that corrections estimate are not told: no record has them"
            )
        if self._reported:
            more = f" and {len(self._reported) - MOST_NAMED} more" if len(self._reported) > MOST_NAMED else ""
            notes.append(
                f"sums that others reported of {', '.join(self._reported[:MOST_NAMED])}{more} are not told with jobs; --source reported tells them"
            )
        if self._escaped:
            notes.append(
                f"{len(self._escaped)} names are told otherwise than they are, since messages take ASCII and 255 characters"
            )
        return tuple(notes)


def _listed(core_seconds: Mapping[str, int]) -> str:
    most = sorted(core_seconds.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{name} ({seconds / SECONDS_PER_HOUR:,.1f} core hours)" for name, seconds in most[:MOST_NAMED]]
    return ", ".join(named) + (f" and {len(most) - MOST_NAMED} more" if len(most) > MOST_NAMED else "")


def seconds(day: date) -> int:
    """The begin of a day in seconds since 1970."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def total(groups: Iterable[Sums]) -> Sums:
    """The sums of some groups; of none all is 0."""
    found = list(groups)
    summed = {field.name: sum(getattr(one, field.name) for one in found) for field in fields(Sums)}
    summed["earliest"] = min((one.earliest for one in found), default=0)
    summed["latest"] = max((one.latest for one in found), default=0)
    return Sums(**summed)


_REPORTED = """
    SELECT start_day AS day, resource, site_reported, vo_reported, probe, vo_group, vo_role, global_user AS user, submit_host, infrastructure,
           benchmark_name, processors, GREATEST(COALESCE(node_count, 1), 1) AS nodes, njobs AS jobs, wall_duration_s AS wall_s,
           cpu_duration_s AS cpu_s, normalised_wall_s, normalised_cpu_s,
           CAST(EPOCH(earliest_end) AS BIGINT) AS earliest, CAST(EPOCH(latest_end) AS BIGINT) AS latest
    FROM usage_reported WHERE start_day >= $first AND end_day < $until
"""

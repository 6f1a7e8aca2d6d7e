"""Writes the sample federation's own files: its registry, the figures of others, and what to read first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gridkeeper.demo.ledger import ROUNDING, STATEMENT
from gridkeeper.demo.people import ALIASES, EXPERIMENTS, GROUPS, OPPORTUNISTIC, account_of, fqan_of
from gridkeeper.demo.places import CONDOR, FERMILAB, LOCAL, PLACES, UTAH
from gridkeeper.demo.report_files import REPORT_FILES
from gridkeeper.demo.second_books import MISSING_SITE, SECOND_BOOKS, WRONG_SITE
from gridkeeper.demo.targets import targets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.demo.places import Place

_ADDRESS = "https://dashboard.example.org/atlas"
_DASHBOARD_JOBS, _DASHBOARD_OPPORTUNISTIC = 2_000_000, 178_000
_BENCHMARKS = ("9.8", "12.3", None, "10.65", "14.2")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./ ")


def federation_text() -> str:
    """The registry of the home, as YAML."""
    sections: list[tuple[str, Iterable[dict[str, Any]]]] = [
        ("vos", _vos()),
        ("resources", (_resource(place, number) for number, place in enumerate(PLACES))),
        ("mapping", _mapping()),
    ]
    texts = [
        "# An invented federation; see README.txt.\n"
        "federation: {name: Sample Grid, grid: OSG, week_start: tuesday, default_hepscore23: 10, default_power: {gco2e_per_kwh: 400, watts_per_core: 6}}\n"
    ]
    for name, entries in sections:
        texts.append(f"{name}:\n" + "".join(f"  - {_flow(entry)}\n" for entry in entries))
        if name == "vos":
            texts.append(f"vo_lists: {_flow({'opportunistic': list(OPPORTUNISTIC)})}\n")
    return "".join(texts)


def figures(scale: float) -> list[dict[str, Any]]:
    """What others publish of the week, at the scale: numbers of jobs, for the days from `first` to before `until`."""
    wanted = (("jobs", _DASHBOARD_JOBS), ("opportunistic_jobs", _DASHBOARD_OPPORTUNISTIC))
    return [
        {
            "source": "ATLAS dashboard",
            "vo": "atlas",
            "measure": measure,
            "unit": "jobs",
            "first": "2017-01-31",
            "until": "2017-02-07",
            "value": round(amount * scale),
            "address": _ADDRESS,
        }
        for measure, amount in wanted
    ]


def readme_text(scale: float, seed: int) -> str:
    """What these files are, and where each target comes from."""
    lines = []
    for target in targets(scale):
        place = " ".join(filter(None, (target.vo or "all VOs", target.experiment, target.resource)))
        where = f"{place} (off-site)" if target.offsite else place
        full = f"{target.full:,.0f}" if target.full >= 10 else f"{target.full:.3f}"
        lines.append(f"  {target.kind:<9}  {target.period:<4}  {where:<26}  {target.measure:<18}  {full}\n")
    return (
        f"The sample federation, scale {scale:g}, seed {seed}\n\n{STATEMENT}\n\n"
        "raw/             usage records as probes deliver them; raw/manifest.json says how each file is to be loaded\n"
        "federation.yaml  who is who: VOs, resources, and how accounts map to VOs\n"
        "figures.json     what others publish of the week, to stand beside our own\n"
        "ledger.json      what must come out, counted from the list of jobs before any file was written\n"
        f"{SECOND_BOOKS}\n"
        f"                 January as a second accounting reports it, to be compared: {WRONG_SITE} sends its jobs of many cores\n"
        f"                 as jobs of one, and {MISSING_SITE} is missing; both on purpose\n\n"
        f"`gridkeeper demo` makes these in reports/ (index.html names them, too):\n{_report_lines()}\n"
        "The amounts follow the minutes of a production meeting of 7 February 2017. Targets at full size, as core hours,\n"
        "wall hours, jobs, cores or ratios; `week` is 31 January to 6 February:\n"
        "  published  printed in those minutes\n"
        "  measured   from the summaries that the federation sent to APEL for January 2017\n"
        "  derived    measured, plus or minus a published change\n"
        f"  filled     our own, so that the sums fit\n\n{''.join(lines)}\n{ROUNDING}\n\n"
        "The batch probe of Utah falls silent on 19 January 2017 at 14:00 UTC. Its jobs run on in the book `ran`, not in\n"
        "`reported`; what runs inside its pilots goes on being reported by the access points. Jobs that run when the\n"
        "period ends are in `ran` (overlap) only.\n"
    )


def _report_lines() -> str:
    lines = []
    for one in REPORT_FILES:
        lines.append(f"  {one.report}: {one.says}\n")
        lines += [f"      {file}\n" for file in one.files]
    return "".join(lines)


def _vos() -> Iterable[dict[str, Any]]:
    for name in GROUPS:
        vo: dict[str, Any] = {
            "name": name,
            "aliases": list(ALIASES.get(name, ())),
            "home_sites": _homes(name),
        }
        if name == "fermilab":
            vo["experiments"] = [
                {"name": experiment, "fqan": _prefix(experiment)} for experiment in EXPERIMENTS
            ]
            vo["experiments_period"] = "2 weeks"  # as the minutes tell them, beside the week of the targets
        yield vo


def _homes(vo: str) -> list[str]:
    return [FERMILAB] if vo == "fermilab" else []


def _prefix(experiment: str) -> str:
    return fqan_of("fermilab", experiment).split("/Role=", 1)[0]


def _resource(place: Place, number: int) -> dict[str, Any]:
    # Some machines were never measured: they have the federation's default.
    measured = _BENCHMARKS[number % len(_BENCHMARKS)]
    return {
        "name": place.name,
        "site": place.site,
        "facility": place.facility,
        "aliases": [] if place.machine == place.name else [place.machine],
        "count_level": "payload" if place.access_point else "batch",
        "owners": place.owners,
        "probes": [place.probe],
        "benchmarks": [{"hepscore23": measured}] if measured else [],
        "contacts": [{"name": f"{place.site} operations", "email": f"operations@{place.host}"}],
    }


def _mapping() -> Iterable[dict[str, Any]]:
    yield {"when": {"resource": UTAH, "account": "osg-*"}, "vo": "osg"}
    for resource, accounts in LOCAL.items():
        for account, vo, _ in accounts:
            yield {"when": {"resource": resource, "account": account}, "vo": vo, "grid": "Local"}
    for experiment in EXPERIMENTS:
        yield {"when": {"account": account_of("fermilab", experiment)}, "vo": experiment}
    for group in GROUPS.values():
        if group.role and group.name != "fermilab":
            yield {"when": {"account": f"{group.name}-*"}, "vo": group.name}
    for place in PLACES:
        if place.format == CONDOR and not place.x509:
            for vo in place.weights:
                yield {"when": {"resource": place.name, "accounting_group": f"group_{vo}*"}, "vo": vo}
            for experiment in EXPERIMENTS:
                yield {
                    "when": {"resource": place.name, "accounting_group": f"group_{experiment}*"},
                    "vo": experiment,
                }
    for place in PLACES:
        if place.format == CONDOR and place.access_point:
            yield {"when": {"probe": place.probe}, "vo": "osg"}
    yield {"when": {"probe": "condor:*"}, "grid": "OSG"}


def _flow(value: object) -> str:
    """Write a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(part) for part in value) + "]"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    plain = set(text) <= _PLAIN and text.strip() == text and text[:1].isalpha()
    return text if plain or (text.startswith("/") and set(text) <= _PLAIN) else json.dumps(text)

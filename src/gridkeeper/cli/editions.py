"""`gridkeeper editions`: which reports were published."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gridkeeper.cli.output import Shape, complaints, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.editions.edition import EditionDamaged
from gridkeeper.editions.storing import numbers, read, registered

COLUMNS = (
    "edition",
    "report",
    "period",
    "made_at",
    "made_by",
    "load_seq",
    "corrections",
    "checksum",
    "state",
)


def editions(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, every fact.")] = False,
    home: HomeOption = None,
) -> None:
    """List the published reports, each held to its checksum. Exit code 1 where one is damaged.

    Example: gridkeeper editions
    """
    place = wired(home)
    engine = place.database_as_it_is()
    rows: list[dict[str, Any]] = []
    damaged = []
    for number in sorted({*numbers(place.home.editions), *registered(engine)}):
        try:
            stored = read(engine, place.home.editions, number)
        except EditionDamaged as error:
            damaged.append(str(error))
            rows.append(dict.fromkeys(COLUMNS) | {"edition": number, "state": "damaged"})
            continue
        one = stored.edition
        state = "whole" if stored.registered else "not in the register"
        facts = {
            "edition": number,
            "report": one.report,
            "made_by": one.made_by,
            "load_seq": one.load_seq,
            "state": state,
        }
        if as_json:
            facts |= {
                "title": one.title, "period": {"first": one.period.first, "until": one.period.until}, "source": one.source,
                "as_of": one.as_of, "made_at": one.made_at, "program": one.program, "formats": one.formats, "plots": one.plots,
                "versions": one.versions, "registry_revision": one.registry_revision,
                "corrections_revision": one.corrections_revision, "corrections": one.corrections, "checksum": stored.checksum,
            }  # fmt: skip
        else:
            facts |= {
                "period": one.period.name, "made_at": f"{one.made_at:%Y-%m-%d %H:%M}", "corrections": len(one.corrections),
                "checksum": stored.checksum[:12],
            }  # fmt: skip
        rows.append(facts)
    if rows or as_json:
        print_rows(rows, COLUMNS, Shape.JSON if as_json else Shape.TABLE)
    else:
        complaints.print("nothing was published yet; gridkeeper publish production does", markup=False)
    for sentence in damaged:
        complaints.print(sentence, style="red", markup=False, soft_wrap=True)
    if damaged:
        raise typer.Exit(1)

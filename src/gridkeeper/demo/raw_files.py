"""Writes the raw files of one probe, week by week, and says what each file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.demo import classad_text, gratia_text, sacct_text
from gridkeeper.demo.deliveries import FILE_NAMES, Delivery, deliveries, mixed_in
from gridkeeper.demo.places import CONDOR, SACCT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.places import Place
    from gridkeeper.demo.plan import Cell


def write_files(
    directory: Path, place: Place, cells: Sequence[Cell], jobs: Jobs, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Write all files of one probe to directory/<resource>/.

    Returns: an entry of the manifest per file; `path` is relative to the folder above `directory`.
    """
    folder = directory / place.name
    entries = []
    for delivery in deliveries(place, cells, jobs, rng):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE_NAMES[place.format].format(delivery.name)
        texts, handshakes = _texts(place, cells, jobs, delivery, rng)
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            stream.writelines(texts)
        entries.append(
            {
                "path": f"{directory.name}/{place.name}/{path.name}",
                "format": place.format,
                "resource": place.name if place.format == CONDOR else None,
                "probe": place.probe,
                "written_s": delivery.until,
                "records": len(delivery.records),
                "repeated": delivery.repeated,
                "late": delivery.late,
                "broken": len(delivery.broken),
                "not_ended": len(delivery.running),
                "never_ran": len(delivery.never_ran),
                "handshakes": handshakes,
                "core_s": int((jobs.wall * jobs.cores)[delivery.records].sum()),
            }
        )
    return entries


def _texts(
    place: Place, cells: Sequence[Cell], jobs: Jobs, delivery: Delivery, rng: np.random.Generator
) -> tuple[list[str], int]:
    """The whole text of a file in pieces, and the number of handshakes in it."""
    done, broken, never = (
        jobs.take(rows) for rows in (delivery.records, delivery.broken, delivery.never_ran)
    )
    if place.format == SACCT:
        running = sacct_text.running_lines(place, cells, jobs.take(delivery.running), delivery.until)
        never_ran = sacct_text.never_ran_lines(place, cells, never)
        lines = mixed_in(
            sacct_text.lines(place, cells, done),
            never_ran + sacct_text.broken_lines(place, cells, broken),
            rng,
        )
        return [sacct_text.HEADER, *lines, *running], 0
    if place.format == CONDOR:
        more = classad_text.never_ran_ads(place, cells, never) + classad_text.broken_ads(place, cells, broken)
        return classad_text.with_banners(mixed_in(classad_text.ads(place, cells, done), more, rng)), 0
    spoilt, cut_off = gratia_text.broken_records(place, cells, broken)
    records = mixed_in(gratia_text.records(place, cells, done), spoilt, rng)
    members, handshakes = gratia_text.with_handshakes(place, records, delivery.until)
    return [gratia_text.HEAD, *members, cut_off or gratia_text.TAIL], handshakes

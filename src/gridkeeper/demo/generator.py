"""Makes the sample federation: plans it, writes the raw files probe by probe, and keeps the ledger beside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gridkeeper.demo.jobs import jobs_of
from gridkeeper.demo.ledger import Count, Ledger
from gridkeeper.demo.places import BY_NAME, WITH_GPUS
from gridkeeper.demo.plan import by_source, cells
from gridkeeper.demo.raw_files import write_files
from gridkeeper.demo.registry_text import federation_text, figures, readme_text
from gridkeeper.demo.second_books import SECOND_BOOKS, SecondBooks
from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALLEST_SCALE, LARGEST_SCALE = 0.0005, 0.1
_GPU_VO = "hcc"


def generate(
    directory: Path,
    scale: float = 0.01,
    seed: int = 2017,
    progress: Callable[[str, float], None] | None = None,
) -> Ledger:
    """Write the sample federation to `directory` (made where it is missing) and return its ledger.

    Takes:   scale, the part of the full federation's hours and jobs; seed; `progress`, called with what is being
             made and the part done (0 to 1). The same scale and seed give the same bytes.
    Writes:  raw/<resource>/* and raw/manifest.json, federation.yaml, figures.json, the books of a second accounting,
             ledger.json, README.txt; files of these names are replaced. One probe's jobs are in memory at a time.
    Raises:  UserMistake (permanent) for a scale out of range, a negative seed, or a folder that has raw files.
    """
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise UserMistake(
            f"the scale {scale:g} lies outside {SMALLEST_SCALE:g} to {LARGEST_SCALE:g}; name one within"
        )
    if seed < 0:
        raise UserMistake(f"the seed {seed} is negative; name a whole number from 0 on")
    raw = directory / "raw"
    if raw.exists() and any(raw.iterdir()):
        raise UserMistake(f"{raw} has files already; remove it or name another folder")
    raw.mkdir(parents=True, exist_ok=True)
    manifest: list[dict[str, Any]] = []
    count, second = Count(scale, seed), SecondBooks()
    planned = {name: found for name, found in by_source(cells(scale)).items() if found}
    total = sum(cell.jobs for found in planned.values() for cell in found)
    done = 0
    for number, (name, found) in enumerate(planned.items()):
        if progress:
            progress(name, done / total)
        place = BY_NAME[name]
        rng = np.random.default_rng([seed, number])
        jobs = jobs_of(place, found, rng, _GPU_VO if name == WITH_GPUS else None)
        count.add(found, jobs)
        second.add(found, jobs)
        manifest += write_files(raw, place, found, jobs, rng)
        done += sum(cell.jobs for cell in found)
    ledger = count.ledger()
    _write(raw / "manifest.json", "[\n" + ",\n".join(json.dumps(entry) for entry in manifest) + "\n]\n")
    _write(directory / "federation.yaml", federation_text())
    _write(directory / "figures.json", json.dumps(figures(scale), indent=1) + "\n")
    _write(directory / SECOND_BOOKS, second.text())
    _write(directory / "README.txt", readme_text(scale, seed))
    ledger.write(directory / "ledger.json")
    if progress:
        progress("ledger", 1.0)
    return ledger


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")

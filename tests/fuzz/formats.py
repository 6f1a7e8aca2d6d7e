"""`make fuzz` (or `python -m tests.fuzz.formats FORMAT [libFuzzer options]`) looks for input that makes a format raise.

Begins with the format's sample cases. A finding is written to the present folder as `crash-...`; make a case of it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gridkeeper.formats", "gridkeeper.records"]):
    from gridkeeper.formats.registry import format_named, formats

    formats()  # imports every format while imports are instrumented

from tests.formats.cases import CASES, parse

DEFAULT_SECONDS = 60


def main() -> None:
    """Fuzz one format."""
    name, *options = sys.argv[1:] or ["sacct"]
    plugin = format_named(name)

    def one_input(data: bytes) -> None:
        for piece in parse(plugin, data):
            for table in piece.tables.values():
                table.validate()

    seeds = Path(tempfile.mkdtemp(prefix="gridkeeper-fuzz-"))
    for path in (CASES / name).glob("*/input.*"):
        shutil.copy(path, seeds / path.parent.name)
    limits = options or [f"-max_total_time={DEFAULT_SECONDS}", "-max_len=20000", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, str(seeds)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

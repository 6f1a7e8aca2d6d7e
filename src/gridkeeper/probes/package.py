"""Makes `gridkeeper-probe.pyz`: `python -m gridkeeper.probes.package OUT`. The same source gives the same bytes."""

from __future__ import annotations

import stat
import sys
import zipfile
from pathlib import Path

from gridkeeper import __version__

INTERPRETER = b"#!/usr/bin/env python3\n"
HERE = Path(__file__).parent
LEFT_OUT = ("package.py",)
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("UNKNOWN - gridkeeper-probe needs Python 3.9 or newer, this is " + sys.version.split()[0])

from gridkeeper.probes.cli import main

raise SystemExit(main())
"""


def build(out: Path) -> Path:
    """Write the archive. Returns: its path. Raises: OSError."""
    members = {
        "__main__.py": _MAIN,
        "gridkeeper/__init__.py": f'"""Gridkeeper\'s probe alone."""\n\n__version__ = "{__version__}"\n',
    }
    for path in sorted(HERE.rglob("*")):
        wanted = path.suffix in (".py", ".ini", ".service", ".timer") and path.name not in LEFT_OUT
        if path.is_file() and wanted:
            members[f"gridkeeper/probes/{path.relative_to(HERE).as_posix()}"] = path.read_text(
                encoding="utf-8"
            )
    with out.open("wb") as stream:
        stream.write(INTERPRETER)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in sorted(members.items()):
                entry = zipfile.ZipInfo(name, _NO_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, text)
    out.chmod(out.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return out


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("write: python -m gridkeeper.probes.package gridkeeper-probe.pyz")
    print(build(Path(sys.argv[1])))

"""One file, the standard library, Python 3.9."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gridkeeper.probes import package

if TYPE_CHECKING:
    from tests.probes.fake_collector import FakeCollector
    from tests.probes.fake_site import Site

SOURCE = Path(package.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


def pythons() -> list[str]:
    """This Python, and older ones that this machine has and that run."""
    found = [sys.executable]
    for minor in (9, 10):
        homes = Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")
        there = [*map(str, homes), *filter(None, [shutil.which(f"python3.{minor}")])]
        found += [python for python in there if runs(python)][:1]
    return found


def runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.build(tmp_path_factory.mktemp("pyz") / "gridkeeper-probe.pyz")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_probe_imports_the_standard_library_and_itself_and_is_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            ours = name == "gridkeeper" or name.startswith("gridkeeper.probes")
            assert ours or name.split(".")[0] in sys.stdlib_module_names, name


@pytest.mark.parametrize("python", pythons())
def test_the_archive_runs_alone(python: str, archive: Path, site: Site, collector: FakeCollector) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-S", "-I", "-W", "error", str(archive), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")

    assert run("--version").stdout == "gridkeeper-probe 0.1.0\n"
    config = str(site.write_config())
    done = run("run", "--once", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(collector.heartbeats) == 1
    examined = run("doctor", "--config", config)
    assert "takes this token for Utah Slurm" in examined.stdout, examined.stderr
    assert run("sample-config", "pbs").stdout.startswith("# gridkeeper-probe for PBS")
    assert "examples:" in run("--help").stdout
    assert run("run").returncode == 3


@pytest.mark.parametrize("python", pythons()[1:])
@pytest.mark.parametrize("kind", ["htcondor", "pbs", "file"])
def test_every_kind_runs_with_an_old_python(
    python: str, kind: str, archive: Path, site: Site, collector: FakeCollector
) -> None:
    site.sections["probe"]["kind"] = kind
    del site.sections["slurm"]
    (site.folder / "20261123").write_text("x;E;1.server;user=alice end=1\n")
    (site.folder / "history.1.0").write_text('ClusterId = 1\nOwner = "alice"\n')
    (site.folder / "key").write_text("0123456789abcdef")
    site.set("redaction", enabled="yes", key_file=site.folder / "key")
    own = {
        "htcondor": {"per_job_history_dir": site.folder, "after_shipping": "delete", "queue": "none"},
        "pbs": {"accounting_dir": site.folder, "queue": "none"},
        "file": {"paths": site.folder / "20261123", "format": "pbs"},
    }
    site.set(kind, **own[kind])
    command = [python, "-S", "-I", str(archive), "run", "--once", "--config", str(site.write_config())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    (delivery,) = collector.deliveries
    assert "hashed-" in delivery.text
    assert "alice" not in delivery.text


def test_the_same_source_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = package.build(tmp_path / "again.pyz")
    assert again.read_bytes() == archive.read_bytes()
    assert os.access(archive, os.X_OK)
    assert archive.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_the_archive_holds_units_and_samples_and_not_its_own_maker(archive: Path) -> None:
    names = set(zipfile.ZipFile(archive).namelist())
    assert "gridkeeper/probes/systemd/gridkeeper-probe@.service" in names
    assert "gridkeeper/probes/examples/slurm.ini" in names
    assert "gridkeeper/probes/package.py" not in names
    assert archive.stat().st_size < 100_000


def test_the_units_run_the_archive_they_came_from(archive: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-I", str(archive), "systemd-units", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    service = (tmp_path / "gridkeeper-probe@.service").read_text()
    assert (
        f'ExecStart="{sys.executable}" "{archive}" run --once --config /etc/gridkeeper-probe/%i.ini\n'
        in service
    )
    assert "SuccessExitStatus=1\n" in service
    assert "OnUnitInactiveSec=5min" in (tmp_path / "gridkeeper-probe@.timer").read_text()


def test_a_python_that_is_too_old_hears_it_in_one_line(archive: Path) -> None:
    main = zipfile.ZipFile(archive).read("__main__.py").decode()
    assert "gridkeeper-probe needs Python 3.9 or newer" in main
    ast.parse(main, feature_version=(3, 0))

"""How much a collector takes in: bundles of Gratia probes and raw batches, from few and many connections, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from benchmarks import material
from benchmarks.measuring import GRIDKEEPER, Row, held_bytes
from gridkeeper.config import Home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUNDLE = 100
CONNECTIONS = (1, 10, 100)
GRATIA_AIM, NATIVE_AIM = 5_000, 50_000
GRATIA_DOOR, NATIVE_DOOR = "/gratia-servlets/rmi", "/api/v1/batches?format=sacct&resource=alpha"


def bundles(folder: Path, records: int, first: int) -> None:
    """Posts of BUNDLE records each, as a Gratia probe sends them."""
    folder.mkdir(parents=True)
    text = material.gratia_file(folder.parent / "records.xml", records, first).read_text(encoding="utf-8")
    head, _, rest = text.partition("<JobUsageRecord")
    members = [
        "<JobUsageRecord" + part for part in rest.removesuffix("</RecordEnvelope>\n").split("<JobUsageRecord")
    ]
    for number in range(0, len(members), BUNDLE):
        body = urlencode(
            {
                "command": "multiupdate", "arg1": head + "".join(members[number : number + BUNDLE]) + "</RecordEnvelope>",
                "from": "condor:ce.example.org", "xmlfiles": 0, "tarfiles": 0, "maxpendingfiles": 100_000, "backlog": 0, "bundlesize": BUNDLE,
            }
        )  # fmt: skip
        (folder / f"{number:09d}").write_text(body, encoding="ascii")


def batches(folder: Path, lines: int, first: int, each: int = 10_000) -> None:
    """Batches of raw sacct text."""
    folder.mkdir(parents=True)
    text = material.sacct_file(folder.parent / "sacct.txt", lines, first).read_bytes()
    head, *rest = text.splitlines(keepends=True)
    for number in range(0, len(rest), each):
        (folder / f"{number:09d}").write_bytes(head + b"".join(rest[number : number + each]))


@contextmanager
def collector(home: Path, commit_seconds: int = 2) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A real collector over a home, a new one where there is none; its process and port."""
    if not home.exists():
        Home(home).create()
    (home / "gridkeeper.toml").write_text("[intake]\nrequests_per_minute = 100000000\n", encoding="utf-8")
    process = subprocess.Popen(
        [str(GRIDKEEPER), "--home", str(home), "serve", "--port", "0", "--trust-address", "127.0.0.1/32", "--commit-seconds", str(commit_seconds)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    port = 0
    while not port:
        said = json.loads(process.stderr.readline())
        port = said.get("port", 0)
    log = (home.parent / f"{home.name}.log").open("w")
    copy = subprocess.Popen(["cat"], stdin=process.stderr, stdout=log)
    while not _ready(port):
        time.sleep(0.1)
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait()
        copy.wait()
        log.close()


def _ready(port: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).status == 200)
    except OSError:
        return False


def _metric(port: int, name: str) -> int:
    """What the collector's metrics say of a name, all labels added up."""
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    told = [line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#")]
    return int(sum(float(value) for key, value in told if key.partition("{")[0] == name))


def waiting(port: int) -> int:
    """How many batches wait in the inbox."""
    return _metric(port, "gridkeeper_inbox_batches")


def must_be_in_the_books(port: int, records: int) -> None:
    """That so many records are new in the books: a pace with repeated or refused ones among them would be another's."""
    loaded = _metric(port, "gridkeeper_records_loaded_total")
    if loaded != records:
        raise RuntimeError(f"{records:,} records were sent, and {loaded:,} are new in the books")


def sending(folder: Path, port: int, path: str, good: str, connections: int) -> list[str]:
    """The command that sends bodies from a process of its own."""
    return [
        sys.executable, "-m", "benchmarks.senders", str(folder), "--port", str(port), "--path", path, "--good", good,
        "--connections", str(connections),
    ]  # fmt: skip


def _sent(folder: Path, port: int, path: str, good: str, connections: int) -> dict[str, float]:
    command = sending(folder, port, path, good, connections)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def intake(folder: Path, quick: bool) -> list[Row]:
    gratia, native = (2_000, 20_000) if quick else (60_000, 1_000_000)
    rows: list[Row] = []
    kinds = (
        ("Gratia bundles of 100", gratia, bundles, GRATIA_DOOR, "OK", GRATIA_AIM),
        ("native batches of 10,000 lines", native, batches, NATIVE_DOOR, "batch", NATIVE_AIM),
    )
    with collector(folder / "home") as (process, port):
        first = sent_in_all = 0
        for name, records, make, path, good, aim in kinds:
            for connections in CONNECTIONS:
                bodies = folder / f"{first}" / "bodies"
                bodies.parent.mkdir()
                make(bodies, records, first)
                first += records
                began = time.monotonic()
                sent = _sent(bodies, port, path, good, connections)
                while waiting(port):
                    time.sleep(0.1)
                seconds = time.monotonic() - began
                sent_in_all += records
                must_be_in_the_books(port, sent_in_all)
                rate = records / seconds
                held = held_bytes(process.pid) / 1024**2
                rows.append(
                    Row(
                        f"(g) {name}, {connections} connections", f"{rate:,.0f} records/s in the books",
                        f"taken in {records / sent['seconds']:,.0f}/s, p50 {sent['p50_ms']:.0f} ms, p99 {sent['p99_ms']:.0f} ms",
                        rate / aim, f"≥ {aim:,}/s", rate >= aim, f"{held:,.0f} MiB over all processes",
                    )
                )  # fmt: skip
    return rows

"""Runs the batch system's commands: no shell, a time limit, UTC, and output as a stream."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from gridkeeper.probes.contract import RECORD_LIMIT_BYTES
from gridkeeper.probes.errors import SourceFailed, SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# These change what the commands print, or do not concern them.
_LEFT_OUT = ("SLURM_TIME_FORMAT", "SLURM_BITSTR_LEN", "SLURM_CLUSTERS")
_LEFT_OUT_BEGINNINGS = ("SACCT_", "SQUEUE_", "GRIDKEEPER_")
_COMPLAINT_BYTES = 400


@contextmanager
def output(
    command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None
) -> Iterator[IO[bytes]]:
    """Run a command; gives its standard output as a stream, which must be read to its end.

    Raises: SourceUnreadable (permanent) when the program is missing or may not be run; SourceFailed (retryable)
    when it ends with an error or takes longer than `timeout_s` seconds. A reader that leaves early stops it.
    """
    surroundings = dict(environment if environment is not None else os.environ)
    program = _find(command[0], surroundings)
    with tempfile.TemporaryFile() as complaints:
        process = _start([program, *command[1:]], _cleaned(surroundings), complaints)
        late = threading.Event()
        watch = threading.Timer(timeout_s, _stop, (process, late))
        watch.daemon = True
        watch.start()
        read_to_the_end = False
        try:
            assert process.stdout is not None
            yield process.stdout
            read_to_the_end = True
        finally:
            if not read_to_the_end:
                _kill(process)
            if process.stdout is not None:
                process.stdout.close()
            process.wait()
            watch.cancel()
        _judge(command[0], process.returncode, late.is_set(), timeout_s, complaints)


def lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream with their ends; one longer than RECORD_LIMIT_BYTES comes in pieces."""
    while line := stream.readline(RECORD_LIMIT_BYTES):
        yield line


def _find(program: str, surroundings: Mapping[str, str]) -> str:
    found = shutil.which(program, path=surroundings.get("PATH") or os.defpath)
    if found is None:
        raise SourceUnreadable(
            f"{program} was not found, or may not be run by this account; "
            "write its whole path into the configuration"
        )
    return found


def _cleaned(surroundings: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in surroundings.items()
        if name not in _LEFT_OUT and not name.startswith(_LEFT_OUT_BEGINNINGS)
    }
    return {**kept, "TZ": "UTC", "LC_ALL": "C"}


def _start(command: list[str], environment: dict[str, str], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
            start_new_session=True,  # so that what a wrapper script has started can be stopped with it
        )
    except OSError as error:
        raise SourceUnreadable(f"{command[0]} could not be run: {error.strerror}") from error


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _judge(program: str, code: int, late: bool, timeout_s: float, complaints: IO[bytes]) -> None:
    if late:
        raise SourceFailed(f"{program} did not finish within {timeout_s:g} s (setting timeout_s)")
    if code == 0:
        return
    complaints.seek(0)
    said = complaints.read(_COMPLAINT_BYTES).decode("utf-8", "replace").split()
    how = f"ended with exit code {code}" if code > 0 else f"was stopped by signal {-code}"
    raise SourceFailed(f"{program} {how}: {' '.join(said) or 'it said nothing'}")

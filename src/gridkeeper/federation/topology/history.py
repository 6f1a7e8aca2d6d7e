"""Since when a resource is called and placed as it is, and what was before: from the git history of the registry.

A change counts from the day (UTC) on which it was committed to the branch. Of several changes on one day the last one counts.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from gridkeeper.errors import UserMistake
from gridkeeper.federation.topology.documents import read_document
from gridkeeper.federation.topology.places import read_group

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.federation.topology.models import Resource

_GIT = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_LOG = ("log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--no-renames", "--no-ext-diff", "--name-status", "-z", "--format=%x01%H %ct")  # fmt: skip
MOST_BLOB_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Past:
    """What the registry said of a resource on [first, until).

    first: None: since before the history begins. until: None: it says so still. commit: the one that brought it.
    """

    first: date | None
    until: date | None
    commit: str
    site: str
    facility: str
    group: str
    id: int | None
    hosts: tuple[str, ...]
    owners: dict[str, float]
    accounting_name: str | None
    apel_normal_factor: float | None
    active: bool

    @property
    def facts(self) -> tuple[Any, ...]:
        """What it says, without when."""
        owners = tuple(sorted(self.owners.items()))
        return (self.site, self.facility, self.group, self.id, self.hosts, owners, self.accounting_name, self.apel_normal_factor, self.active)  # fmt: skip


@dataclass(frozen=True)
class Career:
    """All that was said of one name, earliest first.

    formerly: the name that the same resource had before: one that vanished with the same change, and had its id or its FQDN.
    """

    name: str
    formerly: str | None
    periods: tuple[Past, ...]


@dataclass(frozen=True)
class History:
    """The careers of all names that there ever were, by name. unread: versions of files that were no YAML, as `commit file`."""

    commits: int
    careers: tuple[Career, ...]
    unread: tuple[str, ...]


def read_history(repository: Path) -> History:
    """Read the history of the branch that is checked out.

    Raises: UserMistake (permanent) where there is no git repository, or git is not there.
    """
    commits = list(_commits(repository))
    careers = _Careers()
    with _Blobs(repository) as blobs:
        for number, (commit, day, changes) in enumerate(commits):
            read = {
                path: {} if gone else careers.read(path, commit, blobs.content(f"{commit}:{path}"))
                for path, gone in changes
            }
            careers.change(commit, None if number == 0 else day, read)
    return History(len(commits), careers.told(), tuple(careers.unread))


def _commits(repository: Path) -> Iterator[tuple[str, date, list[tuple[str, bool]]]]:
    """Each commit with its day and the resource groups' files it changed (and whether it removed them), earliest first."""
    try:
        done = subprocess.run(
            [*_GIT, "-C", str(repository), *_LOG, "--", "topology"], capture_output=True, check=False, env=_environment()
        )  # fmt: skip
    except OSError as error:
        raise UserMistake(f"git cannot be run ({error.strerror}); install it, or let PATH name it") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise UserMistake(
            f"{repository} has no history that git can read: {said}; name a checkout with --repo"
        )
    commit, day, changes = "", date.min, list[tuple[str, bool]]()
    words = iter(done.stdout.decode(errors="surrogateescape").split("\0"))
    for word in words:
        text = word.strip("\n")
        if text.startswith("\x01"):
            if commit:
                yield commit, day, changes
            commit, seconds = text[1:].split()
            day, changes = datetime.fromtimestamp(int(seconds), UTC).date(), []
        elif text:
            path = next(words)
            if _is_group(path):
                changes.append((path, text == "D"))
    if commit:
        yield commit, day, changes


def _environment() -> dict[str, str]:
    return {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _is_group(path: str) -> bool:
    parts = path.split("/")
    name = parts[-1]
    return (
        len(parts) == 4
        and name.endswith(".yaml")
        and name != "SITE.yaml"
        and not name.endswith("_downtime.yaml")
    )


class _Blobs:
    """Reads versions of files through one git process."""

    def __init__(self, repository: Path) -> None:
        self._process = subprocess.Popen(
            [*_GIT, "-C", str(repository), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
        )  # fmt: skip

    def __enter__(self) -> _Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def content(self, name: str) -> bytes | None:
        """A version of a file; None where it is not there, or larger than a bound."""
        if "\n" in name:  # would be two questions
            return None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(name.encode(errors="surrogateescape") + b"\n")
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) < 3 or head[-2] != b"blob":
            return None
        size = int(head[-1])
        data = self._process.stdout.read(size + 1)[:size]
        return data if size <= MOST_BLOB_BYTES else None


class _Careers:
    """Follows names from commit to commit."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, Past]] = {}
        self._where: dict[str, list[str]] = {}  # name → the files that have it
        self._open: dict[str, Past] = {}
        self._closed: dict[str, list[Past]] = {}
        self._formerly: dict[str, str] = {}
        self.unread: list[str] = []

    def read(self, path: str, commit: str, data: bytes | None) -> dict[str, Past]:
        """What a version of a file says of its resources; of one that is no YAML, what the version before said."""
        faults: list[Fault] = []
        document = None if data is None else read_document(data, path)[0]
        if document is None:
            self.unread.append(f"{commit[:12]} {path}")
            return self._files.get(path, {})
        _, facility, site, name = path.split("/")
        group = read_group(document, path, (facility, site, name.removesuffix(".yaml")), faults)
        return {one.name: _past(one, commit) for one in group.resources} if group else {}

    def change(self, commit: str, day: date | None, read: dict[str, dict[str, Past]]) -> None:
        """Take a commit in. day: None for the first one, of which nobody knows since when it was so."""
        before: dict[str, Past] = {}
        touched: dict[str, None] = {}
        for path, resources in read.items():
            for name in (*self._files.get(path, {}), *resources):
                touched[name] = None
                if name in self._open:
                    before[name] = self._open[name]
            for name in self._files.get(path, {}):
                self._where[name].remove(path)
            for name in resources:
                self._where.setdefault(name, []).append(path)
            self._files[path] = resources
        for name in touched:
            paths = self._where.get(name)
            self._say(
                name, replace(self._files[paths[-1]][name], first=day, commit=commit) if paths else None, day
            )
        gone = {name: past for name, past in before.items() if name not in self._open}
        for name in touched:
            if name in self._open and name not in before and name not in self._formerly:
                self._follow(name, gone)

    def _say(self, name: str, now: Past | None, day: date | None) -> None:
        was = self._open.get(name)
        if was is not None and now is not None and was.facts == now.facts:
            return
        if was is not None:
            del self._open[name]
            if day is not None and was.first != day:
                self._closed.setdefault(name, []).append(replace(was, until=day))
            elif now is not None:
                now = replace(now, first=was.first)
        if now is not None:
            self._open[name] = now

    def _follow(self, name: str, gone: dict[str, Past]) -> None:
        new = self._open[name]
        same = [
            old
            for old, past in gone.items()
            if (past.id is not None and past.id == new.id) or (past.hosts and past.hosts[:1] == new.hosts[:1])
        ]
        if len(same) == 1:
            self._formerly[name] = same[0]

    def told(self) -> tuple[Career, ...]:
        """All careers, by name."""
        names = sorted({*self._open, *self._closed})
        return tuple(
            Career(name, self._formerly.get(name), (*self._closed.get(name, []), *([self._open[name]] if name in self._open else [])))
            for name in names
        )  # fmt: skip


def _past(one: Resource, commit: str) -> Past:
    return Past(
        first=None, until=None, commit=commit, site=one.site, facility=one.facility, group=one.group, id=one.id,
        hosts=tuple(host.lower() for host in one.hosts), owners=one.owners, accounting_name=one.accounting_name,
        apel_normal_factor=one.apel_normal_factor, active=one.active is not False and not one.disabled,
    )  # fmt: skip

"""Reads the configuration file into `Settings`, and says in one sentence what is wrong with it."""

from __future__ import annotations

import configparser
import ipaddress
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gridkeeper.probes.errors import BadSettings
from gridkeeper.probes.settings import SECTIONS, Settings

if TYPE_CHECKING:
    from pathlib import Path

# The formats of which the probe knows where people are named.
REDACTABLE = ("sacct", "condor-history", "condor-epoch", "pbs")


def load(path: Path) -> Settings:
    """Read a configuration file.

    Raises: BadSettings (permanent) naming file, section, setting and what to write instead.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BadSettings(
            f"{path} cannot be read: {error.strerror}; name the configuration with --config"
        ) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise BadSettings(
            f"{path} is no configuration file: {' '.join(str(error).split())}; "
            "`gridkeeper-probe sample-config` prints one"
        ) from error
    _refuse_unknown_sections(parser, path)
    kind = _section(parser, path, "probe").kind
    named = {"probe", "collector", "outbox", "redaction", kind}
    for section in sorted(set(parser.sections()) - named):
        raise BadSettings(f"{path}: [{section}] does not belong to a probe of kind {kind!r}; leave it out")
    read = {name: _section(parser, path, name) for name in SECTIONS if name in named}
    settings = Settings(**read)
    for complaint in (*_complaints(settings), *_source_complaints(settings)):
        raise BadSettings(f"{path}: {complaint}")
    return settings


def _refuse_unknown_sections(parser: configparser.ConfigParser, path: Path) -> None:
    for section in parser.sections():
        if section not in SECTIONS:
            known = ", ".join(f"[{name}]" for name in SECTIONS)
            raise BadSettings(f"{path}: there is no section [{section}]; there are {known}")
    if parser.defaults():
        raise BadSettings(f"{path}: there is no section [DEFAULT]; write each setting into its own section")


def _section(parser: configparser.ConfigParser, path: Path, section: str) -> Any:
    given = dict(parser.items(section)) if parser.has_section(section) else {}
    known = {entry.name: entry for entry in fields(SECTIONS[section])}
    for name in given:
        if name not in known:
            raise BadSettings(f"{path}: [{section}] has no setting {name}; there are {', '.join(known)}")
    read = {}
    for name, entry in known.items():
        if name not in given:
            if entry.default is MISSING:
                raise BadSettings(f"{path}: [{section}] {name} is missing; it must be given")
            continue
        try:
            read[name] = entry.metadata["read"](given[name])
        except ValueError as error:
            raise BadSettings(f"{path}: [{section}] {name} = {given[name]}: {error}") from error
    return SECTIONS[section](**read)


def _complaints(settings: Settings) -> list[str]:
    found = []
    address = urlsplit(settings.collector.url)
    if address.scheme == "http" and not (
        settings.collector.allow_plain_http or _is_loopback(address.hostname)
    ):
        found.append(
            "[collector] url: over http anybody on the way can read the token; write https, "
            "or allow_plain_http = yes if the way is safe"
        )
    if settings.outbox.critical_hours < settings.outbox.warn_hours:
        found.append("[outbox] critical_hours must not be less than warn_hours")
    if settings.redaction.enabled and not settings.redaction.key_file:
        found.append("[redaction] key_file is missing; without the site's own key, hashes can be guessed")
    if settings.redaction.enabled and format_of(settings) not in REDACTABLE:
        found.append(
            f"[redaction] is possible for {', '.join(REDACTABLE)}, not for {format_of(settings)}: "
            "where it names people is not known"
        )
    return found


def _source_complaints(settings: Settings) -> list[str]:
    found = []
    kind, condor, slurm = settings.probe.kind, settings.htcondor, settings.slurm
    if kind == "htcondor" and bool(condor.per_job_history_dir) == bool(condor.history_file):
        found.append("[htcondor] give one of per_job_history_dir and history_file")
    if kind == "htcondor" and (condor.after_shipping == "move") != bool(condor.move_to):
        found.append("[htcondor] after_shipping = move and move_to = FOLDER belong together")
    missing = [name for name in ("JobID", "Submit", "Start", "End", "State") if name not in slurm.fields]
    if kind == "slurm" and slurm.fields and missing:
        found.append(f"[slurm] fields lacks {', '.join(missing)}; without them a run cannot be told")
    if settings.file and not all(pattern.startswith("/") for pattern in settings.file.paths):
        found.append("[file] paths: write each pattern from / on")
    return found


def format_of(settings: Settings) -> str:
    """Say the format that this probe's text has."""
    named = {"pbs": settings.pbs, "file": settings.file}.get(settings.probe.kind)
    if named is not None:
        return str(named.format)
    return {"slurm": "sacct", "htcondor": "condor-history"}[settings.probe.kind]


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False

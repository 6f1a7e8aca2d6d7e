"""Notes when probes were heard, how far behind they said they were, and what they saw in their pools."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import writing
from gridkeeper.formats.gratia_tree import Refused, flat_fields
from gridkeeper.intake.tables import CONTACT_HOURS, CONTACTS, POOL_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from gridkeeper.intake.gratia_post import Post

_HANDSHAKE = re.compile(rb"<ProbeDetails[\s>].{0,65536}?</ProbeDetails>", re.DOTALL)
_VERSION = re.compile(rb"<(?:Service|Reporter|ReporterLibrary)[^>]*\bversion=[\"']([^\"']{1,64})", re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """Running or pending work of one account or VO at one moment."""

    state: str
    jobs: int
    cores: int
    account: str = ""
    vo: str = ""


@dataclass(frozen=True)
class Contact:
    """What a probe said of itself; None where it said nothing.

    kind: handshake, backlog (a Gratia post without a handshake) or heartbeat.
    """

    probe: str
    resource: str
    kind: str
    at: datetime
    facts: Mapping[str, object] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()


def contact_of(post: Post, moment: datetime, address: str) -> Contact | None:
    """What a Gratia probe's post says of the probe; None where it does not even name itself."""
    found = _HANDSHAKE.search(post.text)
    fields: Mapping[str, str] = {}
    version = None
    if found:
        try:
            fields = flat_fields(found[0])
        except Refused:
            fields = {}
        told = _VERSION.search(found[0])
        version = told[1].decode("utf-8", "replace") if told else None
    probe = fields.get("ProbeName") or post.probe
    if not probe:
        return None
    facts: dict[str, object] = {"address": address, "backlog_records": post.backlog_records}
    if version:
        facts["version"] = version
    return Contact(probe, fields.get("SiteName", ""), "handshake" if found else "backlog", moment, facts)


def note(engine: sa.Engine, contacts: Iterable[Contact]) -> None:
    """Note that probes were heard; what one does not say this time stays as it was. Raises: DatabaseUnavailable (retryable)."""
    with writing(engine) as connection:
        for contact in contacts:
            resource = contact.resource or _last_resource(connection, contact)
            _note_last_word(connection, contact, resource)
            _note_hour(connection, contact, resource)
            _insert_samples(connection, contact, resource)


def _last_resource(connection: sa.Connection, contact: Contact) -> str:
    """A post without a handshake names no site: it is that of its probe's last word."""
    if contact.kind != "backlog":
        return ""
    statement = sa.select(CONTACTS.c.resource).where(CONTACTS.c.probe == contact.probe)
    return (
        connection.execute(statement.order_by(CONTACTS.c.last_at.desc()).limit(1)).scalar_one_or_none() or ""
    )


def _note_last_word(connection: sa.Connection, contact: Contact, resource: str) -> None:
    said = {name: value for name, value in contact.facts.items() if value is not None or name == "problem"}
    said |= {"last_at": contact.at, "kind": contact.kind}
    here = sa.and_(CONTACTS.c.probe == contact.probe, CONTACTS.c.resource == resource)
    if not connection.execute(sa.update(CONTACTS).where(here).values(said)).rowcount:
        first = {"probe": contact.probe, "resource": resource, "first_at": contact.at}
        connection.execute(sa.insert(CONTACTS), said | first)


def _note_hour(connection: sa.Connection, contact: Contact, resource: str) -> None:
    hours = CONTACT_HOURS.c
    hour = contact.at.replace(minute=0, second=0, microsecond=0)
    here = sa.and_(hours.probe == contact.probe, hours.resource == resource, hours.hour == hour)
    known = connection.execute(sa.select(CONTACT_HOURS).where(here)).one_or_none()
    backlog = contact.facts.get("backlog_records")
    if known is None:
        row = {
            "probe": contact.probe,
            "resource": resource,
            "hour": hour,
            "contacts": 1,
            "most_backlog_records": backlog,
        }
        connection.execute(sa.insert(CONTACT_HOURS), row)
        return
    most = [value for value in (known.most_backlog_records, backlog) if isinstance(value, int)]
    changed = {"contacts": hours.contacts + 1, "most_backlog_records": max(most, default=None)}
    connection.execute(sa.update(CONTACT_HOURS).where(here).values(changed))


def _insert_samples(connection: sa.Connection, contact: Contact, resource: str) -> None:
    here = sa.and_(
        POOL_SAMPLES.c.probe == contact.probe,
        POOL_SAMPLES.c.resource == resource,
        POOL_SAMPLES.c.at == contact.at,
    )
    if not contact.samples or connection.execute(sa.select(POOL_SAMPLES.c.at).where(here).limit(1)).first():
        return
    rows: dict[tuple[str, str, str], list[int]] = {}
    for sample in contact.samples:
        sums = rows.setdefault((sample.account, sample.vo, sample.state), [0, 0])
        sums[0] += sample.jobs
        sums[1] += sample.cores
    connection.execute(
        sa.insert(POOL_SAMPLES),
        [
            {
                "probe": contact.probe, "resource": resource, "at": contact.at, "account": account, "vo": vo, "state": state,
                "jobs": jobs, "cores": cores,
            }
            for (account, vo, state), (jobs, cores) in rows.items()
        ],
    )  # fmt: skip

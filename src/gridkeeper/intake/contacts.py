"""Notes when probes were heard, how far behind they said they were, and what they saw in their pools."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from gridkeeper.database import insert, writing
from gridkeeper.formats.gratia_tree import Refused, flat_fields
from gridkeeper.intake.tables import CONTACT_HOURS, CONTACTS, POOL_SAMPLES
from gridkeeper.records.checks import may_speak

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from gridkeeper.intake.gratia_post import Post
    from gridkeeper.records.draft import Delivery

MOST_HANDSHAKE_BYTES = 65_536
BACKLOGS = ("backlog_batches", "backlog_records", "backlog_jobs")
# What a heartbeat does not say is not so: these hold for its moment only, and those of Gratia's are no longer.
_OF_A_HEARTBEAT = ("problem", "backlog_bytes", "oldest_waiting_at", *BACKLOGS)
_OF_OTHERS = {"backlog_batches": None, "backlog_bytes": None, "oldest_waiting_at": None}
log = structlog.get_logger("contacts")
_HANDSHAKE_TAG = re.compile(rb"<(/?)(?:[A-Za-z0-9_]+:)?ProbeDetails(?:\s[^<>]*)?>")
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

    kind:  handshake, backlog (a Gratia post without a handshake) or heartbeat.
    facts: columns of `probe_contacts`.
    may:   what its sender may speak for, where that was not looked at already.
    """

    probe: str
    resource: str
    kind: str
    at: datetime
    facts: Mapping[str, object] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    may: Delivery | None = None


def contacts_of(post: Post, moment: datetime, address: str, may: Delivery) -> list[Contact]:
    """What a Gratia post says of probes: every handshake in it that its sender may give, and the figures beside them.

    may:     what its sender may speak for; a handshake in another's name is left out (its format refuses and keeps it).
    Returns: one Contact a probe and resource; none where the post names nobody.
    """
    found: dict[tuple[str, str], Contact] = {}
    figures: dict[str, object] = {"backlog_records": post.backlog_records, "backlog_jobs": post.backlog_jobs}
    for text in _handshakes(post.text):
        try:
            fields = flat_fields(text)
        except Refused:
            continue
        probe = fields.get("ProbeName", "").strip() or post.probe
        resource = fields.get("SiteName", "").strip()
        if not probe or not may_speak(may, resource, probe):
            continue
        told = _VERSION.search(text)
        facts = {
            "address": address,
            "version": told[1].decode("utf-8", "replace") if told else None,
        }
        if post.probe in (None, probe):
            facts |= figures
        found[probe, resource] = Contact(probe, resource, "handshake", moment, facts, may=may)
    if post.probe and post.probe not in {probe for probe, _ in found}:
        facts = {"address": address} | figures
        found[post.probe, ""] = Contact(post.probe, "", "backlog", moment, facts, may=may)
    return list(found.values())


def _handshakes(text: bytes) -> Iterator[bytes]:
    """The handshakes in a text, each from its tag to the next end of one. One pass, whatever the text is made of."""
    if b"ProbeDetails" not in text:
        return
    begin = -1
    for tag in _HANDSHAKE_TAG.finditer(text):
        if not tag[1]:
            begin = tag.start()
        elif begin >= 0:
            if tag.end() - begin <= MOST_HANDSHAKE_BYTES:
                yield text[begin : tag.end()]
            begin = -1


def note(engine: sa.Engine, contacts: Iterable[Contact]) -> None:
    """Note that probes were heard; what one does not say this time stays as it was.

    A sender that is bound to resources is heard only as a probe of one of them: named in its handshake, or known from an
    earlier one. Else a site could be made to seem alive by another. Raises: DatabaseUnavailable (retryable).
    """
    # In an order that all loaders keep, so that no two of them wait for each other.
    in_order = sorted(contacts, key=lambda contact: (contact.probe, contact.at))
    with writing(engine) as connection:
        for contact in in_order:
            resource = contact.resource or _last_resource(connection, contact)
            if _is_its_own(contact, resource):
                _note_last_word(connection, contact, resource)
                _note_hour(connection, contact, resource)
                _insert_samples(connection, contact, resource)
            else:
                why = "its sender may not speak for it" if resource else "it names no resource"
                log.warning("a probe is not noted", probe=contact.probe, resource=resource, reason=why)


def _is_its_own(contact: Contact, resource: str) -> bool:
    may = contact.may
    if may is None:
        return True
    return may_speak(may, resource, contact.probe) and (bool(resource) or may.may_send_for is None)


def _last_resource(connection: sa.Connection, contact: Contact) -> str:
    """A post without a handshake names no site: it is that of its probe's last word."""
    if contact.kind != "backlog":
        return ""
    statement = sa.select(CONTACTS.c.resource).where(CONTACTS.c.probe == contact.probe)
    return (
        connection.execute(statement.order_by(CONTACTS.c.last_at.desc()).limit(1)).scalar_one_or_none() or ""
    )


def _note_last_word(connection: sa.Connection, contact: Contact, resource: str) -> None:
    said: dict[str, object] = {name: value for name, value in contact.facts.items() if value is not None}
    if contact.kind == "heartbeat":
        said = dict.fromkeys(_OF_A_HEARTBEAT) | said
    else:
        said |= _OF_OTHERS
    said |= {"last_at": contact.at, "kind": contact.kind}
    first = {"probe": contact.probe, "resource": resource, "first_at": contact.at}
    connection.execute(
        insert(connection, CONTACTS)
        .values(said | first)
        .on_conflict_do_update(index_elements=[CONTACTS.c.probe, CONTACTS.c.resource], set_=said)
    )


def _note_hour(connection: sa.Connection, contact: Contact, resource: str) -> None:
    hours = CONTACT_HOURS.c
    changed: dict[str, object] = {"contacts": hours.contacts + 1}
    for name in BACKLOGS:
        value, most = contact.facts.get(name), hours[f"most_{name}"]
        if isinstance(value, int):
            changed[most.name] = sa.case((most > value, most), else_=value)
    row = {
        "probe": contact.probe,
        "resource": resource,
        "hour": contact.at.replace(minute=0, second=0, microsecond=0),
        "contacts": 1,
    } | {f"most_{name}": contact.facts.get(name) for name in BACKLOGS}
    connection.execute(
        insert(connection, CONTACT_HOURS)
        .values(row)
        .on_conflict_do_update(index_elements=[hours.probe, hours.resource, hours.hour], set_=changed)
    )


def _insert_samples(connection: sa.Connection, contact: Contact, resource: str) -> None:
    if not contact.samples:
        return
    rows: dict[tuple[str, str, str], list[int]] = {}
    for sample in contact.samples:
        sums = rows.setdefault((sample.account, sample.vo, sample.state), [0, 0])
        sums[0] += sample.jobs
        sums[1] += sample.cores
    connection.execute(
        insert(connection, POOL_SAMPLES).on_conflict_do_nothing(),
        [
            {
                "probe": contact.probe, "resource": resource, "at": contact.at, "account": account, "vo": vo, "state": state,
                "jobs": jobs, "cores": cores,
            }
            for (account, vo, state), (jobs, cores) in rows.items()
        ],
    )  # fmt: skip

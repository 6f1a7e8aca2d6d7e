"""Composes the mail of a report: text, page with plots, files; stamped so that programs know it and none answers it."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from gridkeeper.schedules.letter import Picture, letter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

SENDER_NAME = "Gridkeeper"
# Some mail programs show no more than so much of a page; then the page itself is attached, too.
SHOWN_BYTES = 100_000
# What is larger is named with its place instead of attached: many servers refuse messages above 10 or 20 MiB.
MOST_ATTACHED_BYTES = 7 * 1024 * 1024


@dataclass(frozen=True)
class Printed:
    """A report as it was written: its words, its page, its plots, its files.

    text:     for the text part.
    page:     HTML, as in a browser.
    attached: (file name, bytes, the place where it lies), besides the page.
    """

    title: str
    federation: str
    text: str
    page: bytes
    page_name: str
    pictures: tuple[Picture, ...]
    attached: tuple[tuple[str, bytes, str], ...]


def message_id(sender: str, federation: str, schedule: str, due_at: datetime) -> str:
    """The same for the same run, however often it is composed: mail programs then show one message."""
    about = "\n".join((federation, schedule, due_at.isoformat()))
    mark = hashlib.sha256(about.encode()).hexdigest()[:16]
    return f"<{schedule}.{due_at:%Y%m%dT%H%M}.{mark}@{_domain(sender)}>"


def compose(
    printed: Printed,
    schedule: str,
    due_at: datetime,
    sender: str,
    recipients: Sequence[str],
    moment: datetime,
) -> bytes:
    """The whole message as it goes over the wire, in 7 bits.

    Raises: ValueError where an address would break out of its header; settings refuse such addresses before.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(SENDER_NAME, addr_spec=sender)
    mail["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    mail["Subject"] = _one_line(f"{printed.federation}: {printed.title}")
    mail["Date"] = format_datetime(moment)
    mail["Message-ID"] = message_id(sender, printed.federation, schedule, due_at)
    mail["List-Id"] = f"<{schedule}.reports.{_domain(sender)}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    addresses = [f"{picture.name}@{_domain(sender)}" for picture in printed.pictures]
    shown = letter(
        printed.page,
        [(f"cid:{address}", one) for address, one in zip(addresses, printed.pictures, strict=True)],
    )
    small, large = _sorted_by_size(printed, len(shown.encode()))
    mail.set_content(_notes(large) + printed.text, cte="quoted-printable")
    mail.add_alternative(shown, subtype="html", cte="quoted-printable")
    page: Any = mail.get_body(("html",))
    for address, picture in zip(addresses, printed.pictures, strict=True):
        name = f"{picture.name}.png"
        page.add_related(picture.png, "image", "png", cid=f"<{address}>", filename=name, disposition="inline")
    for name, data in small:
        kind, _, subkind = (mimetypes.guess_type(name)[0] or "application/octet-stream").partition("/")
        mail.add_attachment(data, kind, subkind, filename=name)
    return mail.as_bytes()


def _sorted_by_size(
    printed: Printed, shown_bytes: int
) -> tuple[list[tuple[str, bytes]], list[tuple[str, int, str]]]:
    """What is attached, and what is only named: its size and where it lies."""
    small, large, total = [], [], 0
    for name, data, place in printed.attached:
        if total + len(data) <= MOST_ATTACHED_BYTES:
            small.append((name, data))
            total += len(data)
        else:
            large.append((name, len(data), place))
    if shown_bytes > SHOWN_BYTES and total + len(printed.page) <= MOST_ATTACHED_BYTES:
        small.append((printed.page_name, printed.page))
    return small, large


def _notes(large: Sequence[tuple[str, int, str]]) -> str:
    return "".join(
        f"{name} ({size / 1e6:,.1f} MB) is too large to be attached; it lies at {place}\n\n"
        for name, size, place in large
    )


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2]

"""Opens claimed batches as the parcels of one load, and keeps what is said of them beside what becomes of their records."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gridkeeper.intake import contacts, quarantine, setting_aside, waiting
from gridkeeper.intake.bodies import bytes_stream, opener
from gridkeeper.intake.gratia_post import read_post, without_long_members
from gridkeeper.intake.loader import AUTO
from gridkeeper.intake.reading import Refused
from gridkeeper.intake.sources import Original, Parcel
from gridkeeper.lake.archive import packed
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from gridkeeper.intake.gratia_post import Post
    from gridkeeper.intake.waiting import Batch
    from gridkeeper.lake.lake import Lake
    from gridkeeper.settings import Intake

GRATIA_POST = "gratia-post"  # the format, in inbox and archive, of what a Gratia probe posts


@dataclass
class Beside:
    """What is told of a batch beside what became of its records.

    rules: refusals that no format saw; aside: that of the batch as a whole, if it cannot be loaded (wholly).
    """

    rules: Counter[str] = field(default_factory=Counter)
    aside: Reject | None = None


class Opening:
    """The batches of one load.

    name:   of the load, by which what it refused is told from what an earlier try refused.
    heard:  what their senders said of themselves.
    beside: of each batch, by its id.
    """

    def __init__(self, engine: sa.Engine, lake: Lake, limits: Intake, batches: Sequence[Batch]) -> None:
        self.batches, self.name = batches, uuid.uuid4().hex
        self.heard: list[contacts.Contact] = []
        self.beside: defaultdict[str, Beside] = defaultdict(Beside)
        self._engine, self._lake, self._limits = engine, lake, limits
        self._said: dict[str, str | None] = {}

    def parcels(self) -> list[Parcel]:
        """The texts of the batches, in their order; those of Gratia posts are taken out of them here.

        Raises: DatabaseUnavailable, LakeUnavailable (retryable).
        """
        return [self._parcel(batch) for batch in self.batches]

    def declared(self, batch: Batch) -> Delivery:
        """What is declared of a batch, once it was opened."""
        return declared(batch, self._said.get(batch.id, batch.probe))

    def keep(self, refused: Sequence[Refused], format_name: str) -> None:
        """Keep what was refused; what is refused of a batch as a whole, with the batch when it is set aside.

        Raises: DatabaseUnavailable (retryable).
        """
        for one in refused:
            if one.is_whole:
                self.beside[one.parcel.source.removeprefix("batch ")].aside = one.reject
        if texts := [one for one in refused if not one.is_whole]:
            quarantine.keep(self._engine, texts, format_name, self.name)

    def _parcel(self, batch: Batch) -> Parcel:
        source, sender, address = f"batch {batch.id}", batch.sender, batch.address
        if batch.format != GRATIA_POST:
            opened = opener(self._engine, batch, self._limits.plain_bytes)
            return Parcel(
                source, opened, batch.format or AUTO, self.declared(batch), sender=sender, address=address
            )
        body = waiting.body(self._engine, batch)
        post = read_post(body)
        heard = contacts.contacts_of(post, batch.received_at, batch.address, self.declared(batch))
        self.heard += heard
        self._said[batch.id] = post.probe or next((contact.probe for contact in heard), None)
        original = Original(batch.sha256, GRATIA_POST, packed(body), len(body))
        text = self._short_members(batch, post, original) if self._may_be_read(batch, post, body) else b""
        return Parcel(
            source,
            lambda: bytes_stream(text),
            "gratia-xml",
            self.declared(batch),
            original,
            sender,
            post.members,
            address,
        )

    def _short_members(self, batch: Batch, post: Post, original: Original) -> bytes:
        text, long = without_long_members(post.text, self._limits.member_bytes)
        for member in long:
            self._refuse(batch, "gratia-xml", too_long(member, self._limits.member_bytes))
        if long and not text.strip():  # then nothing is read from which the archive would get the post
            self._lake.archive([setting_aside.received(batch, original)])
        return text

    def _may_be_read(self, batch: Batch, post: Post, body: bytes) -> bool:
        if post.members > self._limits.members:
            why = (
                f"{post.members:,} records in one post, where intake.members allows {self._limits.members:,}"
            )
            self.beside[batch.id].aside = setting_aside.with_head(
                self._engine, batch, Rule.TOO_MANY_MEMBERS, why
            )
            return False
        promised = post.figures.get("bundlesize")
        if post.is_bundle and promised is not None and promised != post.members:
            why = (
                f"a bundle of {post.members:,} records that promised {promised:,}; those that are there count"
            )
            self._refuse(batch, GRATIA_POST, Reject.of(Rule.BUNDLE_SIZE, 1, why, body))
        return True

    def _refuse(self, batch: Batch, format_name: str, reject: Reject) -> None:
        """Keep a refusal that no format saw, of something in a post whose rest counts."""
        parcel = Parcel(f"batch {batch.id}", lambda: bytes_stream(b""), format_name, self.declared(batch))
        self.beside[batch.id].rules[reject.rule.value] += 1
        self.keep([Refused(0, parcel, reject, b"", batch.sha256)], format_name)


def declared(batch: Batch, said_by: str | None) -> Delivery:
    """What is declared of a batch. The name in a Gratia post is its sender's word: it takes no record's own away."""
    if batch.format == GRATIA_POST:
        return quarantine.bound(Delivery(batch.received_at, said_by=said_by), batch.binding)
    return quarantine.bound(Delivery(batch.received_at, batch.resource, batch.probe, batch.vo), batch.binding)


def too_long(member: bytes, most_bytes: int) -> Reject:
    """The refusal of a record in a Gratia post that is longer than `intake.member_bytes`."""
    why = f"a record of {len(member):,} bytes, where intake.member_bytes allows {most_bytes:,}"
    return Reject.of(Rule.RECORD_TOO_LONG, 1, why, member)

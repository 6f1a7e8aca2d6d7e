"""What is known of one probe, as far as a visitor may see it; and the answer to "did my records arrive?"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.near_names import nearest
from gridkeeper.intake import quarantine, receipts
from gridkeeper.intake.inbox import LOADED, SET_ASIDE, WAITING
from gridkeeper.monitoring.states import State
from gridkeeper.web.belonging import owned_by, speaks_for
from gridkeeper.web.silence import all_sources, as_seen_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gridkeeper.federation.model import Registry, Resource
    from gridkeeper.intake.quarantine import Group
    from gridkeeper.monitoring.states import SourceState
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

LAST_BATCHES = 20
_PRIVATE = ("problem", "address")


@dataclass(frozen=True)
class Probe:
    """One probe.

    name:      as it is spelled where it is known.
    sources:   what it does, one a resource and level. words: its last word, one a resource.
    resources: of which the registry says that it reports for them.
    batches:   the last ones; None where the visitor may not see them. refused: what of it is in the quarantine, likewise.
    """

    name: str
    sources: tuple[SourceState, ...]
    words: tuple[dict[str, Any], ...]
    resources: tuple[Resource, ...]
    batches: tuple[dict[str, Any], ...] | None
    refused: tuple[Group, ...] | None
    near: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.sources or self.words or self.resources or self.batches or self.refused)


def probe_of(services: Services, visitor: Visitor, name: str) -> Probe:
    """What is known of a probe. Blocks. Raises: DatabaseUnavailable, LakeUnavailable (retryable)."""
    registry, engine, name = services.registry(), services.engine, name.replace("\0", "")
    everything = as_seen_by(visitor, registry, all_sources(services)).sources
    sources = tuple(one for one in everything if one.probe and one.probe.lower() == name.lower())
    words = tuple(_shown(visitor, registry, word) for word in receipts.last_words(engine, name))
    spelled = next((one.probe for one in sources if one.probe), None) or next(
        (w["probe"] for w in words), name
    )
    hosts = {name.lower(), name.lower().rpartition(":")[2]}
    resources = tuple(one for one in registry.resources if hosts & {probe.lower() for probe in one.probes})
    batches, refused = None, None
    if visitor.may_act_as("site-contact"):
        owned = owned_by(visitor, registry)
        batches = tuple(receipts.batches(engine, receipts.Asked(probe=name, owned=owned), limit=LAST_BATCHES))
        refused = tuple(quarantine.groups(engine, quarantine.Choice(probe=spelled, state=None, owned=owned)))
    found = Probe(spelled, sources, words, resources, batches, refused)
    if found.is_known:
        return found
    known = {one.probe for one in everything if one.probe}
    return Probe(name, (), (), (), batches, refused, tuple(nearest(name, known)))


def _shown(visitor: Visitor, registry: Registry, word: dict[str, Any]) -> dict[str, Any]:
    said = word | {"resource": word["resource"] or None}
    if speaks_for(visitor, registry, said["resource"], word["probe"]):
        return said
    return said | dict.fromkeys(_PRIVATE)


def arrived(probe: Probe) -> str:
    """Whether its records arrived, in a sentence or two, the answer first."""
    if not probe.batches:
        return _of_sources(probe, None)
    first = _of_last_batch(probe.batches)
    return " ".join(filter(None, (first, _of_batches_before(probe.batches), _of_sources(probe, first))))


def _of_batches_before(batches: Sequence[dict[str, Any]]) -> str:
    """What is to be known of the batches before the last one; empty where they went well."""
    earlier = batches[1:]
    counts = {
        "wait": sum(one["state"] == WAITING for one in earlier),
        "were set aside": sum(one["state"] == SET_ASIDE for one in earlier),
        "had records that were refused": sum(
            one["state"] == LOADED and bool((one["result"] or {}).get("rejected")) for one in earlier
        ),
    }
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f"Of the {len(earlier):,} before it {', '.join(told)}." if told else ""


def _of_last_batch(batches: Sequence[dict[str, Any]]) -> str:
    last = batches[0]
    when, result = f"{last['received_at']:%Y-%m-%d %H:%M} UTC", last["result"] or {}
    if last["state"] == WAITING:
        return f"Not yet: the batch that came {when} waits for the loader."
    if last["state"] == SET_ASIDE:
        return f"No: the batch that came {when} was set aside as a whole: {result.get('problem', 'it could not be read')}."
    if last["state"] != LOADED:
        return f"No: the batch that came {when} was discarded."
    read, loaded, refused = (int(result.get(name, 0)) for name in ("read", "loaded", "rejected"))
    there = int(result.get("duplicates", 0))
    if refused:
        return f"Not all: of the {read:,} records that came last, {when}, {refused:,} were refused; {loaded:,} are new in the books."
    if not read:
        return f"Yes: its last batch came {when}, with no record in it."
    said = f"Yes: what came last, {when}, is in the books: {loaded:,} new of {read:,} {'record' if read == 1 else 'records'} read"
    return f"{said}, {there:,} were there already." if there else f"{said}."


def _of_sources(probe: Probe, before: str | None) -> str:
    days = [one.last_day for one in probe.sources if one.last_day]
    states = {one.state for one in probe.sources}
    newest = f"its newest record ended on {max(days)}" if days else "no record of it is in the books"
    if State.SILENT in states:
        since = min(
            (one.since for one in probe.sources if one.state is State.SILENT and one.since), default=None
        )
        said = f"{newest}, and it is silent{f' since {since:%Y-%m-%d}' if since else ''}"
        opening = "Not lately"
    elif State.LATE in states:
        waiting = next((one.backlog.sentence for one in probe.sources if one.backlog), "it is behind")
        opening, said = "Not all", f"{newest}, and {waiting}"
    elif days:
        opening, said = "Yes", newest
    elif probe.words:
        opening, said = (
            "Not yet",
            f"it was heard last {probe.words[0]['last_at']:%Y-%m-%d %H:%M} UTC, and {newest}",
        )
    else:
        opening, said = "No", f"nothing ever came from it, and {newest}"
    return f"{said[0].upper()}{said[1:]}." if before else f"{opening}: {said}."


BATCH_FIELDS = (
    "received_at", "finished_at", "state", "door", "format", "encoding", "resource", "probe", "vo", "sender", "address", "bytes", "sha256", "result",
)  # fmt: skip


def batch_said(found: Mapping[str, Any]) -> dict[str, Any]:
    """One batch as the API tells it to its contacts and operators."""
    return {"batch": found["id"]} | {name: found[name] for name in BATCH_FIELDS}

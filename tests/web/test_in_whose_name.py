"""Alice of Utah, Bob of Nebraska and Carol the operator: nobody is heard in another site's name, so no silence is masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.database import reading
from gridkeeper.intake import quarantine
from gridkeeper.intake.contacts import MOST_HANDSHAKE_BYTES
from gridkeeper.intake.gratia_post import sender_of
from gridkeeper.intake.tables import CONTACTS
from tests.collectors import LOCAL, Collector, collector
from tests.web.gratia_posts import envelope, handshake, post, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
RMI = "/gratia-servlets/rmi"
UTAHS, NEBRASKAS, UNLISTED = "condor:ce.example.org", "condor:neb.example.org", "condor:neb2.example.org"
FEDERATION = f"""\
resources:
  - {{name: Utah-Kingspeak, site: Utah, aliases: [utah_ce], probes: ["{UTAHS}"]}}
  - {{name: Nebraska, probes: ["{NEBRASKAS}"]}}
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"trust": {"addresses": [f"{LOCAL}/32"]}}, FEDERATION)
    yield made
    made.close()


def heard(gate: Collector) -> set[tuple[str, str]]:
    """The probes and resources of which a word was noted."""
    with reading(gate.services.engine) as connection:
        return {(row.probe, row.resource) for row in connection.execute(sa.select(CONTACTS))}


def refused(gate: Collector) -> list[str]:
    return [row.rule for row in quarantine.entries(gate.services.engine, quarantine.Choice())]


def of_nebraska(site: str = "Nebraska", probe: str = NEBRASKAS) -> str:
    return handshake(site).replace(UTAHS, probe)


@pytest.mark.parametrize(
    "stolen",
    [
        of_nebraska(),
        of_nebraska(site="Utah-Kingspeak"),
        of_nebraska(probe=UTAHS),
        of_nebraska(probe=UNLISTED),
        of_nebraska(probe=NEBRASKAS.upper(), site="Utah-Kingspeak"),
        of_nebraska().replace("ProbeDetails", "gratia:ProbeDetails"),
    ],
    ids=["both", "probe", "site", "site of an unlisted probe", "probe in capitals", "with a prefix"],
)
def test_alice_gives_nebraskas_handshake_and_nebraska_is_not_heard(gate: Collector, stolen: str) -> None:
    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    body = post("multiupdate", envelope(handshake(), stolen, record(1)))
    assert alice.post(RMI, content=body).content == b"OK", "a client would send anything else for ever"
    gate.load()
    assert heard(gate) == {(UTAHS, "Utah-Kingspeak")}
    assert refused(gate) == ["not_allowed"]
    assert gate.sums() == (1, 3600)


def test_what_alice_did_shows_nowhere_in_the_list_of_probes(gate: Collector) -> None:
    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    assert alice.post(RMI, content=post("multiupdate", envelope(handshake(), of_nebraska()))).content == b"OK"
    gate.load()
    home = str(gate.place.home.path)
    listed = CliRunner().invoke(app, ["--home", home, "probes", "--all"]).stdout
    assert "neb" not in listed.lower()
    assert UTAHS in listed
    assert refused(gate) == ["not_allowed"]


@pytest.mark.parametrize(
    "body",
    [
        f"from={NEBRASKAS}&command=update&arg1=xxx",
        f"command=update&from={NEBRASKAS}&arg1=xxx",
        f"command=update&arg1=xxx&from={NEBRASKAS}",
        f"command=update&arg1=xxx&from={UTAHS}&from={NEBRASKAS}",
        f"from={UTAHS}&command=update&arg1=xxx&from={NEBRASKAS}",
        f"from={NEBRASKAS}&x={'y' * 3000}&command=update&arg1=%3Cx%3E{'z' * 20_000}",
        f"command=update&arg1=xxx&from={NEBRASKAS.replace(':', '%3A')}&xmlfiles=0",
    ],
    ids=["first", "second", "last", "last of two behind", "last of two around", "far before", "encoded"],
)
def test_alice_says_that_she_is_nebraskas_probe_and_is_told_no(gate: Collector, body: str) -> None:
    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    answer = alice.post(RMI, content=body)
    assert answer.status_code == 403
    assert "may send for Utah-Kingspeak only; it asked for condor:neb.example.org" in answer.text
    gate.load()
    assert heard(gate) == set()


def test_the_loader_hears_whom_the_door_let_in_and_nobody_else(gate: Collector) -> None:
    for body in (
        f"command=update&arg1=xxx&from={NEBRASKAS}&from={UTAHS}",
        f"command=update&from={NEBRASKAS}&arg1=<a>&from={UTAHS}&backlog=3",
    ):
        assert sender_of(body.encode()) == UTAHS
    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    alice.post(RMI, content=post("multiupdate", envelope(handshake())))
    alice.post(RMI, content=f"command=update&arg1=xxx&from={NEBRASKAS}&from={UTAHS}")
    gate.load()
    assert {probe for probe, _ in heard(gate)} == {UTAHS}


def test_a_probe_that_no_registry_lists_is_still_bobs_once_he_was_heard_as_it(gate: Collector) -> None:
    bob = gate.client(gate.token("Nebraska"), "198.51.100.7")
    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    body = post("multiupdate", envelope(of_nebraska(probe=UNLISTED)), probe=UNLISTED)
    assert bob.post(RMI, content=body).content == b"OK"
    gate.load()
    first = last_word(gate)
    assert heard(gate) == {(UNLISTED, "Nebraska")}
    assert alice.post(RMI, content=post("update", "xxx", probe=UNLISTED)).content == b"OK"
    gate.load()
    assert last_word(gate) == first, "only bob is heard as it"
    assert bob.post(RMI, content=post("update", "xxx", probe=UNLISTED)).content == b"OK"
    gate.load()
    assert last_word(gate) > first


def last_word(gate: Collector) -> datetime:
    with reading(gate.services.engine) as connection:
        at: datetime = connection.execute(sa.select(CONTACTS.c.last_at)).scalar_one()
        return at


def test_what_alice_declares_of_a_whole_batch_holds_for_the_handshakes_in_it(gate: Collector) -> None:
    """As for its records; a handshake in a batch is no word of a probe."""
    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    text = envelope(handshake("A name of the site's own"), record(1, "Anything")).encode()
    query = "format=gratia-xml&resource=Utah-Kingspeak"
    assert alice.post(f"/api/v1/batches?{query}", content=text).status_code == 202
    gate.load()
    assert (gate.sums(), refused(gate), heard(gate)) == ((1, 3600), [], set())


def test_carol_and_an_old_probe_of_a_listed_address_are_heard_as_whatever_they_say(gate: Collector) -> None:
    carol = gate.client(gate.token(role="operator"), "198.51.100.66")
    for sender, site in ((carol, "Nebraska"), (gate.client(), "Utah-Kingspeak")):
        body = post("multiupdate", envelope(of_nebraska(site)), probe=NEBRASKAS)
        assert sender.post(RMI, content=body).content == b"OK"
    gate.load()
    assert heard(gate) == {(NEBRASKAS, "Nebraska"), (NEBRASKAS, "Utah-Kingspeak")}


def test_a_stolen_handshake_that_is_read_again_stays_refused_until_carol_binds_its_sender(
    gate: Collector,
) -> None:
    from gridkeeper.intake import retrying

    alice = gate.client(gate.token("Utah-Kingspeak"), "198.51.100.66")
    alice.post(RMI, content=post("multiupdate", envelope(of_nebraska())))
    gate.load()
    engine, lake = gate.services.engine, gate.place.lake
    assert retrying.retry(engine, lake, quarantine.Choice(), "local carol").refused == 1
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE quarantine SET binding = NULL"))
    assert retrying.retry(engine, lake, quarantine.Choice(), "local carol").loaded == 1


def test_every_handshake_of_a_post_counts_and_a_text_of_nothing_but_their_beginnings_is_no_burden(
    gate: Collector,
) -> None:
    old = gate.client()
    body = post("multiupdate", envelope(handshake(), of_nebraska()), probe="collector:example.org")
    assert old.post(RMI, content=body).content == b"OK"
    long = handshake().replace("OSG", "x" * MOST_HANDSHAKE_BYTES)
    for text in ("<ProbeDetails>" * 200_000, envelope(long, handshake("Utah-Ember"))):
        assert old.post(RMI, content=post("multiupdate", text)).content == b"OK"
    gate.load()
    assert {(UTAHS, "Utah-Kingspeak"), (NEBRASKAS, "Nebraska"), (UTAHS, "Utah-Ember")} <= heard(gate)

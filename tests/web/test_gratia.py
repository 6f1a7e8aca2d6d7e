"""Gratia probes are answered as they expect, and what was answered with OK is in the books once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.intake import quarantine
from gridkeeper.intake.tables import CONTACTS
from tests.collectors import LOCAL, Collector, collector
from tests.shared_material import shared
from tests.web.gratia_posts import envelope, handshake, post, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
PATH = "/gratia-servlets/rmi"
FEDERATION = """\
resources:
  - {name: Utah-Kingspeak, site: Utah, aliases: [utah_ce], probes: ["condor:ce.example.org"]}
  - {name: Nebraska, probes: ["condor:red.example.org"]}
"""


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}}, FEDERATION)
    yield made
    made.close()


def test_a_real_probes_posts_are_answered_with_ok_and_counted_once(open_door: Collector) -> None:
    captures = sorted(shared("wire").glob("cap.condor.*"))
    client = open_door.client()
    for _ in range(2):
        for capture in captures:
            body = capture.read_bytes().split(b"\n\n", 1)[1]
            answer = client.post(PATH, content=body)
            assert (answer.status_code, answer.content) == (200, b"OK")
        open_door.load()
        assert open_door.sums() == (30, 21_965)


@pytest.mark.parametrize("command", ["multiupdate", "URLEncodedUpdate", "update"])
def test_every_command_that_carries_records_is_understood(open_door: Collector, command: str) -> None:
    text = envelope(record(1)) if command == "multiupdate" else record(1)
    assert open_door.client().post(PATH, content=post(command, text)).content == b"OK"
    open_door.load()
    assert open_door.sums() == (1, 3600)


def test_a_raw_single_record_of_a_very_old_probe_is_understood(open_door: Collector) -> None:
    text = record(1).replace("/cms", "/cms &amp; others")
    body = b"command=update&arg1=" + text.encode() + b"&from=condor:ce.example.org"
    assert open_door.client().post(PATH, content=body).content == b"OK"
    open_door.load()
    assert open_door.sums() == (1, 3600)


def test_a_ping_is_answered_and_no_record(open_door: Collector) -> None:
    assert open_door.client().post(PATH, content=post("update", "xxx")).content == b"OK"
    open_door.load()
    assert open_door.sums() == (0, 0)


@pytest.mark.parametrize("command", ["multiUpdates", "", "shutdown"])
def test_an_unknown_command_is_refused_with_the_words_that_clients_match(
    open_door: Collector, command: str
) -> None:
    answer = open_door.client().post(PATH, content=post(command, "x"))
    assert answer.content == f"Error: Unknown Command: {command}".encode()


def test_a_post_that_is_too_large_is_refused_with_the_words_that_clients_match(tmp_path: Path) -> None:
    small = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}, "intake": {"post_bytes": 2000}})
    answer = small.client().post(PATH, content=post("multiupdate", envelope(record(1), record(2))))
    assert b"java.lang.IllegalStateException: Post too large" in answer.content
    assert answer.content[:2] != b"OK"
    small.close()


def test_one_bad_member_is_kept_apart_and_the_others_count(open_door: Collector) -> None:
    bad = record(2).replace("2026-11-20T12:00:00Z</EndTime>", "2026-11-20T08:00:00Z</EndTime>")
    torn = record(3).replace("</Status>", "")
    answer = open_door.client().post(
        PATH, content=post("multiupdate", envelope(record(1), bad, torn, record(4)))
    )
    assert answer.content == b"OK"
    open_door.load()
    assert open_door.sums() == (2, 7200)
    kept = quarantine.entries(open_door.services.engine, quarantine.Choice())
    assert sorted(entry.rule for entry in kept) == ["end_before_start", "not_well_formed"]


def test_a_bundle_that_promises_more_records_than_it_has_counts_what_is_there_and_is_told(
    open_door: Collector,
) -> None:
    text = "".join(f"replication|{record(number)}|||" for number in (1, 2))
    assert open_door.client().post(PATH, content=post("update", text, bundlesize=3)).content == b"OK"
    open_door.load()
    assert open_door.sums() == (2, 7200)
    (kept,) = quarantine.entries(open_door.services.engine, quarantine.Choice())
    assert kept.rule == "bundle_size"


def test_handshakes_and_backlog_figures_are_kept_by_probe(open_door: Collector) -> None:
    body = post("multiupdate", envelope(handshake()), xmlfiles=7, tarfiles=2, backlog=41)
    assert open_door.client().post(PATH, content=body).content == b"OK"
    open_door.load()
    with reading(open_door.services.engine) as connection:
        (contact,) = connection.execute(sa.select(CONTACTS)).all()
    assert (contact.probe, contact.resource, contact.kind) == (
        "condor:ce.example.org",
        "Utah-Kingspeak",
        "handshake",
    )
    assert (contact.backlog_records, contact.version, contact.address) == (200_007, "2.8.4", LOCAL)
    assert (contact.backlog_jobs, contact.backlog_batches) == (41, None)


def test_a_post_whose_handshake_has_bytes_that_no_text_has_is_taken_and_its_records_count(
    open_door: Collector,
) -> None:
    odd = handshake().replace("2.8.4", "2.8\0.4")
    assert (
        open_door.client().post(PATH, content=post("multiupdate", envelope(odd, record(1)))).content == b"OK"
    )
    open_door.load()
    assert open_door.sums() == (1, 3600)
    with reading(open_door.services.engine) as connection:
        assert connection.execute(sa.select(CONTACTS.c.probe)).scalar_one() == "condor:ce.example.org"


def test_nobody_unknown_gets_in_by_default(tmp_path: Path) -> None:
    shut = collector(tmp_path / "home")
    answer = shut.client().post(PATH, content=post("multiupdate", envelope(record(1))))
    assert answer.status_code == 401
    assert answer.content == b"Error: The certificate has been rejected by the Gratia Collector!"
    shut.load()
    assert shut.sums() == (0, 0)
    shut.close()


def test_alice_of_utah_cannot_send_as_nebraskas_probe(open_door: Collector) -> None:
    alice = open_door.client(open_door.token("Utah-Kingspeak"))
    body = post("multiupdate", envelope(record(1, "Nebraska")), probe="condor:red.example.org")
    answer = alice.post(PATH, content=body)
    assert answer.status_code == 403
    assert "this token may send for Utah-Kingspeak only" in answer.text


def test_a_record_of_another_site_inside_alices_post_is_kept_apart_under_its_own_rule(
    open_door: Collector,
) -> None:
    alice = open_door.client(open_door.token("Utah-Kingspeak"))
    body = post("multiupdate", envelope(record(1), record(2, "Nebraska"), record(3, "UTAH_CE")))
    assert alice.post(PATH, content=body).content == b"OK"
    open_door.load()
    assert open_door.sums() == (2, 7200)
    (kept,) = quarantine.entries(open_door.services.engine, quarantine.Choice())
    assert kept.rule == "not_allowed"


def test_a_record_under_the_name_of_nebraskas_probe_is_not_booked_by_alice(open_door: Collector) -> None:
    alice = open_door.client(open_door.token("Utah-*"))
    stolen = record(1, "Utah-Bogus").replace("condor:ce.example.org", "condor:red.example.org")
    assert alice.post(PATH, content=post("multiupdate", envelope(stolen, record(2)))).content == b"OK"
    open_door.load()
    assert open_door.sums() == (1, 3600)
    (kept,) = quarantine.entries(open_door.services.engine, quarantine.Choice())
    assert kept.rule == "not_allowed"


def test_a_record_that_is_too_long_is_kept_apart_and_its_neighbours_count(tmp_path: Path) -> None:
    settings = {"trust": {"addresses": [LOCAL]}, "intake": {"member_bytes": 4096}}
    door = collector(tmp_path / "home", settings, FEDERATION)
    long = record(2).replace("<Status>0", f"<JobName>{'x' * 8000}</JobName><Status>0")
    for number, members in enumerate(((record(1), long, record(3)), (record(4), long))):
        assert door.client().post(PATH, content=post("multiupdate", envelope(*members))).content == b"OK"
        door.load()
        assert door.sums()[0] == 2 + number
    (kept,) = quarantine.entries(door.services.engine, quarantine.Choice())
    assert (kept.rule, kept.times) == ("record_too_long", 2)
    door.close()


def test_where_the_inbox_is_full_the_answer_is_503_and_never_ok(tmp_path: Path) -> None:
    full = collector(
        tmp_path / "home", {"trust": {"addresses": [LOCAL]}, "intake": {"free_disk_bytes": 10**18}}
    )
    answer = full.client().post(PATH, content=post("multiupdate", envelope(record(1))))
    assert (answer.status_code, answer.content[:6]) == (503, b"Error:")
    assert int(answer.headers["Retry-After"]) > 0
    full.close()

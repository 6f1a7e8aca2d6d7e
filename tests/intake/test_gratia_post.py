"""What a Gratia post is taken for: records, a bundle, a ping; and that nothing that was answered with OK is dropped unread."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest

from gridkeeper.intake import quarantine
from gridkeeper.intake.gratia_post import (
    FIELDS_BYTES,
    MOST_PING_BYTES,
    command_of,
    read_post,
    sender_of,
)
from gridkeeper.lake.archive import unpacked
from tests.collectors import LOCAL, Collector, collector
from tests.web.gratia_posts import post, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RMI = "/gratia-servlets/rmi"
MARK = "\ufeff"
BUNDLE = f"replication|{record(1)}|||replication|{record(2)}|||"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}})
    yield made
    made.close()


def archived(gate: Collector) -> list[bytes]:
    rows = gate.place.lake.snapshot().select("SELECT payload FROM archive ORDER BY received_at")
    return [unpacked(payload) for payload in rows["payload"].to_pylist()]


@pytest.mark.parametrize("command", ["update", "URLEncodedUpdate", "multiupdate"])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "encoded"])
@pytest.mark.parametrize("begin", ["", MARK, f" \n{MARK}\n ", " " * 200])
@pytest.mark.parametrize("text", [record(1), BUNDLE], ids=["record", "bundle"])
def test_records_behind_a_byte_order_mark_or_blanks_are_read(
    command: str, raw: bool, begin: str, text: str
) -> None:
    told = (begin + text).encode()
    written = told if raw else quote_plus(told).encode()
    body = b"command=" + command.encode() + b"&arg1=" + written + b"&from=condor:ce.example.org&backlog=7"
    found = read_post(body)
    assert found.text.strip() == text.strip().encode()
    assert (found.command, found.probe, found.figures) == (command, "condor:ce.example.org", {"backlog": 7})
    assert found.is_bundle is (text == BUNDLE)


@pytest.mark.parametrize("text", ["", "xxx", "   ", "ping", MARK + "xxx"])
def test_a_short_text_without_anything_of_a_record_is_a_ping(text: str) -> None:
    assert read_post(post("update", text)).text == b""


@pytest.mark.parametrize(
    "text",
    [
        MARK + record(1),
        MARK + f"replication|{record(1)}|||",
        f"Replication |{record(1)}|||",
        "x|y",
        "a<b",
        "x" * (MOST_PING_BYTES + 1),
        "#!comment\n" + record(1),
    ],
)
def test_whatever_an_update_holds_but_a_ping_is_counted_or_kept_apart(gate: Collector, text: str) -> None:
    body = post("update", text)
    assert gate.client().post(RMI, content=body).content == b"OK"
    gate.load()
    kept = quarantine.entries(gate.services.engine, quarantine.Choice())
    assert gate.sums()[0] + len(kept) >= 1
    assert gate.sums()[0] == ("</JobUsageRecord>" in text)
    assert archived(gate) == [body], "every payload is archived as it was received"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_record_in_letters_that_nobody_reads_is_kept_apart(gate: Collector, encoding: str) -> None:
    body = b"command=update&arg1=" + quote_plus(record(1).encode(encoding)).encode()
    assert gate.client().post(RMI, content=body).content == b"OK"
    gate.load()
    assert gate.sums() == (0, 0)
    assert quarantine.entries(gate.services.engine, quarantine.Choice())
    assert archived(gate) == [body]


def test_a_ping_is_archived_too_and_the_same_ping_once(gate: Collector) -> None:
    body = post("update", "xxx")
    for _ in range(3):
        assert gate.client().post(RMI, content=body).content == b"OK"
        gate.load()
    assert archived(gate) == [body]
    assert quarantine.entries(gate.services.engine, quarantine.Choice()) == []


@pytest.mark.parametrize("command", ["update", "multiupdate"])
def test_records_in_another_field_than_theirs_are_not_dropped(gate: Collector, command: str) -> None:
    body = f"command={command}&arg2={quote_plus(record(1))}&from=condor:ce.example.org"
    assert gate.client().post(RMI, content=body).content == b"OK"
    gate.load()
    assert gate.sums() == (0, 0)
    (kept,) = quarantine.entries(gate.services.engine, quarantine.Choice())
    assert b"JobUsageRecord" in kept.text


def test_a_field_whose_value_looks_like_another_ones_name_hides_no_records() -> None:
    body = b"command=update&from=arg1=x&arg1=<JobUsageRecord/>&bundlesize=1"
    assert read_post(body).text == b"<JobUsageRecord/>"
    assert read_post(body).probe == "arg1=x"


def test_what_stands_in_the_records_is_no_field_of_the_form() -> None:
    text = quote_plus("<a>&command=shutdown&from=condor:neb.example.org&</a>").encode()
    body = b"arg1=" + text + b"&command=multiupdate&from=condor:ce.example.org"
    assert (command_of(body), sender_of(body)) == ("multiupdate", "condor:ce.example.org")
    raw = b"command=update&arg1=<a>&from=condor:neb.example.org&</a>" + b" " * 2 * FIELDS_BYTES
    assert sender_of(raw) is None
    assert read_post(raw).probe is None


def test_a_body_of_nothing_but_fields_is_looked_at_at_its_ends_only() -> None:
    body = b"from=a&" + b"x=y&" * 1_000_000 + b"command=update"
    assert (command_of(body), sender_of(body)) == ("update", "a")
    assert read_post(body).text == body, "too long for a ping, so it is kept apart"

"""Alice of Utah, Bob of Nebraska and Carol the operator, and what strangers try at their collector's doors."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import zstandard
from prometheus_client.parser import text_string_to_metric_families

from gridkeeper import clock
from gridkeeper.intake import quarantine
from gridkeeper.trust.door import Door
from gridkeeper.trust.own_tokens import REVOKED_WITHIN
from gridkeeper.trust.tokens import create, list_, revoke
from tests.collectors import LOCAL, Collector, collector
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import HEADER, sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
RMI = "/gratia-servlets/rmi"
BATCHES = "/api/v1/batches?format=sacct&resource=alpha"
PROXY, STRANGER = "192.0.2.7", "198.51.100.66"
FEDERATION = "resources: [{name: Utah-Kingspeak, probes: ['condor:ce.example.org']}, {name: Nebraska}, {name: alpha}]\n"
SETTINGS = {
    "server": {"proxies": [f"{PROXY}/32"]},
    "trust": {"addresses": [f"{LOCAL}/32"], "certificates": {"/CN=ce.utah.example.edu": ["alpha"]}},
    "intake": {"plain_bytes": 2_000_000},
}

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE RecordEnvelope [<!ENTITY l0 "ha">{LAUGHS}]>\n<RecordEnvelope>{record(1).replace("alice", "&l9;")}</RecordEnvelope>',
    "a document type": f'<!DOCTYPE RecordEnvelope SYSTEM "http://127.0.0.1:1/x.dtd">\n<RecordEnvelope>{record(1)}</RecordEnvelope>',
    "an external entity": f'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<RecordEnvelope>{record(1).replace("alice", "&x;")}</RecordEnvelope>',
}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", SETTINGS, FEDERATION)
    yield made
    made.close()


def at(gate: Collector, moment: datetime) -> None:
    """Let the door believe that it is another moment."""
    told = gate.settings
    gate.services.door = Door(gate.services.engine, told.server, told.trust, lambda: moment)


def test_alices_token_is_refused_on_the_day_it_has_expired(gate: Collector) -> None:
    engine = gate.place.database()
    token = create(engine, role="probe", who="local carol", name="utah", resources=("alpha",), days=1).text
    alice = gate.client(token, STRANGER)
    assert alice.post(BATCHES, content=sacct(1)).status_code == 202
    at(gate, clock.now() + timedelta(days=2))
    native, gratia = alice.post(BATCHES, content=sacct(2)), alice.post(RMI, content=post("update", record(2)))
    assert (native.status_code, gratia.status_code) == (401, 401)
    assert "expired" in native.text
    assert "expired" in gratia.headers["WWW-Authenticate"], "the body is for its client (see test_refusals)"
    assert not gratia.text.startswith("OK")


def test_carol_revokes_bobs_token_and_it_is_refused_within_seconds(gate: Collector) -> None:
    bob = gate.client(gate.token("alpha"), STRANGER)
    assert bob.post(BATCHES, content=sacct(1)).status_code == 202
    engine = gate.place.database()
    (known,) = list_(engine)
    revoke(engine, known.id, "bob left", who="local carol")
    at(gate, clock.now() + REVOKED_WITHIN)
    answer = bob.post(BATCHES, content=sacct(2))
    assert (answer.status_code, "revoked" in answer.text) == (401, True)
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_xml_bomb_goes_to_the_quarantine_and_the_next_post_counts(gate: Collector, bomb: str) -> None:
    probe = gate.client()
    assert probe.post(RMI, content=post("multiupdate", BOMBS[bomb])).content == b"OK"
    gate.load()
    assert gate.sums() == (0, 0)
    kept = quarantine.entries(gate.services.engine, quarantine.Choice())
    assert kept
    assert not any(b"root:" in row.text for row in kept)
    assert probe.post(RMI, content=post("multiupdate", envelope(record(2)))).content == b"OK"
    gate.load()
    assert gate.sums() == (1, 3600)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("filling", [b"\n", b"a"], ids=["empty lines", "one line"])
def test_a_bomb_in_a_compressed_batch_is_set_aside_and_the_next_batch_counts(
    gate: Collector, encoding: str, filling: bytes
) -> None:
    text = HEADER.encode() + filling * 30_000_000
    body = gzip.compress(text, 1) if encoding == "gzip" else zstandard.ZstdCompressor().compress(text)
    alice = gate.client(gate.token("alpha"))
    batch = alice.post(BATCHES, content=body, headers={"Content-Encoding": encoding}).json()["batch"]
    good = alice.post(BATCHES, content=sacct(1)).json()["batch"]
    gate.load()
    assert alice.get(f"/api/v1/batches/{batch}").json()["state"] == "set-aside"
    assert alice.get(f"/api/v1/batches/{good}").json()["state"] == "loaded"
    assert gate.sums()[0] == 1


def test_what_says_it_is_compressed_and_is_not_is_set_aside(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    for encoding in ("gzip", "zstd"):
        answer = alice.post(BATCHES, content=sacct(1), headers={"Content-Encoding": encoding})
        gate.load()
        state = alice.get(f"/api/v1/batches/{answer.json()['batch']}").json()["state"]
        assert state == "set-aside"
    assert gate.sums() == (0, 0)


def test_one_huge_record_in_a_post_is_kept_apart_and_its_neighbours_count(gate: Collector) -> None:
    huge = record(2).replace("alice", "a" * 2_000_000)
    body = post("multiupdate", envelope(record(1), huge, record(3)))
    assert gate.client().post(RMI, content=body).content == b"OK"
    gate.load()
    assert gate.sums() == (2, 7200)
    assert [row.rule for row in quarantine.entries(gate.services.engine, quarantine.Choice())] == [
        "record_too_long"
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": LOCAL},
        {"X-Forwarded-For": f"{LOCAL}, {PROXY}"},
        {"Forwarded": f"for={LOCAL}"},
        {"X-Real-IP": LOCAL},
        {"X-SSL-Client-S-DN": "/CN=ce.utah.example.edu"},
        {"X-SSL-Client-S-DN": "/CN=ce.utah.example.edu", "X-Forwarded-For": f"{LOCAL}, {PROXY}"},
    ],
)
def test_a_stranger_who_claims_to_come_through_the_proxy_is_not_believed(
    gate: Collector, headers: dict[str, str]
) -> None:
    stranger = gate.client(address=STRANGER)
    assert stranger.post(RMI, content=post("update", record(1)), headers=headers).status_code == 401
    assert stranger.post(BATCHES, content=sacct(1), headers=headers).status_code == 401
    gate.load()
    assert gate.sums() == (0, 0)


def test_through_the_proxy_a_client_cannot_put_a_trusted_address_before_its_own(gate: Collector) -> None:
    proxy = gate.client(address=PROXY)
    forged = {"X-Forwarded-For": f"{LOCAL}, {STRANGER}"}  # the proxy adds whom it saw, at the end
    assert proxy.post(RMI, content=post("update", record(1)), headers=forged).status_code == 401
    twice = [("X-SSL-Client-S-DN", "/CN=ce.utah.example.edu"), ("X-SSL-Client-S-DN", "/CN=other")]
    assert proxy.post(BATCHES, content=sacct(1), headers=twice).status_code == 401


def test_two_authorization_headers_are_refused_whichever_is_good(gate: Collector) -> None:
    good, bad = f"Bearer {gate.token('alpha')}", "Bearer gk_nonsense"
    alice = gate.client(address=STRANGER)
    for pair in ((good, bad), (bad, good), (good, good)):
        headers = [("Authorization", value) for value in pair]
        assert alice.post(BATCHES, content=sacct(1), headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/batches/..%2f..%2fgridkeeper.toml",
        "/api/v1/batches/%2e%2e/%2e%2e/etc/passwd",
        "/../../etc/passwd",
        "/api/v1/batches/%00",
        "/api/v1/batches/" + "a" * 20_000,
        "/badge/reports.json/../../gridkeeper.db",
        "/static/..%5c..%5cgridkeeper.db",
    ],
)
def test_no_path_leads_out(gate: Collector, path: str) -> None:
    answer = gate.client(gate.token(role="operator")).get(path)
    assert answer.status_code in (400, 404, 405)
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "value", ["a%00b", "%ff%fe", "a" * 30_000, "%0d%0aSet-Cookie:x=1", "'; DROP TABLE x--"]
)
def test_odd_parameters_are_refused_or_kept_as_they_are(gate: Collector, value: str) -> None:
    alice = gate.client()
    answer = alice.post(f"/api/v1/batches?format=sacct&resource=alpha&probe={value}", content=sacct(1))
    assert answer.status_code in (202, 400, 422)
    assert "set-cookie" not in answer.headers
    assert len(answer.content) < 5_000
    answer = alice.post(f"/api/v1/batches?format={value}", content=sacct(1))
    assert answer.status_code in (400, 422)
    gate.load()
    assert alice.get("/readyz").status_code == 200


def test_a_nul_in_a_post_or_a_heartbeat_harms_nobody(gate: Collector) -> None:
    probe = gate.client()
    body = post("multiupdate", envelope(record(1).replace("alice", "al\0ice")), probe="con\0dor")
    assert probe.post(RMI, content=body).content == b"OK"
    beat = {"probe": "p\0", "resource": "Nebraska", "problem": "\0"}
    assert probe.post("/api/v1/heartbeats", json=beat).status_code in (202, 422)
    assert probe.post(RMI, content=post("multiupdate", envelope(record(2)))).content == b"OK"
    gate.load()
    assert gate.sums()[0] >= 1


def test_who_guesses_tokens_is_slowed_down(tmp_path: Path) -> None:
    slow = collector(tmp_path / "home", {"intake": {"requests_per_minute": 5}}, FEDERATION)
    stranger = slow.client("gk_0123", STRANGER)
    found = [stranger.post(BATCHES, content=b"").status_code for _ in range(8)]
    assert found == [401] * 5 + [429] * 3
    assert slow.client(slow.token("alpha"), LOCAL).post(BATCHES, content=sacct(1)).status_code == 202
    slow.close()


def test_metrics_are_text_that_prometheus_reads_with_no_sender_in_it(gate: Collector) -> None:
    token = gate.token("alpha")
    alice = gate.client(token)
    assert alice.post(BATCHES, content=sacct(1)).status_code == 202
    gate.client("gk_wrong").post(BATCHES, content=sacct(1))
    alice.get("/nowhere/" + token)
    gate.load()
    page = alice.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert {
        "gridkeeper_received_batches",
        "gridkeeper_inbox_bytes",
        "gridkeeper_records_loaded",
    } <= families.keys()
    assert families["gridkeeper_records_loaded"].samples[0].value == 1
    assert token not in page
    assert "nowhere" not in page


def test_readyz_says_why_it_is_not_ready(tmp_path: Path) -> None:
    full = collector(tmp_path / "home", {"intake": {"inbox_bytes": 2**20, "body_bytes": 2**22}}, FEDERATION)
    dead = "the loader does not run; it is started again"
    alice = full.client(full.token("alpha"))
    assert alice.get("/readyz").json() == {"ready": True, "faults": {}}
    full.services.faults = {"loader": lambda: dead}
    assert alice.get("/readyz").json() == {"ready": False, "faults": {"loader": dead}}
    full.services.faults = {}
    assert alice.post(BATCHES, content=sacct(*range(12_000))).status_code == 202
    full.services.inbox._level = None  # what is up to a second old
    answer = alice.get("/readyz")
    assert answer.status_code == 503
    assert "intake.inbox_bytes" in answer.json()["faults"]["inbox"]
    assert alice.post(BATCHES, content=sacct(1)).status_code == 503
    full.load()
    full.services.inbox._level = None
    assert alice.get("/readyz").status_code == 200
    full.close()


def test_no_secret_is_written_down_or_answered(gate: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    token = gate.token("alpha")
    secret = token.rpartition("_")[2]
    alice = gate.client(token)
    answers = [
        alice.post(BATCHES, content=sacct(1)),
        alice.post(RMI, content=post("multiupdate", envelope(record(1)))),
        alice.get(f"/api/v1/batches/{token}"),
        alice.get(f"/api/v1/batches/x?token={token}"),
        alice.post("/api/v1/heartbeats", json={"probe": 1, "resource": token}),
        gate.client(token[:-1] + "x").post(BATCHES, content=b""),
        gate.client("eyJhbGciOiJub25lIn0.e30." + secret).post(BATCHES, content=b""),
    ]
    gate.load()
    written = capsys.readouterr()
    for text in (written.out, written.err, *(answer.text for answer in answers)):
        assert secret not in text
        assert secret[:-1] not in text

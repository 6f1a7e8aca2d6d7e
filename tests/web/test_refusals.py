"""Every refusal has the form that is documented: a sentence as JSON, and for Gratia's clients the bytes they act on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper import clock
from gridkeeper.probes.contract import HEARTBEAT_BYTES, MOST_SAMPLES
from gridkeeper.trust.door import Door
from gridkeeper.trust.tokens import create, list_, revoke
from tests.collectors import Collector, collector
from tests.web.gratia_posts import envelope, post, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
RMI = "/gratia-servlets/rmi"
PROXY = "192.0.2.7"
# What the client compares the whole body with: `message == certRejection`.
STOP = b"Error: The certificate has been rejected by the Gratia Collector!"
SETTINGS = {
    "server": {"proxies": [f"{PROXY}/32"]},
    "trust": {"certificates": {"/CN=ce.utah.example.edu": ["Utah-Kingspeak"]}},
}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", SETTINGS, "resources: [{name: Utah-Kingspeak}, {name: Nebraska}]\n")
    yield made
    made.close()


def sent(client: Any, **headers: str) -> Any:
    body = post("multiupdate", envelope(record(1)))
    return client.post(
        RMI, content=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_gratia_probe_that_nobody_knows_is_told_to_stop_in_the_words_it_knows(gate: Collector) -> None:
    answer = sent(gate.client())
    assert (answer.status_code, answer.content) == (401, STOP)
    assert (
        'error_description="the request from 203.0.113.9 has no credentials'
        in answer.headers["WWW-Authenticate"]
    )


def test_a_certificate_that_is_not_listed_is_told_so_and_the_challenge_says_how_it_reads(
    gate: Collector,
) -> None:
    proxy = gate.client(address=PROXY)
    subject = '/O=Universität "Nord"\\/CN=ce.example.org'.encode()
    headers = {b"X-SSL-Client-S-DN": subject, b"X-Forwarded-For": b"198.51.100.9"}
    answer = proxy.post(RMI, content=post("update", record(1)), headers=headers)
    assert (answer.status_code, answer.content) == (401, STOP)
    told = answer.headers["WWW-Authenticate"]
    assert "/O=Universit?t 'Nord'///CN=ce.example.org" in told
    assert told.count('"') == 4
    assert (
        sent(proxy, X_SSL_Client_S_DN="/CN=ce.utah.example.edu", X_Forwarded_For="198.51.100.9").content
        == b"OK"
    )


def test_expired_and_revoked_tokens_are_told_the_same_and_a_renewed_one_sends_on(gate: Collector) -> None:
    engine = gate.place.database()
    token = create(engine, role="probe", who="local carol", resources=("Utah-Kingspeak",), days=1).text
    alice = gate.client(token)
    assert sent(alice).content == b"OK"
    trust = gate.settings.trust
    gate.services.door = Door(engine, gate.settings.server, trust, lambda: clock.now() + timedelta(days=2))
    answer = sent(alice)
    assert (answer.status_code, answer.content) == (401, STOP)
    assert " expired on " in answer.headers["WWW-Authenticate"]
    gate.services.door = Door(engine, gate.settings.server, trust)
    (known,) = list_(engine)
    revoke(engine, known.id, "alice asked for it", who="local carol")
    answer = sent(alice)
    assert (answer.status_code, answer.content) == (401, STOP)
    assert " was revoked on " in answer.headers["WWW-Authenticate"]
    assert token.rpartition("_")[2] not in str(answer.headers)
    assert sent(gate.client(gate.token("Utah-Kingspeak"))).content == b"OK"


def test_who_is_known_and_may_not_is_told_what_it_may_and_not_that_its_certificate_is_bad(
    gate: Collector,
) -> None:
    dave = gate.client(gate.token(role="viewer"))
    answer = sent(dave)
    assert answer.status_code == 403
    assert answer.content.startswith(b"Error: this token is for reading")


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v1/nothing", "/api/v1/batches/a/b", "/gratia-registration/register"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_that_is_not_there_is_told_in_a_sentence(gate: Collector, method: str, path: str) -> None:
    answer = gate.client().request(method, path + "?token=gk_secret")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "there is no such address here; /api/v1/openapi.json names those there are"
    }


@pytest.mark.parametrize(
    ("path", "allowed"), [("/api/v1/batches", "POST"), (RMI, "POST"), ("/healthz", "GET")]
)
def test_an_address_that_takes_another_method_says_which(gate: Collector, path: str, allowed: str) -> None:
    answer = gate.client().request("PATCH", path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.json() == {"error": f"this address is for {allowed} only"}
    assert answer.headers["X-Request-Id"]


def test_a_heartbeat_over_the_limit_names_its_own_limit(gate: Collector) -> None:
    carol = gate.client(gate.token(role="operator"))
    answer = carol.post("/api/v1/heartbeats", content=b" " * (HEARTBEAT_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json()["error"].startswith(
        f"a heartbeat has at most {HEARTBEAT_BYTES:,} bytes (HEARTBEAT_BYTES)"
    )
    assert "body_bytes" not in answer.text
    one = {"state": "running", "jobs": 1, "cores": 1}
    beat = {"probe": "p", "resource": "Nebraska", "samples": [one] * (MOST_SAMPLES + 1)}
    answer = carol.post("/api/v1/heartbeats", json=beat)
    assert (answer.status_code, str(MOST_SAMPLES) in answer.json()["error"]) == (422, True)

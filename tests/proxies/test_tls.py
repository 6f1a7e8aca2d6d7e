"""TLS without a proxy before it, and TLS all the way through HAProxy: both doors are there, and nothing in the clear."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.trust.tokens import create
from tests.proxies import deployment
from tests.proxies.asking import Answer, Caller
from tests.proxies.deployment import gratia, native
from tests.proxies.processes import Collecting, free_port, haproxy, wait_until
from tests.proxies.samples import DOCS, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.proxies.certificates import Authority, Certificate

pytestmark = pytest.mark.slow
TO_COLLECTORS = "ssl verify required ca-file /etc/haproxy/collectors.pem"


class Direct(NamedTuple):
    """A collector that speaks TLS itself, and a token of its home."""

    collector: Collecting
    bearer: str


@pytest.fixture(scope="module")
def direct(folder: Path, server_certificate: Certificate) -> Iterator[Direct]:
    home = Home(folder / "home-with-tls")
    home.create()
    home.federation.write_text(deployment.FEDERATION, encoding="utf-8")
    paths = {"tls_certificate": server_certificate.certificate, "tls_key": server_certificate.key}
    ours = "[server]\n" + "".join(f"{key} = {json.dumps(str(path))}\n" for key, path in paths.items())
    home.settings.write_text(put(deployment.settings(), {"[server]\n": ours}), encoding="utf-8")
    engine = wired(home.path).database()
    token = create(engine, role="probe", who="local carol", resources=("Utah-Kingspeak",)).text
    engine.dispose()
    collector = Collecting(home.path, free_port())
    try:
        yield Direct(collector.be_ready(), f"Authorization: Bearer {token}")
    finally:
        collector.stop()


@pytest.fixture
def alice(direct: Direct, authority: Authority) -> Caller:
    """Somebody who asks the collector itself."""
    return Caller(direct.collector.port, authority)


def test_both_doors_are_there_over_tls(direct: Direct, alice: Caller) -> None:
    assert native(alice, "Utah-Kingspeak", 1, [direct.bearer]).status == 202
    assert native(alice, "Nebraska", 2, [direct.bearer]).status == 403
    taken = gratia(alice, "Utah-Kingspeak", "ce.example.org", 3, [direct.bearer])
    assert taken == Answer(200, "OK")
    assert gratia(alice, "Utah-Kingspeak", "ce.example.org", 4).status == 401


def test_a_post_that_is_too_large_is_told_so_over_tls(direct: Direct, alice: Caller) -> None:
    told = alice.post("/gratia-servlets/rmi", b"a" * (9 * 1024 * 1024), [direct.bearer])
    assert told == Answer(413, "Error: java.lang.IllegalStateException: Post too large")


def test_a_subject_that_a_client_says_is_not_believed_without_a_proxy(alice: Caller) -> None:
    refused = native(
        alice, "Utah-Kingspeak", 5, ["X-SSL-Client-S-DN: CN=ce.example.edu,O=University of Utah,C=US"]
    )
    assert refused.status == 401
    assert "has no credentials" in refused.error


def test_the_port_for_tls_answers_nothing_in_the_clear(direct: Direct) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", direct.collector.port, timeout=10)
    with contextlib.closing(connection), pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.request("GET", "/healthz")
        connection.getresponse()


def test_who_believes_other_authorities_does_not_talk_to_it(direct: Direct, utah: Certificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Caller(direct.collector.port, utah).get("/healthz")


def test_a_certificate_is_known_through_a_proxy_that_encrypts_again(
    direct: Direct,
    folder: Path,
    authority: Authority,
    server_certificate: Certificate,
    utah: Certificate,
) -> None:
    assert f"`{TO_COLLECTORS}`" in (DOCS / "operating.md").read_text(encoding="utf-8")
    ours = put(TO_COLLECTORS, {"/etc/haproxy/collectors.pem": authority.certificate})
    (folder / "encrypting").mkdir()
    port = free_port()
    plain = deployment.haproxy_configuration(
        folder / "encrypting.socket", port, (direct.collector.port,), server_certificate, authority
    )
    configuration = put(plain, {"default-server": f"default-server {ours}"})
    with haproxy(folder / "encrypting", port, configuration):
        bob = Caller(port, authority, utah)
        wait_until(lambda: bob.get("/readyz").status == 200, 60, "the collector is ready")
        assert native(bob, "Utah-Kingspeak", 6).status == 202
        assert native(bob, "Nebraska", 7).status == 403
        mallory = Caller(port, authority)
        assert native(mallory, "Utah-Kingspeak", 8, ["X-SSL-Client-S-DN: CN=ce.example.edu"]).status == 401

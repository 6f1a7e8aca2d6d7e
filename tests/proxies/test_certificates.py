"""A sender's certificate, and what others say in its place, through a real HAProxy and a real nginx."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.cli.wiring import wired
from gridkeeper.database import reading
from gridkeeper.intake.tables import BATCHES
from gridkeeper.web.gratia import NOT_RECOGNISED
from tests.proxies.asking import ELSEWHERE, Answer, Caller
from tests.proxies.certificates import Authority
from tests.proxies.deployment import OLD_PROBE, gratia, haproxy_configuration, native, nginx_server
from tests.proxies.processes import free_port, haproxy, nginx, wait_until
from tests.proxies.samples import put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxies.certificates import Certificate
    from tests.proxies.deployment import Deployment

pytestmark = pytest.mark.slow
SUBJECT = "CN=ce.example.edu,O=University of Utah,C=US"
NOBODY = f"the request from {ELSEWHERE} has no credentials"
FORGED = {
    "as it is": [f"X-SSL-Client-S-DN: {SUBJECT}"],
    "in lower case": [f"x-ssl-client-s-dn: {SUBJECT}"],
    "in upper case": [f"X-SSL-CLIENT-S-DN: {SUBJECT}"],
    "twice": [f"X-SSL-Client-S-DN: {SUBJECT}"] * 2,
    "twice, in two ways": [f"X-SSL-Client-S-DN: {SUBJECT}", f"x-ssl-client-s-dn: {SUBJECT}"],
    "with underscores": [f"X_SSL_Client_S_DN: {SUBJECT}"],
    "with one underscore": [f"X-SSL-Client-S_DN: {SUBJECT}"],
    "with underscores, twice": [f"X_SSL_Client_S_DN: {SUBJECT}"] * 2,
    "with and without underscores": [f"X_SSL_CLIENT_S_DN: {SUBJECT}", f"X-SSL-Client-S-DN: {SUBJECT}"],
    "named as of this connection alone": [f"X-SSL-Client-S-DN: {SUBJECT}", "Connection: X-SSL-Client-S-DN"],
    "with an address of the proxy": [f"X-SSL-Client-S-DN: {SUBJECT}", "X-Forwarded-For: 127.0.0.1"],
}
MISSHAPEN = {
    "with a space before the colon": [f"X-SSL-Client-S-DN : {SUBJECT}"],
    "with a tab before the colon": [f"X-SSL-Client-S-DN\t: {SUBJECT}"],
    "with a dot": [f"X-SSL-Client-S.DN: {SUBJECT}"],
    "folded into another": ["X-Other: of", f" X-SSL-Client-S-DN: {SUBJECT}"],
    "after a bare line feed": [f"X-Other: of\nX-SSL-Client-S-DN: {SUBJECT}"],
    "after a bare carriage return": [f"X-Other: of\rX-SSL-Client-S-DN: {SUBJECT}"],
    "after a NUL": [f"X-Other: of\0\r\nX-SSL-Client-S-DN: {SUBJECT}"],
}


def kept(home: Path, answer: Answer) -> tuple[str, str]:
    """Who sent a batch, and from where, as the home keeps it."""
    batch = answer.text.partition('"batch":"')[2].partition('"')[0]
    engine = wired(home).database()
    with reading(engine) as connection:
        row = connection.execute(
            sa.select(BATCHES.c.sender, BATCHES.c.address).where(BATCHES.c.id == batch)
        ).one()
    engine.dispose()
    return row.sender, row.address


def test_a_certificate_binds_its_sender_to_its_resources(
    deployed: Deployment, proxy: str, utah: Certificate
) -> None:
    alice = deployed.caller(proxy, utah)
    taken = native(alice, "Utah-Kingspeak", 1)
    assert taken.status == 202, taken.text
    assert kept(deployed.collector.home, taken) == (f"subject {SUBJECT}", ELSEWHERE)
    refused = native(alice, "Nebraska", 2)
    assert refused.status == 403
    assert refused.error == f"this sender (subject {SUBJECT}) may send for Utah-* only; it asked for Nebraska"


def test_a_certificate_binds_a_gratia_probe_as_well(
    deployed: Deployment, proxy: str, utah: Certificate
) -> None:
    alice = deployed.caller(proxy, utah)
    assert gratia(alice, "Utah-Kingspeak", "ce.example.org", 3) == Answer(200, "OK")
    refused = gratia(alice, "Nebraska", "red.example.org", 4)
    assert refused.status == 403
    assert refused.text.startswith(f"Error: this sender (subject {SUBJECT}) may send for Utah-* only")


@pytest.mark.parametrize("protocol", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_sender_is_known_again_when_it_resumes_its_session(
    deployed: Deployment, proxy: str, utah: Certificate, protocol: ssl.TLSVersion
) -> None:
    alice = deployed.caller(proxy, utah)
    alice.context.maximum_version = protocol
    assert native(alice, "Utah-Kingspeak", 5).status == 202
    assert alice.session is not None
    assert native(alice, "Utah-Kingspeak", 6).status == 202
    assert alice.resumed


def test_both_proxies_write_a_subject_alike(deployed: Deployment, proxy: str, authority: Authority) -> None:
    odd = authority.client(f"odd-{proxy}", "CH", 'Hochschule "B+C", Zürich', "ce.example.org")
    refused = native(deployed.caller(proxy, odd), "Utah-Kingspeak", 7)
    assert refused.status == 401
    told = r"CN=ce.example.org,O=Hochschule \"B\+C\"\, Z\C3\BCrich,C=CH"
    assert refused.error == (
        f"the certificate's subject {told!r} is not known here; the operator names it, just so, in trust.certificates"
    )


@pytest.mark.parametrize("kind", ["of another authority", "expired"])
def test_a_certificate_that_is_not_good_is_not_believed(
    deployed: Deployment, proxy: str, authority: Authority, folder: Path, kind: str
) -> None:
    name = f"bad-{proxy}-{kind.split()[0]}"
    signer = authority if kind == "expired" else Authority(folder, f"stranger-{proxy}")
    bad = signer.client(
        name, "US", "University of Utah", "ce.example.edu", ends_in_days=-1 if kind == "expired" else 1
    )
    before = deployed.collector.posts()
    try:
        refused = native(deployed.caller(proxy, bad), "Utah-Kingspeak", 8)
    except (ssl.SSLError, ConnectionError):
        assert proxy == "haproxy"  # it ends the handshake; nginx answers
    else:
        assert (proxy, refused.status) == ("nginx", 400)
    assert deployed.collector.posts() == before


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
def test_a_subject_that_a_client_without_certificate_says_is_not_passed_on(
    deployed: Deployment, proxy: str, headers: list[str]
) -> None:
    mallory = deployed.caller(proxy)
    refused = native(mallory, "Utah-Kingspeak", 9, headers)
    assert refused.status == 401
    assert refused.error.startswith(NOBODY)
    refused = gratia(mallory, "Utah-Kingspeak", "ce.example.org", 10, headers)
    assert refused.status == 401
    assert refused.text == NOT_RECOGNISED


@pytest.mark.parametrize("headers", MISSHAPEN.values(), ids=MISSHAPEN.keys())
def test_a_subject_in_a_misshapen_header_is_not_believed(
    deployed: Deployment, proxy: str, headers: list[str]
) -> None:
    refused = native(deployed.caller(proxy), "Utah-Kingspeak", 11, headers)
    assert refused.status in (400, 401)
    if refused.status == 401:
        assert refused.error.startswith(NOBODY)


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
def test_a_client_with_a_certificate_is_who_its_certificate_says(
    deployed: Deployment, proxy: str, authority: Authority, utah: Certificate, headers: list[str]
) -> None:
    others = [line.replace("Utah", "Nebraska") for line in headers]
    assert native(deployed.caller(proxy, utah), "Utah-Kingspeak", 12, others).status == 202
    stranger = authority.client("unknown", "US", "Example", "bob.example.org")
    refused = native(deployed.caller(proxy, stranger), "Utah-Kingspeak", 13, headers)
    assert refused.status == 401
    assert "'CN=bob.example.org,O=Example,C=US' is not known here" in refused.error


def test_a_proxy_that_asks_for_no_certificates_passes_on_no_subjects(
    deployed: Deployment, proxy: str, authority: Authority, server_certificate: Certificate, folder: Path
) -> None:
    place, port, collector = folder / f"{proxy}-alone", free_port(), deployed.collector.port
    place.mkdir()
    if proxy == "haproxy":
        whole = haproxy_configuration(
            folder / "alone.socket", port, (collector,), server_certificate, authority
        )
        server = haproxy(place, port, put(whole, {f" ca-file {authority.certificate} verify optional": ""}))
    else:
        whole = nginx_server(port, collector, server_certificate, authority)
        server = nginx(place, port, re.sub(r"(?m)^ +ssl_(client_certificate|verify_\w+) .*\n", "", whole))
    with server:
        mallory = Caller(port, authority)
        wait_until(lambda: mallory.get("/readyz").status == 200, 30, "the collector is ready")
        for headers in FORGED.values():
            assert native(mallory, "Utah-Kingspeak", 18, headers).error.startswith(NOBODY)


def test_a_subject_in_a_trailer_is_not_believed(deployed: Deployment, proxy: str) -> None:
    request = (
        "POST /api/v1/batches?format=sacct&resource=Utah-Kingspeak HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"TE: trailers\r\nTrailer: X-SSL-Client-S-DN\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-SSL-Client-S-DN: {SUBJECT}\r\n\r\n"
    )
    assert deployed.caller(proxy).say(request.encode()).startswith(b"HTTP/1.1 401")


def test_an_old_probe_is_known_by_the_address_that_the_proxy_sees(deployed: Deployment, proxy: str) -> None:
    old = deployed.caller(proxy, address=OLD_PROBE)
    taken = native(old, "Nebraska", 14)
    assert taken.status == 202, taken.text
    assert kept(deployed.collector.home, taken) == (f"address {OLD_PROBE}", OLD_PROBE)
    assert gratia(old, "Nebraska", "red.example.org", 15) == Answer(200, "OK")


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-Forwarded-For: {OLD_PROBE}"],
        [f"x-forwarded-for: {OLD_PROBE}"],
        [f"X_Forwarded_For: {OLD_PROBE}"],
        [f"X-Forwarded-For: {OLD_PROBE}"] * 2,
        [f"X-Forwarded-For: {OLD_PROBE}, 127.0.0.1"],
        [f"X-Forwarded-For: {OLD_PROBE}", "Connection: X-Forwarded-For"],
        [f"X-Real-IP: {OLD_PROBE}", f"Forwarded: for={OLD_PROBE}", f"Client-IP: {OLD_PROBE}"],
    ],
)
def test_an_address_that_a_client_says_is_not_believed(
    deployed: Deployment, proxy: str, headers: list[str]
) -> None:
    mallory = deployed.caller(proxy)
    refused = native(mallory, "Nebraska", 16, headers)
    assert refused.status == 401
    assert refused.error.startswith(NOBODY)
    assert gratia(mallory, "Nebraska", "red.example.org", 17, headers).status == 401

"""Over https the collector must prove who it is before it sees the token."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.probes.fake_collector import FakeCollector, listening
from tests.probes.fake_site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector.example.org")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "collector.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    (folder / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[FakeCollector]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with listening(FakeCollector(), context) as collector:
        yield collector


@pytest.fixture
def site(tmp_path: Path, secure: FakeCollector) -> Site:
    site = Site(tmp_path, secure.url.replace("http:", "https:"), "file")
    site.set("file", paths=tmp_path / "a.swf", format="swf")
    (tmp_path / "a.swf").write_text("1 0\n")
    return site


def test_a_collector_that_cannot_prove_itself_never_sees_the_token(site: Site, secure: FakeCollector) -> None:
    verdict = site.once()
    assert verdict.level == 1
    assert "does [collector] ca_file hold its authority?" in verdict.line
    assert secure.requests == []


def test_the_federation_may_have_its_own_authority(site: Site, secure: FakeCollector) -> None:
    site.set("collector", ca_file=site.folder / "ca.pem")
    assert site.once().level == 0
    assert len(secure.deliveries) == 1


def test_an_authority_file_without_certificates_is_said(site: Site, secure: FakeCollector) -> None:
    (site.folder / "empty.pem").write_text("")
    site.set("collector", ca_file=site.folder / "empty.pem")
    verdict = site.once()
    assert verdict.level == 2
    assert "it must hold the certificates of its authorities" in verdict.line

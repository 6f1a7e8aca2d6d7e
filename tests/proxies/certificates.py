"""Certificates as sites and collectors have them, made for one test run: authorities, a server, clients."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gridkeeper import clock

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK = ipaddress.ip_address("127.0.0.1")


class Certificate:
    """A certificate with its key, in PEM files. `both`: chain and key in one file, as HAProxy wants them."""

    def __init__(
        self, folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        self.certificate, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        self.both = folder / f"{name}.pem"
        pem = certificate.public_bytes(Encoding.PEM)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.certificate.write_bytes(pem)
        self.key.write_bytes(secret)
        self.both.write_bytes(pem + secret)


class Authority(Certificate):
    """Signs for others."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        draft = _draft(self._subject, self._subject, self._key.public_key(), 1)
        draft = draft.add_extension(x509.BasicConstraints(True, 0), True)
        draft = draft.add_extension(_usage(signs_others=True), True)
        super().__init__(folder, name, draft.sign(self._key, hashes.SHA256()), self._key)

    def server(self, name: str) -> Certificate:
        """A certificate for a server on the loopback."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector.example.org")])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(LOOPBACK)])
        return self._signed(name, subject, names, ExtendedKeyUsageOID.SERVER_AUTH, 1)

    def client(
        self, name: str, country: str, organisation: str, host: str, ends_in_days: int = 1
    ) -> Certificate:
        """A certificate for a site's probe, with its subject from the country down."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, host),
            ]
        )
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        return self._signed(name, subject, names, ExtendedKeyUsageOID.CLIENT_AUTH, ends_in_days)

    def _signed(
        self,
        name: str,
        subject: x509.Name,
        names: x509.SubjectAlternativeName,
        purpose: x509.ObjectIdentifier,
        ends_in_days: int,
    ) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        draft = _draft(subject, self._subject, key.public_key(), ends_in_days)
        draft = draft.add_extension(names, False).add_extension(x509.ExtendedKeyUsage([purpose]), False)
        draft = draft.add_extension(x509.BasicConstraints(False, None), True)
        draft = draft.add_extension(_usage(signs_others=False), True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        draft = draft.add_extension(issuer, False)
        return Certificate(self._folder, name, draft.sign(self._key, hashes.SHA256()), key)


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, ends_in_days: int
) -> x509.CertificateBuilder:
    moment = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=2))
        .not_valid_after(moment + timedelta(days=ends_in_days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    )


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others, key_cert_sign=signs_others, crl_sign=signs_others,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip

"""Publishes messages to the ARGO Messaging Service over HTTP, signed where a certificate is named.

A publish call is a POST to `/v1/projects/PROJECT/topics/TOPIC:publish` with the token in `x-api-key`; it takes messages in
base64 with attributes, and answers with their numbers. Each message goes in a call of its own, since the service's limit is
one megabyte a call.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from typing import TYPE_CHECKING

import httpx

from gridkeeper.errors import BadConfiguration, GridkeeperError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gridkeeper.exports.apel import Message
    from gridkeeper.feed_settings import MessageService

TIMEOUT_S = 60.0
MOST_SAID_CHARACTERS = 200
# What stays so until somebody mends the message, the token or the address.
_PERMANENT = {400, 401, 403, 404, 413, 422}


class NotPublished(GridkeeperError):
    """The service did not take a message. Retryable: the same message again does no harm."""

    permanent = False


class RefusedByService(NotPublished):
    """The service will not take it: token, project, topic or size. Permanent."""

    permanent = True


def publish(service: MessageService, messages: Sequence[Message]) -> list[str]:
    """Publish messages, in order, one call each. Returns: the numbers that the service gave them.

    Raises: BadConfiguration (permanent) for files that cannot be read, RefusedByService (permanent), NotPublished (retryable);
            what was published before stays published.
    """
    token = _read(service.token_file, "token_file").decode("ascii", "replace").strip()
    sign = _Signer(service) if service.certificate is not None else None
    address = f"{service.url}/v1/projects/{service.project}/topics/{service.topic}:publish"
    numbers = []
    with httpx.Client(verify=_believed(service), timeout=TIMEOUT_S, headers={"x-api-key": token}) as client:
        for message in messages:
            text = sign(message.text) if sign else message.text
            name = f"{message.name.removesuffix('.apel')}-{hashlib.sha256(message.text).hexdigest()[:12]}"
            body = {
                "messages": [{"attributes": {"empaid": name}, "data": base64.b64encode(text).decode("ascii")}]
            }
            numbers += _published(client, address, message, body)
    return numbers


def _published(client: httpx.Client, address: str, message: Message, body: object) -> list[str]:
    try:
        answer = client.post(address, json=body)
    except httpx.HTTPError as error:
        raise NotPublished(f"{message.name}: {address} does not answer: {error}; try again") from error
    if answer.status_code != httpx.codes.OK:
        refused = RefusedByService if answer.status_code in _PERMANENT else NotPublished
        said = " ".join(answer.text.split())[:MOST_SAID_CHARACTERS]
        raise refused(f"{message.name}: {address} answers {answer.status_code}: {said}")
    try:
        numbers = answer.json()["messageIds"]
    except (ValueError, KeyError, TypeError):
        numbers = None
    if not isinstance(numbers, list) or len(numbers) != 1:
        raise NotPublished(
            f"{message.name}: {address} answers without the message's number; is it the messaging service?"
        )
    return [str(number) for number in numbers]


def _believed(service: MessageService) -> ssl.SSLContext | bool:
    if service.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=service.ca_file)
    except OSError as error:
        raise BadConfiguration(f"apel.ams.ca_file: {service.ca_file} cannot be used: {error}") from error


class _Signer:
    """Signs texts as an SSM does: S/MIME, in the clear, with the certificate that APEL knows the sender by."""

    def __init__(self, service: MessageService) -> None:
        # Takes long to import, and is needed by few.
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import pkcs7

        assert service.certificate is not None
        assert service.key is not None
        try:
            certificate = x509.load_pem_x509_certificate(_read(service.certificate, "certificate"))
            key = serialization.load_pem_private_key(_read(service.key, "key"), password=None)
            if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
                raise BadConfiguration(f"apel.ams.key: {service.key} is neither an RSA nor an EC key")
            self._builder = pkcs7.PKCS7SignatureBuilder()
            self._signer = (certificate, key, hashes.SHA256())
        except (ValueError, TypeError) as error:
            raise BadConfiguration(
                f"apel.ams: {service.certificate} or {service.key} is no PEM without a password: {error}"
            ) from error
        self._form = (
            serialization.Encoding.SMIME,
            [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Text],
        )

    def __call__(self, text: bytes) -> bytes:
        builder = self._builder.set_data(text).add_signer(*self._signer)
        return builder.sign(*self._form)


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfiguration(f"apel.ams.{key}: {path} cannot be read: {error.strerror}") from error

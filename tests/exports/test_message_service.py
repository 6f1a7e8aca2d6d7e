"""Publishing over real HTTP: what arrives is what was written, signed if asked; each refusal says what to do."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from gridkeeper.errors import BadConfiguration
from gridkeeper.exports.apel import messages
from gridkeeper.exports.message_service import NotPublished, RefusedByService, publish
from gridkeeper.feed_settings import MessageService
from gridkeeper.queries.periods import parse_month
from tests.exports.grids import NOW
from tests.exports.message_server import MOST_CALL_BYTES, TOKEN, messaging_service
from tests.exports.test_apel import many

if TYPE_CHECKING:
    from pathlib import Path

FEW = messages(parse_month("2017-01"), many(1001), "v0.4", NOW)


def settings(folder: Path, url: str, **more: object) -> MessageService:
    token = folder / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    named = {"url": url, "project": "accounting", "topic": "grid", "token_file": token}
    return MessageService.model_validate(named | more)


def certificate(folder: Path) -> dict[str, Path]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounting.example.org")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(moment - timedelta(days=1)).not_valid_after(moment + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = {"certificate": folder / "host.pem", "key": folder / "key.pem"}
    files["certificate"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files["key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


def test_each_message_arrives_as_it_was_written_in_a_call_of_its_own(tmp_path: Path) -> None:
    with messaging_service() as service:
        assert publish(settings(tmp_path, service.url), FEW) == ["1", "2", "3"]
    assert [text for _, text in service.published] == [message.text for message in FEW]
    names = [name for name, _ in service.published]
    assert len(set(names)) == 3
    assert names[0].startswith("apel-2017-01-v0.4-summaries-0001-")


def test_the_same_message_has_the_same_name_again(tmp_path: Path) -> None:
    with messaging_service() as service:
        for _ in range(2):
            publish(settings(tmp_path, service.url), FEW[:1])
    (first, _), (again, _) = service.published
    assert first == again


def test_a_signed_message_is_verified_by_openssl(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl")
    files = certificate(tmp_path)
    with messaging_service() as service:
        publish(settings(tmp_path, service.url, **files), FEW[:1])
    ((_, signed),) = service.published
    assert signed.startswith(b"MIME-Version: 1.0")
    command = [openssl, "smime", "-verify", "-text", "-CAfile", str(files["certificate"])]
    verified = subprocess.run(command, input=signed, capture_output=True, check=True)
    assert verified.stdout.replace(b"\r\n", b"\n").strip() == FEW[0].text.strip()


def test_the_largest_message_fits_into_a_call_signed(tmp_path: Path) -> None:
    largest = messages(parse_month("2017-01"), {key._replace(site="S" * 255, submit_host="h" * 255): sums for key, sums in many(1000, "/CN=" + "x" * 240 + "{}").items()}, "v0.4", NOW)  # fmt: skip
    with messaging_service() as service:
        publish(settings(tmp_path, service.url, **certificate(tmp_path)), largest)
    assert max(len(text) for _, text in service.published) * 4 / 3 < MOST_CALL_BYTES


@pytest.mark.parametrize(
    ("more", "status"),
    [({"topic": "other"}, 404), ({"project": "nobody"}, 404)],
)
def test_a_wrong_topic_is_permanent(tmp_path: Path, more: dict[str, str], status: int) -> None:
    with messaging_service() as service, pytest.raises(RefusedByService, match=f"answers {status}"):
        publish(settings(tmp_path, service.url, **more), FEW)


def test_a_wrong_token_is_permanent_and_is_not_printed(tmp_path: Path) -> None:
    with messaging_service() as service:
        named = settings(tmp_path, service.url)
        named.token_file.write_text("a-wrong-secret", encoding="utf-8")
        with pytest.raises(RefusedByService, match="answers 401") as refused:
            publish(named, FEW)
    assert "a-wrong-secret" not in str(refused.value)


@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_a_service_that_fails_is_tried_again_later(tmp_path: Path, status: int) -> None:
    with messaging_service() as service:
        service.fails_after, service.fails_with = 1, status
        with pytest.raises(NotPublished) as failed:
            publish(settings(tmp_path, service.url), FEW)
        assert not failed.value.permanent
        assert len(service.published) == 1


def test_nobody_there_is_retryable(tmp_path: Path) -> None:
    with messaging_service() as service:
        url = service.url
    with pytest.raises(NotPublished, match="does not answer"):
        publish(settings(tmp_path, url), FEW)


@pytest.mark.parametrize("said", [b"hello", b"{}", b'{"messageIds": []}', b"[]"])
def test_an_answer_without_a_number_is_no_success(tmp_path: Path, said: bytes) -> None:
    with messaging_service() as service:
        service.says = said
        with pytest.raises(NotPublished, match="without the message's number"):
            publish(settings(tmp_path, service.url), FEW[:1])


def test_files_that_are_missing_or_no_keys_are_named(tmp_path: Path) -> None:
    with messaging_service() as service:
        named = settings(tmp_path, service.url)
        named.token_file.unlink()
        with pytest.raises(BadConfiguration, match=r"apel\.ams\.token_file: .* cannot be read"):
            publish(named, FEW)
        files = certificate(tmp_path)
        files["key"].write_text("no key", encoding="utf-8")
        with pytest.raises(BadConfiguration, match="no PEM"):
            publish(settings(tmp_path, service.url, **files), FEW)
        assert service.published == []

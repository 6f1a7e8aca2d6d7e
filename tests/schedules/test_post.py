"""Handing a message over: encrypted and logged in where that is asked for, each recipient's answer by itself, no secret told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.schedules import post as room
from gridkeeper.schedules.post import MailUnavailable, post
from gridkeeper.settings import Mail
from tests.schedules.conftest import ALICE, BOB, CAROL
from tests.schedules.mail_server import MailServer, certificate_of

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = b"Subject: A report\r\n\r\nOne line.\r\n.\r\n.two dots\r\n"
PASSWORD = "correct horse"


def mail(server: MailServer, **changes: Any) -> Mail:
    return Mail.model_validate(
        {"host": "127.0.0.1", "port": server.port, "sender": "gridkeeper@example.org"} | changes
    )


@pytest.fixture
def secured(mail_server: MailServer, tmp_path: Path) -> Mail:
    """A server that speaks TLS and wants to be logged in at, and the settings that fit it."""
    context, believed = certificate_of(tmp_path)
    mail_server.behaviour.certificate = context
    mail_server.behaviour.account = ("gridkeeper", PASSWORD)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    return mail(mail_server, starttls=True, ca_file=believed, user="gridkeeper", password_file=secret)


def test_a_message_arrives_byte_for_byte(mail_server: MailServer) -> None:
    answers = post(mail(mail_server), MESSAGE, [ALICE, BOB])
    assert answers == dict.fromkeys((ALICE, BOB), ("delivered", "250 2.0.0 queued as 4711"))
    [received] = mail_server.taken
    assert (received.sender, received.recipients) == ("gridkeeper@example.org", (ALICE, BOB))
    assert received.raw == MESSAGE


def test_every_refusal_is_told_by_itself(mail_server: MailServer) -> None:
    mail_server.behaviour.refuses = {BOB: "550 5.1.1 no such user", CAROL: "452 4.2.2 mailbox full"}
    assert post(mail(mail_server), MESSAGE, [ALICE, BOB, CAROL]) == {
        ALICE: ("delivered", "250 2.0.0 queued as 4711"),
        BOB: ("refused", "550 5.1.1 no such user"),
        CAROL: ("later", "452 4.2.2 mailbox full"),
    }


def test_where_all_are_refused_nothing_is_sent(mail_server: MailServer) -> None:
    mail_server.behaviour.refuses = {ALICE: "550 no"}
    assert post(mail(mail_server), MESSAGE, [ALICE]) == {ALICE: ("refused", "550 no")}
    assert mail_server.taken == []


def test_a_refused_message_is_refused_to_all(mail_server: MailServer) -> None:
    mail_server.behaviour.refuses_data = "552 5.3.4 too large"
    assert post(mail(mail_server), MESSAGE, [ALICE, BOB]) == dict.fromkeys(
        (ALICE, BOB), ("refused", "552 5.3.4 too large")
    )


def test_encrypted_and_logged_in(mail_server: MailServer, secured: Mail) -> None:
    assert post(secured, MESSAGE, [ALICE])[ALICE][0] == "delivered"
    assert len(mail_server.taken) == 1


def test_a_certificate_that_nobody_signed_is_not_believed(mail_server: MailServer, secured: Mail) -> None:
    with pytest.raises(MailUnavailable, match="its certificate is not trusted: self-signed certificate"):
        post(secured.model_copy(update={"ca_file": None}), MESSAGE, [ALICE])
    assert mail_server.taken == []


def test_a_certificate_for_another_host_is_not_believed(mail_server: MailServer, tmp_path: Path) -> None:
    mail_server.behaviour.certificate, believed = certificate_of(tmp_path, "192.0.2.1")
    with pytest.raises(MailUnavailable, match="its certificate is not trusted: IP address mismatch"):
        post(mail(mail_server, starttls=True, ca_file=believed), MESSAGE, [ALICE])


def test_a_server_that_cannot_encrypt_gets_nothing(mail_server: MailServer) -> None:
    with pytest.raises(MailUnavailable, match="STARTTLS"):
        post(mail(mail_server, starttls=True), MESSAGE, [ALICE])
    assert mail_server.taken == []


def test_a_wrong_password_is_not_told(secured: Mail) -> None:
    assert secured.password_file is not None
    secured.password_file.write_text("wrong battery")
    with pytest.raises(MailUnavailable, match=r"535 5\.7\.8 wrong account or password") as refused:
        post(secured, MESSAGE, [ALICE])
    assert "wrong battery" not in str(refused.value)


def test_a_password_file_that_is_not_there_is_named(secured: Mail) -> None:
    assert secured.password_file is not None
    secured.password_file.unlink()
    with pytest.raises(MailUnavailable, match="password, cannot be read: No such file"):
        post(secured, MESSAGE, [ALICE])


def test_a_server_that_is_not_there_can_be_tried_again(mail_server: MailServer) -> None:
    mail_server.stop()
    with pytest.raises(
        MailUnavailable, match=r"127\.0\.0\.1:\d+ could not be used: Connection refused"
    ) as down:
        post(mail(mail_server), MESSAGE, [ALICE])
    assert not down.value.permanent


def test_a_sender_that_is_not_taken_is_told(mail_server: MailServer) -> None:
    mail_server.behaviour.refuses_sender = "553 5.1.8 who are you"
    with pytest.raises(MailUnavailable) as refused:
        post(mail(mail_server), MESSAGE, [ALICE])
    assert str(refused.value).endswith("takes no mail from gridkeeper@example.org: 553 5.1.8 who are you")


def test_a_server_that_does_not_answer_is_left(mail_server: MailServer) -> None:
    mail_server.hold["rcpt"] = threading.Event()
    with pytest.raises(MailUnavailable, match="it did not answer in time"):
        post(mail(mail_server), MESSAGE, [ALICE], timeout_s=0.2)


def test_a_server_that_is_slow_with_many_recipients_is_left(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_SECONDS_TO_ADDRESS", -1.0)
    with pytest.raises(MailUnavailable, match="too slow to take 2 recipients"):
        post(mail(mail_server), MESSAGE, [ALICE, BOB])
    assert mail_server.taken == []


def test_a_connection_that_breaks_before_the_message_leaves_nothing_in_doubt(mail_server: MailServer) -> None:
    mail_server.behaviour.breaks_at = "rcpt"
    with pytest.raises(MailUnavailable):
        post(mail(mail_server), MESSAGE, [ALICE])


def test_a_connection_that_breaks_after_the_message_leaves_it_in_doubt(mail_server: MailServer) -> None:
    mail_server.behaviour.breaks_at = "data"
    answer, said = post(mail(mail_server), MESSAGE, [ALICE])[ALICE]
    assert answer == "unclear"
    assert said.startswith("the connection broke while the message was sent")


def test_a_long_answer_with_strange_letters_is_one_short_line(mail_server: MailServer) -> None:
    mail_server.behaviour.refuses = {ALICE: "550 \x1b[31mred\x07 " + "x" * 400}
    _, said = post(mail(mail_server), MESSAGE, [ALICE])[ALICE]
    assert said.startswith("550 [31mred xxx")
    assert len(said) == room.MOST_SAID

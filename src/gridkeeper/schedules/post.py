"""Hands a message to the mail server, and says what became of each recipient by itself."""

from __future__ import annotations

import smtplib
import ssl
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from gridkeeper.errors import GridkeeperError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gridkeeper.settings import Mail

TIMEOUT_S = 30.0  # for one answer of the server
MESSAGE_TIMEOUT_S = 300.0  # for sending the message, and for the answer to it
MOST_SECONDS_TO_ADDRESS = 600.0  # for all recipients; well below the time after which a claim is stale
MOST_SAID = 300  # letters of a server's answer that are kept
_PERMANENT = 500

Answer = Literal["delivered", "refused", "later", "unclear"]


class MailUnavailable(GridkeeperError):
    """The message could not be handed over now; no recipient has it. Retryable."""

    permanent = False


def post(
    mail: Mail, message: bytes, recipients: Sequence[str], timeout_s: float = TIMEOUT_S
) -> dict[str, tuple[Answer, str]]:
    """Hand a message over.

    Returns: for each recipient what the server answered, and its words. delivered: it has taken the message over;
             refused: for good; later: for now; unclear: the connection broke before it had answered, so it
             may have the message or not.
    Raises:  MailUnavailable (retryable).
    """
    answers: dict[str, tuple[Answer, str]] = {}
    with _connected(mail, timeout_s) as server:
        code, said = server.mail(mail.sender)
        if code >= 400:
            raise MailUnavailable(f"{_name(mail)} takes no mail from {mail.sender}: {_words(code, said)}")
        begun = time.monotonic()
        for recipient in recipients:
            if time.monotonic() - begun > MOST_SECONDS_TO_ADDRESS:
                raise MailUnavailable(f"{_name(mail)} was too slow to take {len(recipients)} recipients")
            code, said = server.rcpt(recipient)
            if code >= 400:
                answers[recipient] = (_no(code), _words(code, said))
        taken = [recipient for recipient in recipients if recipient not in answers]
        if not taken:
            return answers
        if server.sock is not None:
            server.sock.settimeout(max(timeout_s, MESSAGE_TIMEOUT_S))
        try:
            code, said = server.data(message)
        except smtplib.SMTPDataError as error:  # it did not let the message begin
            code, said = error.smtp_code, _bytes(error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            broke = f"the connection broke while the message was sent: {_reason(error)}"
            return answers | dict.fromkeys(taken, ("unclear", broke))
        answer: Answer = "delivered" if code < 400 else _no(code)
        return answers | dict.fromkeys(taken, (answer, _words(code, said)))


@contextmanager
def _connected(mail: Mail, timeout_s: float) -> Iterator[smtplib.SMTP]:
    """The server, greeted, encrypted and logged in as the settings say."""
    if mail.host is None:
        raise MailUnavailable("no mail server is named; name one as host under [mail] in gridkeeper.toml")
    try:
        with closing(smtplib.SMTP(mail.host, mail.port, timeout=timeout_s)) as server:
            if mail.starttls:
                server.starttls(context=ssl.create_default_context(cafile=mail.ca_file))
            server.ehlo_or_helo_if_needed()
            if mail.user is not None and mail.password_file is not None:
                server.login(mail.user, _password(mail.password_file))
            yield server
            with suppress(smtplib.SMTPException, OSError):
                server.quit()  # whatever it says to that, the message is handed over
    except (smtplib.SMTPException, OSError) as error:
        raise MailUnavailable(f"{_name(mail)} could not be used: {_reason(error)}") from error


def _password(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise MailUnavailable(
            f"{file}, the file with the mail server's password, cannot be read: {error.strerror}"
        ) from error


def _no(code: int) -> Answer:
    return "refused" if code >= _PERMANENT else "later"


def _name(mail: Mail) -> str:
    return f"the mail server {mail.host}:{mail.port}"


def _words(code: int, said: bytes) -> str:
    """What a server said, in one line that cannot be taken for anything else."""
    text = said.decode("utf-8", "replace")
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"{code} {' '.join(plain.split())}"[:MOST_SAID]


def _reason(error: Exception) -> str:
    match error:
        case smtplib.SMTPResponseException():
            return _words(error.smtp_code, _bytes(error.smtp_error))
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case TimeoutError() | smtplib.SMTPServerDisconnected(__context__=TimeoutError()):
            return "it did not answer in time"
        case _:
            return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:MOST_SAID]


def _bytes(said: bytes | str) -> bytes:
    return said if isinstance(said, bytes) else said.encode()

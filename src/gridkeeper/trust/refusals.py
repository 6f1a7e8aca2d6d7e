"""How the door says no: not recognised (401), not allowed (403), or not to be told now (503), each with a sentence."""

from __future__ import annotations

from gridkeeper.errors import GridkeeperError

REALM = "gridkeeper"
MOST_SHOWN_CHARACTERS = 200


class Refusal(GridkeeperError):
    """A request that is refused.

    status:    the HTTP status of the answer.
    challenge: the value of its `WWW-Authenticate` header; None where it has none.
    """

    status = 403
    challenge: str | None = None


class NotRecognised(Refusal):
    """Nobody can say who sends this. 401. Permanent: the same request is refused again.

    error: the word of RFC 6750; None where no credentials were offered.
    """

    status = 401

    def __init__(self, sentence: str, error: str | None = "invalid_token") -> None:
        super().__init__(sentence)
        self.challenge = f'Bearer realm="{REALM}"' + (f', error="{error}"' if error else "")


class NotAllowed(Refusal):
    """The sender is known and may not do this. 403. Permanent."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.challenge = f'Bearer realm="{REALM}", error="insufficient_scope"'


class CannotTell(Refusal):
    """Whether the sender is who it says cannot be told now, as an issuer's keys cannot be had. 503. Retryable."""

    permanent = False
    status = 503


def shown(text: str, most: int = MOST_SHOWN_CHARACTERS) -> str:
    """A stranger's words made fit for logs and sentences: printable, on one line, of bounded length."""
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in text[: most + 1]
    )
    return line if len(line) <= most else line[: most - 1] + "…"

"""Asks issuers and providers over the network: only over https, bounded in size and time, and never sent elsewhere."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from gridkeeper.login_settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_BYTES = 256 * 1024
STEP_SECONDS = 5.0  # to connect, and between two pieces of the answer
ANSWER_SECONDS = 10.0  # the whole answer


class Unreadable(Exception):
    """A document cannot be had or used; the words say why. Caught where something is made of it."""


@dataclass(frozen=True)
class Answer:
    """What was answered. url: who answered, for sentences."""

    url: str
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The JSON object that it is. Raises: Unreadable."""
        return json_object(self.body, self.url)


def ask(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
    loopback_allowed: bool = True,
) -> Answer:
    """Ask for a small document. Redirects are not followed, whatever is sent along.

    form:  what to post; nothing: the document is got. login: a name and a password, as HTTP's Basic has them.
    Blocks: for ANSWER_SECONDS at most.
    Raises: Unreadable.
    """
    fault = fault_of(url) or ("it is on this machine" if on_loopback(url) and not loopback_allowed else None)
    if fault:
        raise Unreadable(f"{url} is not asked, as {fault}")
    deadline = time.monotonic() + ANSWER_SECONDS
    # Compressed answers are not asked for: the limit holds for what arrives.
    said = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
    try:
        with (
            httpx.Client(
                timeout=STEP_SECONDS, follow_redirects=False, trust_env=not on_loopback(url)
            ) as client,
            client.stream(
                "GET" if form is None else "POST", url, headers=said, data=form, auth=login and httpx.BasicAuth(*login)
            ) as answer,
        ):  # fmt: skip
            body = bytearray()
            for piece in answer.iter_raw():
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise Unreadable(f"{url} answered with more than {ANSWER_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise Unreadable(f"{url} took longer than {ANSWER_SECONDS:.0f} s")
            return Answer(url, answer.status_code, bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Unreadable(f"{url} cannot be read: {error or type(error).__name__}") from error


def fault_of(url: str) -> str | None:
    """Say what is wrong with an address that is to be trusted; None: nothing."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "it is no address"
    if not host or parts.username is not None:
        return "it names no host, or a user"
    if parts.scheme == "https" or (parts.scheme == "http" and on_loopback(url)):
        return None
    return "it is not https, so that anybody on the way could give other keys"


def on_loopback(url: str) -> bool:
    """Whether an address is of this machine."""
    return is_loopback(urlsplit(url).hostname or "")


def json_object(text: bytes, place: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises: Unreadable, naming the place."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{place} is no JSON") from error
    if not isinstance(content, dict):
        raise Unreadable(f"{place} is no JSON object")
    return content

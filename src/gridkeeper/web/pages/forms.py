"""Reads the forms that visitors send: bounded, from a page of ours, and with the key of the visitor's session."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web import receiving
from gridkeeper.web.cookies import must_come_from_here
from gridkeeper.web.errors import Answered

if TYPE_CHECKING:
    from starlette.requests import Request

    from gridkeeper.trust.visitors import Visitor

FORM_BYTES = 64 * 1024
MOST_FIELDS = 1000
IDLE_SECONDS = 30.0
KEY = "form_key"
_KIND = "application/x-www-form-urlencoded"


class Form:
    """What a form says: names and values, in order, names may repeat."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def all(self, name: str) -> list[str]:
        """All values of a name."""
        return [value for key, value in self._pairs if key == name]

    def one(self, name: str, default: str | None = None) -> str:
        """The value of a name. Raises: Answered (400) where it is there twice, or not at all without a default."""
        values = self.all(name)
        if not values and default is not None:
            return default
        if len(values) != 1:
            raise Answered(400, f"the form must have the field {name} once; it has it {len(values)} times")
        return values[0]


async def form_of(request: Request, visitor: Visitor) -> Form:
    """Read the form of a known visitor that changes something.

    By a session: the form must carry the session's key in the field `form_key`, and come from a page of ours. By a token
    in the `Authorization` header, which no page of others can make a browser send: it needs neither.
    Raises: NotAllowed (403) for the public, without the key, or from elsewhere; Answered (400, 415);
            receiving.BodyTooLarge, SenderTooSlow, SenderGone.
    """
    if not visitor.is_known:
        raise NotAllowed("nobody is logged in, so nothing is changed; log in and send the form again")
    if visitor.session is None:
        return await read_form(request)
    must_come_from_here(request, request.app.state.server)
    form = await read_form(request)
    must_carry(form, visitor.form_key)
    return form


def must_carry(form: Form, key: str | None) -> None:
    """Hold a form to a key, in the same time whatever it carries. Raises: NotAllowed (permanent)."""
    carried = form.all(KEY)
    if key is None or len(carried) != 1 or not hmac.compare_digest(carried[0].encode(), key.encode()):
        raise NotAllowed(
            "the form does not carry this session's key; it was open since before you logged in, or another page sent it: "
            "load the page anew and send it again"
        )


async def read_form(request: Request) -> Form:
    """Read an urlencoded form, of whomever. Raises: Answered (400, 415); receiving.BodyTooLarge, SenderTooSlow, SenderGone."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _KIND:
        raise Answered(415, f"a form is sent as {_KIND}")
    try:
        body = await receiving.whole(request, FORM_BYTES, IDLE_SECONDS)
    except receiving.BodyTooLarge:
        raise Answered(413, f"a form has at most {FORM_BYTES:,} bytes (FORM_BYTES)") from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:  # not ASCII, not UTF-8 behind the percent signs, or too many
        raise Answered(
            400, f"the form cannot be read; expected at most {MOST_FIELDS:,} urlencoded fields in UTF-8"
        ) from error
    if any("\0" in text for pair in pairs for text in pair):
        raise Answered(400, "the form has a NUL in it, which no text here may have")
    return Form(pairs)

"""The door for Gratia probes: `POST /gratia-servlets/rmi`, answered as their senders expect.

Their clients look at the body alone: exactly `OK` (two bytes) means that the records may be deleted, so it is
said only when they are on disk, and nothing else ever begins with it. What is in a post is not judged here: a
client sends again for ever what is not answered with OK, so a bad record goes to the quarantine instead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.database import DatabaseUnavailable
from gridkeeper.intake.gratia_post import COMMANDS, command_of, sender_of
from gridkeeper.intake.inbox import PART_BYTES, Arrival, Refusal
from gridkeeper.intake.opening import GRATIA_POST
from gridkeeper.trust.refusals import NotRecognised, shown
from gridkeeper.trust.refusals import Refusal as TrustRefusal
from gridkeeper.web import receiving
from gridkeeper.web.access import recognised
from gridkeeper.web.metrics import RECEIVED_BATCHES, RECEIVED_BYTES, REFUSED_REQUESTS

if TYPE_CHECKING:
    from gridkeeper.web.services import Services

TOO_LARGE = "Error: java.lang.IllegalStateException: Post too large"
# The whole body, to the byte: their clients compare it so, and then stop until their next run instead of sending
# bundle after bundle to a collector that knows them not. They keep their files. Why, says the challenge.
NOT_RECOGNISED = "Error: The certificate has been rejected by the Gratia Collector!"


def router(services: Services) -> APIRouter:
    """The one address that Gratia probes post to."""
    door = APIRouter()
    limits = services.settings.intake

    @door.post("/gratia-servlets/rmi", include_in_schema=False)
    async def rmi(request: Request) -> Response:
        try:
            sender = await recognised(services, request)
            body = await receiving.whole(request, limits.post_bytes, limits.idle_seconds)
            command = command_of(body)
            if command.lower() not in COMMANDS:
                return _error(400, f"Error: Unknown Command: {shown(command)}", "unknown_command")
            probe = sender_of(body)
            await run_in_threadpool(services.must_send_for, sender, None, probe)
            binding = services.binding(sender, services.now())
            arrival = Arrival(
                "gratia", GRATIA_POST, "identity", sender.name, sender.address, probe=probe, binding=binding
            )
            await _kept(services, arrival, body)
        except NotRecognised as error:
            challenge = {"WWW-Authenticate": described(error)}
            return _error(error.status, NOT_RECOGNISED, "trust", headers=challenge)
        except TrustRefusal as error:
            return _error(error.status, f"Error: {error}", "trust")
        except receiving.BodyTooLarge:
            return _error(413, TOO_LARGE, "body_bytes")
        except receiving.SenderTooSlow:
            return _error(408, "Error: the sender was too slow; nothing of the post was kept", "slow")
        except receiving.SenderGone:
            return _error(400, "Error: the sender broke off", "broken_off")
        except Refusal as error:
            return _error(503, f"Error: {error}", "inbox", error.retry_after_s)
        except DatabaseUnavailable as error:
            return _error(503, f"Error: {error}", "database", 30)
        RECEIVED_BATCHES.labels("gratia").inc()
        RECEIVED_BYTES.labels("gratia").inc(len(body))
        return Response(b"OK", media_type="text/plain")

    return door


async def _kept(services: Services, arrival: Arrival, body: bytes) -> None:
    """Return when the post is on disk. Raises: inbox.Refusal, DatabaseUnavailable (retryable); nothing of it is kept then."""
    upload = await run_in_threadpool(services.inbox.open_upload, arrival)
    try:
        for start in range(0, len(body) - PART_BYTES, PART_BYTES):
            await asyncio.wrap_future(services.inbox.add_part(upload, body[start : start + PART_BYTES]))
        await asyncio.wrap_future(services.inbox.finish(upload, body[upload.bytes :]))
    except BaseException:
        if upload.parts:
            services.inbox.abandon(upload)
        raise


def described(error: NotRecognised) -> str:
    """The challenge with the sentence in it (`error_description` of RFC 6750, which has neither quotes nor letters beyond ASCII)."""
    sentence = str(error).replace("\\", "/").replace('"', "'").encode("ascii", "replace").decode()
    return f'{error.challenge}, error_description="{sentence}"'


def _error(
    status: int,
    text: str,
    reason: str,
    retry_after_s: int | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    REFUSED_REQUESTS.labels(reason).inc()
    told = (headers or {}) | ({"Retry-After": str(retry_after_s)} if retry_after_s else {})
    return Response(text.encode(), status, told, media_type="text/plain")

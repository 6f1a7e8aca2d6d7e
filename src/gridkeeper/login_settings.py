"""What `gridkeeper.toml` says of people: how they log in, who is who; and how addresses are written in it."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is no mail address; write it as alice@example.org")
    return text


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if not _HOST.fullmatch(parts.netloc) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no such address; write it as https://accounting.example.org")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError(f"{text!r} must begin with https://, or passwords and cookies travel in the open")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def is_loopback(host: str) -> bool:
    """Say whether a host, as addresses name it, is this machine."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


Address = Annotated[str, AfterValidator(_address)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Oidc(_Table):
    """`[login.oidc]`: the provider at which people log in."""

    issuer: str = Field(description="its address, exactly as its discovery document says it")
    client_id: str = Field(min_length=1, description="under which name it knows this server")
    client_secret_file: Path | None = Field(
        default=None,
        description="a file with the secret, in the home or absolute; nothing: this server is a public client",
    )
    name: str = Field(
        default="your organisation", max_length=80, description="what the button says: `Log in with NAME`"
    )
    scopes: tuple[str, ...] = Field(
        default=("openid", "profile", "email"), description="what it is asked to say of people"
    )
    groups_claim: str = Field(default="groups", description="under which claim it says a person's groups")


class Person(_Table):
    """`[[login.people]]`: what a person, or everybody of a group, may see."""

    subject: str | None = Field(default=None, description="the provider's `sub` of the person, exactly")
    email: Address | None = Field(
        default=None, description="the mail address; counts only where the provider says `email_verified`"
    )
    group: str | None = Field(default=None, description="a group that the provider says, exactly")
    role: Literal["viewer", "site-contact", "vo-contact", "operator", "admin"] = Field(description="the role")
    sites: tuple[str, ...] = Field(default=(), description="of a site contact; * for any letters")
    resources: tuple[str, ...] = Field(default=(), description="of a site contact; * for any letters")
    vos: tuple[str, ...] = Field(default=(), description="of a VO contact; * for any letters")
    users: tuple[str, ...] = Field(default=(), description="the names under which the person's own jobs run")

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Person:
        if sum(bool(each) for each in (self.subject, self.email, self.group)) != 1:
            raise ValueError("an entry is for one of subject, email and group; write one of them")
        return self


class Login(_Table):
    """`[login]`: who may look at what is not public, and for how long."""

    session_hours: int = Field(default=12, ge=1, le=24 * 31, description="after so long one logs in anew")
    idle_minutes: int = Field(
        default=120, ge=5, le=60 * 24 * 31, description="who asks for nothing for so long logs in anew"
    )
    failures_per_minute: int = Field(
        default=10, ge=1, description="the most failed logins of one address in a minute"
    )
    begun_per_minute: int = Field(
        default=60, ge=1, description="the most logins by the provider that one address begins in a minute"
    )
    strangers: Literal["refuse", "viewer"] = Field(
        default="refuse",
        description="what becomes of whom the provider knows and `login.people` does not name: `refuse`, or the role `viewer`",
    )
    oidc: Oidc | None = Field(default=None, description="login by a provider (OpenID Connect)")
    people: tuple[Person, ...] = Field(default=(), description="who is who")

"""Who is who among people that a provider knows: the settings' entries for a subject, a mail address or a group."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gridkeeper.errors import BadConfiguration
from gridkeeper.trust.bindings import fault_of
from gridkeeper.trust.refusals import NotAllowed, shown
from gridkeeper.trust.visitors import Visitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.login_settings import Login, Oidc, Person

MOST_SHOWN_CHARACTERS = 60
MOST_GROUPS = 1000
_KINDS = ("sites", "resources", "vos", "users")


def check(login: Login) -> None:
    """Hold the entries to what their roles may be bound to. Raises: BadConfiguration (permanent) with the entry's place."""
    if login.people and login.oidc is None:
        raise BadConfiguration("login.people: nobody logs in by a provider; name one in [login.oidc]")
    for place, person in enumerate(login.people):
        if fault := fault_of(person.role, {kind: getattr(person, kind) for kind in _KINDS}):
            raise BadConfiguration(f"login.people.{place}: {fault}")


@lru_cache(maxsize=16)
def fingerprint(login: Login) -> str:
    """A hash of the settings that give people their roles: where they change, sessions made by the old ones end."""
    told = login.model_dump_json(
        include={"oidc": {"issuer", "client_id", "groups_claim"}, "people": True, "strangers": True}
    )
    return hashlib.sha256(told.encode()).hexdigest()


def visitor_of(claims: Mapping[str, Any], login: Login, oidc: Oidc, address: str) -> Visitor:
    """Say who somebody is whom the provider vouches for.

    claims:  verified; `sub` is a printable text of bounded length.
    Returns: the first entry that fits says the role; those after it that fit and say the same role add what they are
             bound to, and all that fit add user names.
    Raises:  NotAllowed (permanent) where nothing fits and strangers are refused.
    """
    subject: str = claims["sub"]
    fitting = [person for person in login.people if _fits(person, claims, oidc)]
    if not fitting and login.strangers == "refuse":
        raise NotAllowed(
            f"{oidc.name} knows you as subject {shown(subject)!r}, and nobody has said here what you may see; "
            "ask an operator to name that subject in login.people"
        )
    role = fitting[0].role if fitting else "viewer"
    same = [person for person in fitting if person.role == role]
    sets = {
        kind: frozenset(name for person in same for name in getattr(person, kind)) for kind in _KINDS[:-1]
    }
    users = frozenset(name for person in fitting for name in person.users)
    return Visitor(_name(claims), role, address, sets["sites"], sets["resources"], sets["vos"], users)


def _fits(person: Person, claims: Mapping[str, Any], oidc: Oidc) -> bool:
    if person.subject is not None:
        return bool(person.subject == claims["sub"])
    if person.email is not None:
        return person.email.lower() == _email(claims)
    return person.group in _groups(claims, oidc)


def _email(claims: Mapping[str, Any]) -> str | None:
    """The address that the provider has verified; what people merely say of themselves is nobody's."""
    email = claims.get("email")
    # Letters beyond ASCII may look or lower-case like others (the Kelvin sign becomes a k).
    if claims.get("email_verified") is not True or not isinstance(email, str) or not email.isascii():
        return None
    return email.lower()


def _groups(claims: Mapping[str, Any], oidc: Oidc) -> list[str]:
    said = claims.get(oidc.groups_claim)
    listed = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    return [group for group in listed[:MOST_GROUPS] if isinstance(group, str)]


def _name(claims: Mapping[str, Any]) -> str:
    """How pages and the audit name a person: what the provider calls it, which may be anything, and who it is."""
    for claim in ("name", "preferred_username", "email"):
        said = claims.get(claim)
        if isinstance(said, str) and said.strip():
            called = shown(said.strip().replace("(", "").replace(")", ""), MOST_SHOWN_CHARACTERS)
            return f"{called} (oidc {claims['sub']})"
    return f"somebody (oidc {claims['sub']})"

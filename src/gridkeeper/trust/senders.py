"""Who sends: a recognised sender, its role, what it may send for, and the sentence where it may not."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

from gridkeeper.trust.refusals import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

Role = Literal["probe", "viewer", "site-contact", "vo-contact", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
# Who reads and changes; each may do what those of a lower rank may. A probe stands outside: it sends, and reads nothing.
RANKS: dict[Role, int] = {"viewer": 1, "site-contact": 1, "vo-contact": 1, "operator": 2, "admin": 3}
SENDING: frozenset[Role] = frozenset({"probe", "operator", "admin"})
CONTACTS: frozenset[Role] = frozenset({"site-contact", "vo-contact"})
MOST_NAMES_IN_A_SENTENCE = 10


@dataclass(frozen=True)
class Sender:
    """Somebody who was recognised.

    name:      what logs, archive and audit show; never a secret: `token 3f2a9c81 (Utah CE)`, `subject CN=...`, `address 10.1.2.3`.
    role:      one of ROLES.
    resources: what a probe may send for, or a site contact speaks for, exact or with `*`; None: any (operators, admins,
               and senders trusted by address).
    vos:       the VOs of whose records it may send, or for which a VO contact speaks; empty: not bound to VOs.
    address:   where the request came from, as far as listed proxies can be believed.
    sites:     what a site contact speaks for beside resources.
    users:     the names under which the jobs of who reads run.
    """

    name: str
    role: Role
    resources: frozenset[str] | None
    vos: frozenset[str]
    address: str
    sites: frozenset[str] = field(default_factory=frozenset)
    users: frozenset[str] = field(default_factory=frozenset)

    @property
    def sends(self) -> bool:
        """Whether its role is one that sends records at all."""
        return self.role in SENDING

    def may_send_for(self, resource: str, aliases: Iterable[str] = ()) -> bool:
        """Say whether a request that names `resource` may come in.

        aliases: the other names of that resource, of the registry; names are compared without case.
        A sender bound to VOs alone may name any resource; each record is then held to the VOs when it is loaded
        (records.checks.not_allowed).
        """
        if not self.sends:
            return False
        if self.resources is None or (self.vos and not self.resources):
            return True
        return _any_fits(self.resources, (resource, *aliases))

    def may_act_as(self, least: Role) -> bool:
        """Say whether its role is `least` or above it; a probe acts as a probe only, contacts stand beside each other."""
        if self.role == least or least not in RANKS or self.role not in RANKS:
            return self.role == least
        if least in CONTACTS:
            return RANKS[self.role] > RANKS[least]
        return RANKS[self.role] >= RANKS[least]


def refusal(sender: Sender, asked: str) -> str:
    """The sentence for a sender that may not send for `asked`: for what it may, and what it asked for."""
    this = "this token" if sender.name.startswith("token ") else f"this sender ({sender.name})"
    if not sender.sends:
        return f"{this} is for reading (role {sender.role}) and may not send; it asked for {shown(asked)}"
    if sender.resources:
        return f"{this} may send for {_listed(sender.resources)} only; it asked for {shown(asked)}"
    if sender.vos:
        return f"{this} may send records of {_listed(sender.vos)} only; it asked for {shown(asked)}"
    return f"{this} may send for no resource; it asked for {shown(asked)}"


def fits(pattern: str, name: str) -> bool:
    """Say whether a name fits a pattern in which only `*` is special; without case."""
    return _compiled(pattern.casefold()).match(name.casefold()) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # fnmatch's own expressions never backtrack; what else is special to it stands for itself here.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]").replace("?", "[?]")))


def _any_fits(patterns: Iterable[str], names: Iterable[str]) -> bool:
    known = tuple(names)
    return any(fits(pattern, name) for pattern in patterns for name in known)


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    more = len(known) - MOST_NAMES_IN_A_SENTENCE
    return ", ".join(known[:MOST_NAMES_IN_A_SENTENCE]) + (f" and {more} more" if more > 0 else "")

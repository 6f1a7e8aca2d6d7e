"""Who looks: a visitor of pages and of the reading API, its role, and what it may see and change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from gridkeeper.trust.senders import fits

Standing = Literal["public", "viewer", "site-contact", "vo-contact", "operator", "admin"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
_RANKS: dict[Standing, int] = {
    "public": 0, "viewer": 1, "site-contact": 1, "vo-contact": 1, "operator": 2, "admin": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Visitor:
    """Somebody who looks.

    name:      what pages, logs and the audit show; never a secret.
    sites, resources, vos: what a contact speaks for, exact or with `*`.
    users:     the names under which the visitor's own jobs run.
    form_key:  what a form of this visitor must carry to change anything; None: it came without a session.
    session:   the public id of the session; None: it came without one.
    """

    name: str
    role: Standing
    address: str = ""
    sites: frozenset[str] = field(default_factory=frozenset)
    resources: frozenset[str] = field(default_factory=frozenset)
    vos: frozenset[str] = field(default_factory=frozenset)
    users: frozenset[str] = field(default_factory=frozenset)
    form_key: str | None = field(default=None, repr=False)
    session: str | None = None

    @property
    def short_name(self) -> str:
        """The name without the subject that an issuer gave: for the head of a page."""
        return self.name.rpartition(" (oidc ")[0] or self.name

    @property
    def is_known(self) -> bool:
        """Whether somebody is logged in."""
        return self.role != "public"

    def may_act_as(self, least: Standing) -> bool:
        """Whether the role is `least` or above it; contacts stand beside each other, above the public."""
        if least in ("site-contact", "vo-contact"):
            return self.role == least or _RANKS[self.role] > _RANKS[least]
        return _RANKS[self.role] >= _RANKS[least]

    @property
    def sees_people(self) -> bool:
        """Whether it may see every user's name and DN."""
        return self.may_act_as("operator")

    def sees_user(self, user: str, vos: frozenset[str] = frozenset()) -> bool:
        """Whether it may see this user: everybody's for operators, a VO's for its contact, one's own for oneself."""
        if self.sees_people or any(fits(own, user) for own in self.users):
            return True
        return self.role == "vo-contact" and bool(vos) and all(self.speaks_for_vo(vo) for vo in vos)

    def speaks_for_vo(self, vo: str) -> bool:
        """Whether it is a contact of the VO, or stands above contacts."""
        return self.sees_people or (self.role == "vo-contact" and any(fits(own, vo) for own in self.vos))

    def speaks_for_resource(self, resource: str | None, site: str | None = None) -> bool:
        """Whether it is a contact of the resource or its site, or stands above contacts."""
        if self.sees_people:
            return True
        if self.role != "site-contact":
            return False
        return any(resource and fits(own, resource) for own in self.resources) or any(
            site and fits(own, site) for own in self.sites
        )


PUBLIC = Visitor("the public", "public")

"""What each role may be bound to: the same rule for tokens and for people whom the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gridkeeper.trust.senders import Role

# Role → kind of name → whether it is one of those of which there must be one at least.
BINDINGS: dict[Role, dict[str, bool]] = {
    "probe": {"resources": True, "vos": True},
    "viewer": {"users": False},
    "site-contact": {"sites": True, "resources": True, "users": False},
    "vo-contact": {"vos": True, "users": False},
    "operator": {},
    "admin": {},
}
ONE_OF = {"sites": "site", "resources": "resource", "vos": "VO", "users": "user"}
_WORDS = {kind: f"{word}s" for kind, word in ONE_OF.items()}


def fault_of(role: Role, bound: Mapping[str, Collection[str]]) -> str | None:
    """Say what is wrong with binding a role so; None: nothing.

    bound: `sites`, `resources`, `vos`, `users` → names; those left out are empty.
    """
    allowed = BINDINGS[role]
    whose = "a probe's token" if role == "probe" else f"the role {role}"
    for kind, names in bound.items():
        if names and kind not in allowed:
            may = " and ".join(_WORDS[each] for each in allowed) or "nothing: it is for everything"
            return f"{whose} is not bound to {_WORDS[kind]}; it is bound to {may}"
    needed = [kind for kind, must in allowed.items() if must]
    if needed and not any(bound.get(kind) for kind in needed):
        return f"{whose} must say what it is for; name {' or '.join(_WORDS[kind] for kind in needed)}"
    # One's own name is one name. A pattern would be a way to see everybody's, which is the operator's.
    if any("*" in name for name in bound.get("users", ())):
        return "a user is named whole, without *; who sees all users is an operator"
    return None

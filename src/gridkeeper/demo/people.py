"""Who computes in the sample federation: VOs, their experiments, accounts, groups and users. All are invented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

USERS_PER_VO = 8
_NAMES = (
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "karl", "lena", "mallory", "nina", "oscar", "peggy",
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """A VO or local community.

    one_core, ...: shares of its core hours that run in jobs of one, four, eight and sixteen cores.
    mean_hours:    mean wall hours of a job.
    efficiency:    CPU / (wall x cores).
    """

    name: str
    number: int
    mean_hours: float
    efficiency: float
    shares: tuple[tuple[int, float], ...] = ((1, 1.0),)
    role: str = "pilot"


_MOSTLY_ONE = ((1, 0.82), (4, 0.06), (8, 0.12))
GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group("cms", 1, 4.2, 0.68, ((1, 0.05), (8, 0.95))),
        Group("atlas", 2, 3.0, 0.786, ((1, 0.4), (8, 0.6)), role="production"),
        Group("osg", 3, 3.3, 0.81, _MOSTLY_ONE),
        Group("fermilab", 4, 7.0, 0.74, ((1, 0.9), (4, 0.1)), role="Analysis"),
        Group("glow", 5, 4.0, 0.86, ((1, 0.9), (8, 0.1))),
        Group("hcc", 6, 5.0, 0.83, ((1, 0.7), (8, 0.1), (16, 0.2))),
        Group("gluex", 7, 4.5, 0.88, ((1, 0.6), (4, 0.4))),
        Group("sbgrid", 8, 3.0, 0.90),
        Group("alice", 9, 6.6, 0.91),
        Group("icecube", 10, 3.6, 0.77),
        Group("ligo", 11, 4.6, 0.79, ((1, 0.8), (4, 0.2))),
        Group("belle", 12, 5.5, 0.84),
        Group("dosar", 13, 3.8, 0.72),
        Group("utah", 14, 7.0, 0.70, ((1, 0.2), (16, 0.8)), role=""),
        Group("unl", 15, 6.0, 0.74, ((1, 0.4), (4, 0.2), (16, 0.4)), role=""),
        Group("purdue", 16, 6.5, 0.69, ((1, 0.5), (8, 0.5)), role=""),
        Group("uw", 17, 8.0, 0.75, ((1, 0.3), (16, 0.7)), role=""),
    )
}
UNMAPPED_GROUP = Group("guestlab", 18, 4.0, 0.60, ((1, 0.5), (4, 0.5)), role="")
ALIASES = {"cms": ("uscms",), "atlas": ("usatlas",), "glow": ("GLOW",), "gluex": ("Gluex",)}
OPPORTUNISTIC = ("glow", "gluex", "hcc", "osg", "sbgrid")
PAYLOAD_MEAN_HOURS, PAYLOAD_EFFICIENCY, PAYLOAD_SHARE = 4.2, 0.84, 0.88
PROJECTS = ("BioGraph", "DeepMail", "OrbitFold", "SeaIce", "TinyPlasma")
# Experiments below Fermilab: their shares of what runs on site, and of what runs elsewhere outside the week.
EXPERIMENTS: dict[str, tuple[float, float]] = {
    "nova": (0.40, 0.80), "microboone": (0.22, 0.05), "minerva": (0.11, 0.0), "mu2e": (0.10, 0.06), "des": (0.06, 0.06), "minos": (0.05, 0.0),
    "dune": (0.04, 0.0), "cdms": (0.02, 0.03),
}  # fmt: skip
OFFSITE_SHARE = {"nov": 0.10, "dec": 0.09, "jan": 0.06}


def group_of(vo: str | None) -> Group:
    """The group of a VO; that of the account nobody has mapped for None."""
    return UNMAPPED_GROUP if vo is None else GROUPS[vo]


def account_of(vo: str, experiment: str | None) -> str:
    """The Slurm account of a VO's pilots."""
    return f"{vo}-{experiment or GROUPS[vo].role.lower()}"


def fqan_of(vo: str, experiment: str | None) -> str:
    """The first VOMS attribute of a VO's jobs."""
    middle = f"/{experiment}" if experiment else f"/{ALIASES[vo][0]}" if vo in ("cms", "atlas") else ""
    return f"/{vo}{middle}/Role={GROUPS[vo].role}/Capability=NULL"


def user_names(group: Group) -> list[str]:
    """The users of a group, as `alice07`."""
    return [
        f"{_NAMES[(group.number * 5 + place) % len(_NAMES)]}{group.number:02d}"
        for place in range(USERS_PER_VO)
    ]


def distinguished_name(user: str) -> str:
    """The subject of a user's certificate."""
    return f"/DC=org/DC=example/OU=People/CN={user.capitalize()}"


def draw_users(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw who runs each job: a few users run most. Returns: places in `user_names`, int64."""
    return np.minimum(rng.exponential(2.0, count).astype(np.int64), USERS_PER_VO - 1)

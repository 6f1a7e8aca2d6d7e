"""Jobs, corrections and what is done with them, drawn at random for laws that must hold for all of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.lake.rows import NOON, job
from tests.summaries.corrections.invented import rule

if TYPE_CHECKING:
    from gridkeeper.summaries.corrections.rules import Rule

FIRST = date(2017, 1, 28)
DAYS = 5
_MATCHES: tuple[dict[str, Any], ...] = (
    {"resource": "alpha"},
    {"resource": {"pattern": "*a"}},
    {"vo_reported": ["cms", "osg"]},
    {"vo_reported": None},
    {"processors": {"at_least": 4}},
    {"wall_duration_s": {"over": 40_000}},
    {"local_job_id": ["1", "2", "3"], "resource": "alpha"},
)
_ACTS: tuple[dict[str, Any], ...] = (
    {"set": {"vo": "glow"}},
    {"set": {"vo": {"cms": "osg", "osg": "cms"}}},
    {"set": {"project": "Summer"}},
    {"set": {"resource": "beta"}},
    {"set": {"resource": "nowhere"}},
    {"set": {"grid": "Local"}},
    {"set": {"processors": 3}},
    {"set": {"processors": {1: 2, 2: 4, 8: 1}}},
    {"scale": {"wall": "7/3"}},
    {"scale": {"wall": "1/1000"}},
    {"scale": {"cpu": "0.3"}},
    {"exclude": True},
)
_PER_DAY = {"jobs": 3, "wall_seconds": 1001, "core_seconds": 70_007}


@st.composite
def rules(draw: st.DrawFn, most: int = 4) -> list[Rule]:
    """A few corrections, a, b, c ...: what they fit and do may overlap."""
    found = []
    for name in "abcdefgh"[: draw(st.integers(1, most))]:
        first = draw(st.integers(0, DAYS - 1))
        days = draw(st.integers(1, DAYS))
        period = {"first": FIRST + timedelta(days=first), "until": FIRST + timedelta(days=first + days)}
        if draw(st.integers(0, 5)) == 0:
            add = {
                "vo": "cms",
                "resource": draw(st.sampled_from(["alpha", "gone"])),
                "level": "batch",
                "per_day": _PER_DAY,
            }
            found.append(rule(name, period, add=add))
        else:
            found.append(
                rule(name, period, match=draw(st.sampled_from(_MATCHES)), **draw(st.sampled_from(_ACTS)))
            )
    return found


@st.composite
def jobs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Some jobs of two resources, most within a day, some over several."""
    made = []
    for number in range(draw(st.integers(1, 8))):
        wall = draw(st.sampled_from([0, 1, 3599, 50_000, 200_000]))
        made.append(
            job(
                number, start=NOON - timedelta(days=3) + timedelta(seconds=draw(st.integers(0, 3 * 86_400))), wall_s=wall,
                resource=draw(st.sampled_from(["alpha", "beta", "delta"])), vo_reported=draw(st.sampled_from([None, "cms", "osg"])),
                processors=draw(st.sampled_from([1, 2, 8])), cpu_user_us=draw(st.integers(0, 10**9)), cpu_system_us=draw(st.integers(0, 99)),
                grid_reported=draw(st.sampled_from(["OSG", "Local"])), probe="slurm:alpha",
            )
        )  # fmt: skip
    return made

"""The plot of one pool: cores that run and cores that wait, hour by hour, as its probe saw them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.reports.plots import PALETTE, Plot, finished, grammar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.monitoring.pools import PoolHour
    from gridkeeper.queries.periods import Period

_COLOURS = {"running": PALETTE[0], "pending": PALETTE[1]}


def pool_by_hour(probe: str, period: Period, hours: Sequence[PoolHour]) -> Plot:
    """Two lines through the hours in which the probe looked. Its resources are added up."""
    alt = grammar()
    sums: dict[tuple[str, str], float] = {}
    for one in hours:
        for state, cores in (("running", one.running_cores), ("pending", one.pending_cores)):
            key = (f"{one.hour:%Y-%m-%dT%H:%M:%SZ}", state)
            sums[key] = sums.get(key, 0.0) + cores
    rows = [
        {"hour": hour, "state": state, "cores": round(cores, 2)}
        for (hour, state), cores in sorted(sums.items())
    ]
    domain = [f"{day:%Y-%m-%d}T00:00:00Z" for day in (period.first, period.until)]
    x = alt.X(
        "hour:T", scale=alt.Scale(type="utc", domain=domain, nice=False), axis=alt.Axis(title=None, format="%-d %b", grid=False, tickCount="day")
    )  # fmt: skip
    scale = alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values()))
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=alt.OverlayMarkDef(size=18), strokeJoin="round")
        .encode(
            x=x,
            y=alt.Y("cores:Q", title=None, axis=alt.Axis(format=",.0f")),
            color=alt.Color("state:N", scale=scale, legend=alt.Legend(title=None, orient="right")),
            tooltip=[alt.Tooltip("state:N"), alt.Tooltip("hour:T"), alt.Tooltip("cores:Q", format=",.0f")],
        )
    )
    title = alt.Title(
        f"Cores in the pool of {probe}", subtitle=f"{period.name}, mean of the moments of each hour (UTC)"
    )
    says = f"Lines: cores running and pending in the pool of {probe} by hour, {period.name}."
    return Plot("pool", says, finished(chart.properties(width=620, height=180, title=title)))

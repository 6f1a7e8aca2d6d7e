"""The plots of the production report: one chart specification each, written as SVG and PNG; nothing is fetched."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gridkeeper.queries.daily import DayUse
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.running import Running

# Seven that differ in hue and in lightness, readable on white and on near-black; the last is for all others.
PALETTE = ("#3b76c4", "#e2903a", "#4fa36b", "#c9534f", "#8d6cc0", "#2fa3ad", "#c77fb0")
OTHERS_COLOUR, UNMAPPED_COLOUR = "#98a2ad", "#5c6670"
MOST_NAMED = len(PALETTE)
OTHERS = "all others"
UNMAPPED = "no VO known"
INK = "#1c2733"  # text and lines; inside a page it becomes the page's own colour
WIDTH, HEIGHT = 860, 300
MONTHS_WIDTH = 600  # a few bars need no more
PNG_SCALE = 2.0
_FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"
_SHADE = 0.07
_LABEL_SHARE = 0.18  # what the label takes of the width
_MOST_LABELS = 12
_LEAST_CORES = 0.001  # less is rounding, not usage


@dataclass(frozen=True)
class Plot:
    """One plot: a name for its files, what it shows in a sentence, and its Vega-Lite specification."""

    name: str
    says: str
    spec: dict[str, Any]

    def svg(self) -> str:
        """Write it as SVG."""
        text: str = import_module("vl_convert").vegalite_to_svg(self.spec)
        return text

    def svg_for_page(self) -> str:
        """Write it as SVG that takes the colour of the text around it, so that it reads in light and dark pages."""
        drawn = self.svg().replace(INK, "currentColor")
        return drawn.replace("<svg ", f'<svg role="img" aria-label="{_attribute(self.says)}" ', 1)

    def png(self) -> bytes:
        """Write it as PNG on white, at PNG_SCALE times its size."""
        data: bytes = import_module("vl_convert").vegalite_to_png(
            {**self.spec, "background": "white"}, scale=PNG_SCALE
        )
        return data


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def wall_hours_by_day(days: Sequence[DayUse], shown: Period, period: Period, order: Sequence[str]) -> Plot:
    """Wall hours by VO and day, `period` in full colour, the weeks before it paler.

    order: the VOs, the greatest first; they keep their colours from plot to plot.
    """
    hours = [(use.day, use.vo, use.wall_hours) for use in days]
    title = "Wall hours a day, by VO"
    subtitle = f"{shown.name}, by the day (UTC) a job ended"
    if period != shown:
        subtitle += f"; {period.name} in full colour"
    return stacked_by_day("wall-hours-by-day", title, subtitle, hours, "wall_hours", shown, period, order)


def stacked_by_day(
    name: str, title: str, subtitle: str, hours: Iterable[tuple[date, str | None, float]], measure: str,
    shown: Period, period: Period, order: Sequence[str], by: str = "VO",
) -> Plot:  # fmt: skip
    """Stacked bars, one a day of `shown`: (day, whose, value); `period` in full colour, what is before it paler.

    order: the names, the greatest first; they keep their colours from plot to plot. by: what the names are.
    """
    alt = grammar()
    hours = list(hours)
    unmapped = f"no {by} known"
    groups = _groups(order, {whose for _, whose, _ in hours}, unmapped)
    sums: defaultdict[tuple[date, str], float] = defaultdict(float)
    for day, whose, value in hours:
        sums[day, _shown_as(whose, groups, unmapped)] += value
    rows = [
        {"day": day.isoformat(), "vo": whose, "rank": groups.index(whose), measure: round(value, 3), "inside": period.first <= day < period.until}
        for (day, whose), value in sorted(sums.items())
    ]  # fmt: skip
    dates = shown.dates()
    labelled = [day.isoformat() for day in dates if (day - period.first).days % _step(shown.days) == 0]
    axis = alt.Axis(
        title=None, values=labelled, labelExpr="utcFormat(toDate(datum.value), '%-d %b')", labelAngle=0
    )
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "day:O",
                scale=alt.Scale(domain=[day.isoformat() for day in dates], paddingInner=0.18),
                axis=axis,
            ),
            y=alt.Y(f"{measure}:Q", title=None, stack="zero", axis=alt.Axis(format=",.0f")),
            color=_colour(alt, groups, unmapped),
            order=alt.Order("rank:Q"),
            opacity=alt.condition(alt.datum.inside, alt.value(1.0), alt.value(0.5)),
            tooltip=[
                alt.Tooltip("vo:N", title=by),
                alt.Tooltip("day:O"),
                alt.Tooltip(f"{measure}:Q", format=",.0f"),
            ],
        )
    )
    says = f"Stacked bars: {title}, {shown.name}."
    drawn = chart.properties(width=WIDTH, height=HEIGHT, title=alt.Title(title, subtitle=subtitle))
    return Plot(name, says, finished(drawn))


def stacked_in_order(
    name: str, title: str, subtitle: str, rows: Sequence[tuple[str, str | None, float]], labels: Sequence[str], unit: str,
    order: Sequence[str], by: str = "VO",
) -> Plot:  # fmt: skip
    """Stacked bars, one for each of `labels` in this order: (label, whose, value). order, by: as in `stacked_by_day`."""
    alt = grammar()
    nobody = f"no {by} known"
    groups = _groups(order, {whose for _, whose, _ in rows}, nobody)
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for label, whose, value in rows:
        sums[label, _shown_as(whose, groups, nobody)] += value
    values = [
        {"label": label, "vo": whose, "rank": groups.index(whose), "value": round(value, 3)}
        for (label, whose), value in sums.items()
    ]
    axis = alt.Axis(title=None, labelAngle=0)
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar()
        .encode(
            x=alt.X("label:O", sort=list(labels), axis=axis, scale=alt.Scale(domain=list(labels), paddingInner=0.3)),
            y=alt.Y("value:Q", title=None, stack="zero", axis=alt.Axis(format="~s")),
            color=_colour(alt, groups, nobody),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip("vo:N", title=by), alt.Tooltip("label:O", title=" "), alt.Tooltip("value:Q", title=unit, format=",.0f")],
        )
    )  # fmt: skip
    told = chart.properties(width=MONTHS_WIDTH, height=HEIGHT, title=alt.Title(title, subtitle=subtitle))
    return Plot(name, f"Stacked bars: {title}, {subtitle}.", finished(told))


def bars(
    name: str,
    title: str,
    subtitle: str,
    rows: Sequence[tuple[str, float | None]],
    unit: str,
    *,
    height: int = 200,
    width: int = 560,
) -> Plot:
    """One bar for each (label, value), in order; no bar where a value is not known."""
    alt = grammar()
    values = [{"label": label, "place": place, "value": value} for place, (label, value) in enumerate(rows)]
    every = max(1, -(-len(rows) // _MOST_LABELS))
    labelled = [label for place, (label, _) in enumerate(rows) if place % every == 0]
    axis = alt.Axis(title=None, labelAngle=0, values=labelled)
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X(
                "label:O", sort=[label for label, _ in rows], axis=axis, scale=alt.Scale(paddingInner=0.18)
            ),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(format=_axis_format(unit))),
            tooltip=[alt.Tooltip("label:N", title=" "), alt.Tooltip("value:Q", title=unit, format=",.0f")],
        )
    )
    told = chart.properties(width=width, height=height, title=alt.Title(title, subtitle=subtitle))
    return Plot(name, f"Bars: {title}, {subtitle}.", finished(told))


def ranks(name: str, title: str, subtitle: str, rows: Sequence[tuple[str, float | None]], unit: str) -> Plot:
    """One lying bar for each (label, value), in order; labels may be long."""
    alt = grammar()
    values = [{"label": label, "value": value} for label, value in rows]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X("value:Q", title=None, axis=alt.Axis(format=_axis_format(unit), grid=True, tickCount=6)),
            y=alt.Y("label:N", sort=[label for label, _ in rows], title=None, axis=alt.Axis(labelLimit=320)),
            tooltip=[
                alt.Tooltip("label:N", title=" "),
                alt.Tooltip("value:Q", title=unit, format=",.1%" if unit == "ratio" else ",.1f"),
            ],
        )
    )
    told = chart.properties(width=560, height=alt.Step(20), title=alt.Title(title, subtitle=subtitle))
    return Plot(name, f"Bars: {title}, {subtitle}.", finished(told))


def running_cores_by_hour(
    running: Mapping[str, Running], total: Running, period: Period, order: Sequence[str]
) -> Plot:
    """Cores in use by VO and hour; the hours that are still open lie behind a dashed line, shaded. order: as above."""
    alt = grammar()
    cores: dict[str | None, list[float]] = {
        vo: [hour.cores for hour in one.hours] for vo, one in running.items()
    }
    rest = [hour.cores - sum(each) for hour, *each in zip(total.hours, *cores.values(), strict=True)]
    if max(rest) > _LEAST_CORES:
        cores[None] = rest
    groups = _groups(order, cores)
    sums: defaultdict[tuple[datetime, str], float] = defaultdict(float)
    for vo, each in cores.items():
        for hour, value in zip(total.hours, each, strict=True):
            sums[hour.hour, _shown_as(vo, groups)] += value
    last = total.hours[-1].hour  # drawn until its end
    sums |= {(last + timedelta(hours=1), group): sums[last, group] for group in groups}
    rows = [
        {"hour": _text(hour), "vo": vo, "rank": groups.index(vo), "cores": round(value, 2)}
        for (hour, vo), value in sorted(sums.items())
    ]
    domain = [f"{day:%Y-%m-%d}T00:00:00Z" for day in (period.first, period.until)]
    labelled = [
        f"{day:%Y-%m-%d}T00:00:00Z"
        for day in period.dates()
        if (day - period.first).days % _step(period.days) == 0
    ]
    axis = alt.Axis(title=None, format="%-d %b", values=labelled, grid=False)
    x = alt.X("hour:T", scale=alt.Scale(type="utc", domain=domain, nice=False), axis=axis)
    y = alt.Y("cores:Q", title=None, stack="zero", axis=alt.Axis(format=",.0f"))
    chart = alt.Chart(alt.Data(values=rows)).mark_area(interpolate="step-after", line=False)
    layers: list[Any] = [chart.encode(x=x, y=y, color=_colour(alt, groups), order=alt.Order("rank:Q"))]
    first_open = next((hour.hour for hour in total.hours if hour.is_open), None)
    if first_open is not None:
        layers += _open_hours(alt, first_open, period)
    note = f"; the last {total.open_hours} hours are still open" if total.open_hours else ""
    title = alt.Title(
        "Running cores, by VO", subtitle=f"{period.name}, cores in use, mean of each hour (UTC){note}"
    )
    says = f"Stacked areas: running cores by VO and hour, {period.name}{note}."
    return Plot(
        "running-cores-by-hour",
        says,
        finished(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=title)),
    )


def _open_hours(alt: Any, first: datetime, period: Period) -> list[Any]:
    until = f"{period.until:%Y-%m-%d}T00:00:00Z"
    data = alt.Data(values=[{"hour": _text(first), "until": until, "label": "open: may still grow"}])
    x = alt.X("hour:T")
    left = (
        period.until - first.date()
    ).days - first.hour / 24 < _LABEL_SHARE * period.days  # too narrow for its label
    at = {"align": "right" if left else "left", "dx": -5 if left else 5}
    return [
        alt.Chart(data).mark_rect(color=INK, opacity=_SHADE).encode(x=x, x2="until:T"),
        alt.Chart(data).mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1).encode(x=x),
        alt.Chart(data).mark_text(color=INK, baseline="top", dy=4, fontSize=11, **at).encode(x=x, y=alt.value(0), text="label:N"),
    ]  # fmt: skip


def _groups(order: Sequence[str], known: Iterable[str | None], unmapped: str = UNMAPPED) -> list[str]:
    """The groups that are shown: the first names of `order`, then all others, then what has no name."""
    known = set(known)
    rest = known - set(order[:MOST_NAMED]) - {None}
    return [*order[:MOST_NAMED], *([OTHERS] if rest else []), *([unmapped] if None in known else [])]


def _shown_as(name: str | None, groups: Sequence[str], unmapped: str = UNMAPPED) -> str:
    return unmapped if name is None else name if name in groups else OTHERS


def _colour(alt: Any, groups: Sequence[str], unmapped: str = UNMAPPED) -> Any:
    kept = {OTHERS: OTHERS_COLOUR, unmapped: UNMAPPED_COLOUR}
    colours = [kept.get(group) or PALETTE[place] for place, group in enumerate(groups)]
    legend = alt.Legend(title=None, orient="right", symbolType="square", symbolSize=110, labelLimit=150)
    return alt.Color("vo:N", scale=alt.Scale(domain=list(groups), range=colours), legend=legend)


def _step(days: int) -> int:
    """Every how many days the axis says one, so that labels have room."""
    return next((step for step in (1, 7, 14, 28, 56) if days / step <= 16), 112)


def _axis_format(unit: str) -> str:
    return "~%" if unit == "ratio" else "~s"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def grammar() -> Any:
    """Altair, imported when the first plot is made: that takes long, and the registry of reports need not wait for it.

    Specifications are held against Vega-Lite's schema by the tests, not each time that a page is made: checking takes
    longer than making, and meanwhile nobody else is answered.
    """
    alt: Any = import_module("altair")
    import_module("altair.utils.schemapi").disable_debug_mode()
    return alt


def finished(chart: Any) -> dict[str, Any]:
    """The specification of a chart with the fonts, colours and margins that all plots share."""
    chart = chart.configure(
        background="transparent", font=_FONT, padding={"left": 4, "right": 12, "top": 6, "bottom": 4}
    )
    chart = chart.configure_view(stroke=None).configure_legend(labelColor=INK, labelFontSize=12)
    chart = chart.configure_axis(
        labelColor=INK, labelFontSize=11, labelOpacity=0.85, gridColor=INK, gridOpacity=0.13, domainColor=INK, domainOpacity=0.5, tickColor=INK,
        tickOpacity=0.5, labelPadding=5,
    )  # fmt: skip
    chart = chart.configure_axisY(domain=False, ticks=False, tickCount=5)
    chart = chart.configure_title(
        anchor="start", frame="group", color=INK, fontSize=15, fontWeight=600, subtitleColor=INK, subtitleFontSize=12, subtitlePadding=4, offset=12
    )  # fmt: skip
    spec: dict[str, Any] = chart.to_dict(validate=False)
    return spec

"""Tells months side by side as a meeting would: in sentences that always say core hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.reports.wording import CORE_HOURS, hours, rough, signed_percent

if TYPE_CHECKING:
    from gridkeeper.queries.trends import Share, Trend, Trends

# A VO is told of when its change is at least this part of all core hours of the month before, or ...
TOLD_FROM_SHARE_OF_TOTAL = 0.005
# ... when it changed by this part of itself and is at least this part of all core hours.
TOLD_FROM_CHANGE = 0.25
TOLD_FROM_SIZE = 0.002
MOST_TOLD = 8
# Up to which change a month is as good as the same, only slightly different, or different; beyond, it is very different.
SAME, SLIGHT, CLEAR = 0.005, 0.03, 0.25
# How near an earlier month must be to be called similar.
SIMILAR = 0.02


def sentences(trends: Trends) -> list[str]:
    """Tell the newest month: the total, the VOs that moved most, the others together, the opportunistic VOs."""
    total = trends.total
    if total.newest is None:
        return [f"There are no records of {trends.month.name}, so nothing can be said of its {CORE_HOURS}."]
    told = [
        f"{trends.month.name}: {_much(total.newest)} {CORE_HOURS} in total{_against(trends, total)}.{_top(total, 'Most')}"
    ]
    movers = _movers(trends)
    told += [
        f"{_called(trend.name)}: {_much(trend.newest)} {CORE_HOURS}{_against(trends, trend)}.{_top(trend, 'Most of them')}"
        for trend in movers
    ]
    told += _others(trends, movers)
    opportunistic = trends.opportunistic
    if opportunistic.newest or opportunistic.change:
        names = " + ".join(
            trend.name for trend in trends.vos if trend.name.lower() in trends.named_opportunistic
        )
        told.append(
            f"Opportunistic VOs ({names}): {_much(opportunistic.newest)} {CORE_HOURS}{_against(trends, opportunistic)}."
        )
    return told


def _much(seconds: int | None) -> str:
    return rough(hours(seconds) or 0)


def _called(name: str) -> str:
    return "Usage that no rule maps to a VO" if name == "(unmapped)" else f"VO {name}"


def _against(trends: Trends, trend: Trend) -> str:
    """What the month before was, and whether an older one was nearer."""
    if trend.change is None:
        return f"; of {trends.months[-2].name} there are no records to compare with"
    before = trends.months[-2].name
    old = trend.core_seconds[-2]
    if not old:
        return f", after none in {before}" if trend.newest else f", as in {before}"
    ratio = trend.change_ratio or 0.0
    if abs(ratio) <= SAME:
        return f", about as many as in {before} ({_much(old)})"
    way = "up" if ratio > 0 else "down"
    how = "slightly " if abs(ratio) <= SLIGHT else "" if abs(ratio) < CLEAR else "well "
    text = f", {how}{way} by {_much(trend.change)} from {_much(old)} in {before} ({signed_percent(ratio)})"
    return text + _similar(trends, trend)


def _similar(trends: Trends, trend: Trend) -> str:
    """An older month that was nearly the same, where the one before was not."""
    if abs(trend.change_ratio or 0.0) <= SLIGHT:
        return ""
    newest = trend.newest or 0
    for place in range(len(trends.months) - 3, -1, -1):
        older = trend.core_seconds[place]
        if older and abs(newest - older) <= SIMILAR * older:
            return f", close to the {_much(older)} of {trends.months[place].name}"
    return ""


def _top(trend: Trend, begin: str) -> str:
    """The first sites of the newest month, and whether the first one was first before."""
    if not trend.top or not trend.newest:
        return ""
    first, *rest = trend.top
    if not rest:
        return f" All of them at {first.site}."
    again = bool(trend.top_before) and trend.top_before[0].site == first.site
    text = f" {begin} at {first.site}{' again' if again else ''} ({_share(first)}), then {rest[0].site} ({_share(rest[0])})"
    return text + (f" and {rest[1].site} ({_share(rest[1])})." if len(rest) > 1 else ".")


def _share(share: Share) -> str:
    return _much(share.core_seconds)


def _movers(trends: Trends) -> list[Trend]:
    """The VOs worth a sentence, largest change first."""
    whole = trends.total.core_seconds[-2] or 0

    def worth(trend: Trend) -> bool:
        if not trend.change:
            return False
        size = max(trend.newest or 0, trend.core_seconds[-2] or 0)
        much = trend.change_ratio is None or abs(trend.change_ratio) >= TOLD_FROM_CHANGE
        return abs(trend.change) >= TOLD_FROM_SHARE_OF_TOTAL * whole or (
            much and size >= TOLD_FROM_SIZE * whole
        )

    found = sorted(
        (trend for trend in trends.vos if worth(trend)),
        key=lambda trend: (-abs(trend.change or 0), trend.name),
    )
    return found[:MOST_TOLD]


def _others(trends: Trends, movers: list[Trend]) -> list[str]:
    """What is left of the change, so that the sentences add up to it."""
    others = [trend for trend in trends.vos if trend not in movers]
    if not movers or not others or trends.total.change is None:
        return []
    left = trends.total.change - sum(trend.change or 0 for trend in movers)
    who = f"The other {len(others)} VOs together" if len(others) > 1 else "The one other VO"
    if not left:
        return [f"{who}: as many {CORE_HOURS} as the month before."]
    return [f"{who}: {_much(left)} {CORE_HOURS} {'more' if left > 0 else 'fewer'} than the month before."]

"""Draws the badge: a small SVG that reads without colour, and the same as PNG."""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridkeeper.schedules.badge import Badge, State

LABEL = "reports"
PNG_SCALE = 2.0
_HEIGHT, _MARGIN, _SIZE, _ROUND = 20, 7, 11, 3
_FONT = "Verdana, 'DejaVu Sans', Geneva, sans-serif"
_LABEL_COLOURS = ("#3b4650", "#ffffff")
# Ground and ink; each pair has a contrast of 4.5 or more.
COLOURS: dict[State, tuple[str, str]] = {
    "current": ("#2c7a3f", "#ffffff"),
    "due": ("#f0c23c", "#1f2933"),
    "late": ("#b3261e", "#ffffff"),
    "none": ("#66727e", "#ffffff"),
}
# Widths of letters in parts of the size, so that the ground fits the words whatever draws them.
_WIDTHS = {"ijlIJ. ": 0.31, "frt-": 0.38, "cskvxyz": 0.56, "mwMW": 0.9, "ABCDGHKNOQRUVX": 0.72}
_OTHER_WIDTH = 0.62


def as_svg(badge: Badge) -> str:
    """The badge as SVG; its sentence is its title, for pointers and for screen readers."""
    ground, ink = COLOURS[badge.state]
    left, right = (_width(text) + 2 * _MARGIN for text in (LABEL, badge.message))
    says = escape(f"Reports: {badge.message}. {badge.sentence}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" viewBox="0 0 {left + right} {_HEIGHT}"'
        f' role="img" aria-label="{says}"><title>{says}</title>'
        f'<rect width="{left + right}" height="{_HEIGHT}" rx="{_ROUND}" fill="{ground}"/>'
        f'<path d="M{left} 0H{_ROUND}A{_ROUND} {_ROUND} 0 0 0 0 {_ROUND}V{_HEIGHT - _ROUND}A{_ROUND} {_ROUND} 0 0 0 {_ROUND} {_HEIGHT}H{left}Z"'
        f' fill="{_LABEL_COLOURS[0]}"/><g font-family="{_FONT}" font-size="{_SIZE}">'
        f"{_text(LABEL, _MARGIN, _LABEL_COLOURS[1])}{_text(badge.message, left + _MARGIN, ink)}</g></svg>\n"
    )


def as_png(badge: Badge) -> bytes:
    """The badge as PNG, at PNG_SCALE times its size, for pages and mail that show no SVG."""
    data: bytes = import_module("vl_convert").svg_to_png(as_svg(badge), scale=PNG_SCALE)
    return data


def _text(text: str, x: int, ink: str) -> str:
    return f'<text x="{x}" y="14" textLength="{_width(text)}" fill="{ink}">{escape(text)}</text>'


def _width(text: str) -> int:
    parts = {letter: width for letters, width in _WIDTHS.items() for letter in letters}
    return round(_SIZE * sum(parts.get(letter, _OTHER_WIDTH) for letter in text))

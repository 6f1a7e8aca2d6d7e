"""Who writes a name that nobody has is told whom he may have meant."""

from __future__ import annotations

import pytest

from gridkeeper.federation.near_names import nearest

KNOWN = ("Springfield", "Shelbyville-CE1", "Shelbyville-CE2", "cms", "nova")


@pytest.mark.parametrize(
    "written, meant",
    [
        ("springfeild", ["Springfield"]),
        ("CMS", ["cms"]),
        ("shelbyville", ["Shelbyville-CE1", "Shelbyville-CE2"]),
        ("nova.fnal.example.org", ["nova"]),
        ("", []),
        ("xyzzy", []),
    ],
)
def test_the_likeliest_come_first(written: str, meant: list[str]) -> None:
    assert sorted(nearest(written, KNOWN)) == meant


def test_no_more_than_asked_for() -> None:
    assert len(nearest("shelbyville-ce", KNOWN, 1)) == 1


def test_an_empty_name_among_the_known_is_nobodys_neighbour() -> None:
    assert nearest("zz", ["", "cms"]) == []

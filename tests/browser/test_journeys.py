"""The journeys that the pages are made for, walked by their people in a real browser."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import CANARY, SITES

if TYPE_CHECKING:
    from tests.browser.looking import Looking

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]


def test_a_vo_liaison_finds_her_ten_least_efficient_sites_and_takes_them_along(
    looking: Looking, tmp_path: Path
) -> None:
    page = looking.page()
    # She comes to the display, and asks for usage of her VO by site.
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Usage").click()
    page.get_by_role("link", name="cms", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "Usage by site"
    # She wants the ten of the lowest efficiency: one click on the column for the greatest first, another for the least.
    page.locator("thead").get_by_role("link", name="efficiency").click()
    page.locator("thead").get_by_role("link", name="efficiency").click()
    page.get_by_text("Change the question").click()
    page.get_by_label("The first (rows)").fill("10")
    page.get_by_role("button", name="Ask").click()
    assert "The first 10 of 13 rows" in page.locator("main").inner_text()
    shown = page.locator("tbody th").all_inner_texts()
    assert [one.removesuffix(" page") for one in shown] == list(reversed(SITES))[:10]
    # What she takes along is what she sees, and the address bar holds all of it.
    with page.expect_download() as coming:
        page.get_by_role("link", name="CSV").click()
    coming.value.save_as(tmp_path / "sites.csv")
    rows = list(csv.DictReader(Path(tmp_path / "sites.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["site"] for row in rows] == list(reversed(SITES))[:10]
    efficiencies = [float(row["efficiency"]) for row in rows]
    assert efficiencies == sorted(efficiencies)
    again = looking.page()
    again.goto(page.url)
    assert again.locator("tbody th").all_inner_texts() == shown
    assert looking.complaints() == []


def test_a_public_visitor_sees_no_user(looking: Looking) -> None:
    page = looking.page()
    # From the display through a VO and a site to a resource: everything has a page, and none of them names anybody.
    page.goto("/vo/cms")
    assert CANARY not in page.content()
    page.get_by_role("link", name="Springfield", exact=True).first.click()
    assert CANARY not in page.content()
    page.get_by_role("link", name="alpha-1").first.click()
    assert CANARY not in page.content()
    # What asks for users is refused in words, on a page that says what to do.
    page.goto("/usage?by=user")
    assert page.get_by_role("heading", level=1).inner_text() == "Not for everybody"
    assert page.locator("main").get_by_role("link", name="Log in").is_visible()
    page.goto("/usage")
    page.get_by_text("Change the question").click()
    assert page.get_by_role("checkbox", name="user", exact=True).count() == 0

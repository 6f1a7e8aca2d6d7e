"""The journeys that the pages are made for, walked by their people in a real browser."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.browser.stage import ALPHA, BETA, CANARY, REFUSED_BEFORE, SITES

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.looking import Looking

pytestmark = pytest.mark.slow


def log_in(page: Page, token: str) -> None:
    """Log in as people do: by the form."""
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Token, beginning with gk_").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()


def test_a_coordinator_prepares_the_week(looking: Looking, tmp_path: Path) -> None:
    page = looking.page()
    # She sees on the display how old the numbers are, and goes on to the week that is over.
    page.goto("/")
    assert "The newest record ended" in page.locator("main").inner_text()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Production").click()
    this_week = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("navigation", name="Periods").locator("a[rel=prev]").click()
    assert page.get_by_role("heading", level=1).inner_text() != this_week
    # Who rose and who fell is on the page, and each of them leads to its own.
    movers = page.locator("main").get_by_role("heading", name="Sites", exact=False)
    assert movers.count()
    page.locator("main").get_by_role("link", name=SITES[0], exact=True).first.click()
    assert page.get_by_role("heading", level=1).inner_text() == f"Site {SITES[0]}"
    # A number's origin is one click away.
    page.get_by_text("Where these numbers come from").click()
    assert "SELECT" in page.locator("details pre").inner_text()
    # She takes the month's matrix along as a workbook; its sites are the page's.
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Matrix").click()
    with page.expect_download() as coming:
        page.get_by_role("link", name="XLSX").click()
    coming.value.save_as(tmp_path / "matrix.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "matrix.xlsx").worksheets[0]
    cells = {str(cell.value) for row in sheet.iter_rows() for cell in row}
    assert {name.removesuffix(" †") for name in page.locator("main tbody th").all_inner_texts()} <= cells
    assert looking.complaints() == []


def test_a_site_admin_finds_why_three_records_were_refused_and_has_them_read_again(looking: Looking) -> None:
    page = looking.page()
    log_in(page, looking.stage.tokens["site-contact"])
    # What her site sent is listed; of one batch all three were refused.
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Batches").click()
    assert BETA not in page.locator("main").inner_text()
    page.locator("main tbody a[href^='/batch/']").last.click()
    assert "3 refused" in page.locator("main").inner_text()
    # Why, in words, and what to do; and the text itself, as it came.
    page.get_by_role("link", name="end_in_future").first.click()
    told = page.locator("main").inner_text()
    assert "days after it was received" in told
    assert "What to do" in told
    assert CANARY in page.get_by_label("The text", exact=True).first.inner_text()
    # The collector was mended meanwhile, so she chooses the three and has them read again.
    boxes = page.get_by_role("checkbox", name="choose")
    assert boxes.count() == REFUSED_BEFORE[ALPHA]
    for box in boxes.all():
        box.check()
    page.get_by_role("button", name="Read the chosen again").click()
    assert "All of them are in the books now." in page.locator("main").inner_text()
    page.goto("/quarantine/end_in_future")
    assert "No text like that was refused under this rule." in page.locator("main").inner_text()
    assert looking.complaints() == []


def test_an_operator_has_a_whole_rule_read_again_after_a_fix(looking: Looking) -> None:
    page = looking.page()
    log_in(page, looking.stage.tokens["operator"])
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Quarantine").click()
    page.get_by_role("row", name=BETA).get_by_role("link", name="end_in_future").click()
    page.get_by_role("button", name=f"Read all {REFUSED_BEFORE[BETA]} again").click()
    assert "All of them are in the books now." in page.locator("main").inner_text()
    # Who did it stands in the audit.
    page.get_by_role("link", name="The audit").click()
    assert "quarantine.retried" in page.locator("main").inner_text()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in").wait_for()
    page.goto("/audit")
    assert page.get_by_role("heading", level=1).inner_text() == "Log in"
    assert looking.complaints() == []


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


def test_a_site_contact_announces_a_downtime_and_calls_it_off(looking: Looking) -> None:
    page = looking.page()
    log_in(page, looking.stage.tokens["site-contact"])
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Downtimes").click()
    page.get_by_role("link", name="Announce a downtime").click()
    # She may choose what is hers, and nothing else.
    offered = page.get_by_label("A resource").locator("option").all_inner_texts()
    assert ALPHA in offered
    assert BETA not in offered
    page.get_by_label("A resource").select_option(ALPHA)
    page.get_by_role("button", name="Choose").first.click()
    page.get_by_label("XRootD component").uncheck()
    page.get_by_label("From (UTC)").fill("2037-01-02T08:00")
    page.get_by_label("Until (UTC)").fill("2037-01-01T08:00")
    page.get_by_label("What is done").fill("a new switch")
    page.get_by_role("button", name="Announce it").click()
    # The end is before the start; what she typed is kept, and mended.
    assert "would cover no time" in page.get_by_role("alert").inner_text()
    assert not page.get_by_label("XRootD component").is_checked()
    page.get_by_label("Until (UTC)").fill("2037-01-03T08:00")
    page.get_by_role("button", name="Announce it").click()
    assert page.get_by_role("heading", level=1).inner_text() == f"Downtime of {ALPHA}"
    assert "CE does not say its flavour" in page.locator("main").inner_text()
    # It stands in the calendar of its month; then the switch is not delivered.
    page.goto("/downtimes?month=2037-01")
    days = page.locator("table.month td").filter(has=page.locator("b.count"))
    assert [one.locator("time").get_attribute("datetime") for one in days.all()] == [
        "2037-01-02",
        "2037-01-03",
    ]
    days.first.get_by_role("link", name=ALPHA).click()
    page.get_by_label("Reason").last.fill("the switch is not delivered")
    page.get_by_role("button", name="Call it off").click()
    told = page.locator("main").inner_text()
    assert "called off" in told
    assert "the switch is not delivered" in told
    assert [one for one in looking.complaints() if "status of 400" not in one] == []

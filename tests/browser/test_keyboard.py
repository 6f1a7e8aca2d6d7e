"""Pages by keyboard alone: everything can be reached, in order, seen where it is, and left again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.looking import Looking

pytestmark = pytest.mark.slow
MOST_STEPS = 400
_FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    tag: one.tagName.toLowerCase(), text: (one.innerText || one.name || one.getAttribute("aria-label") || "").trim().slice(0, 60),
    seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.left >= 0,
    inside: !!one.closest("main"), top: !!one.closest("header"),
  };
}"""


def walk(page: Page) -> list[dict[str, Any]]:
    """Press Tab from the beginning until the page is left: what had the focus, in order."""
    steps: list[dict[str, Any]] = []
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None or (steps and focused["text"].startswith("Skip")):
            return steps
        steps.append(focused)
    raise AssertionError(f"the focus is still inside after {MOST_STEPS} steps; the last was {steps[-1]}")


@pytest.mark.parametrize("address", ["/", "/usage?by=site", "/vo/cms", "/production", "/sources", "/reports"])
def test_tab_reaches_everything_in_order_in_sight_and_leaves_again(looking: Looking, address: str) -> None:
    page = looking.page()
    page.goto(address)
    steps = walk(page)
    assert steps[0]["text"] == "Skip to the content"
    assert [one for one in steps if not one["seen"]] == []
    assert {"Display", "Usage", "Sources"} <= {one["text"] for one in steps if one["top"]}
    links = page.locator(
        "main a:visible, main input:visible:not([type=hidden]), main select:visible, main button:visible"
    ).count()
    radios_and_regions = page.locator(
        "main [type=radio]:visible, main summary:visible, main [tabindex='0']:visible"
    ).count()
    parts_of_dates = 3 * page.locator("main input[type=date]:visible").count()
    reached = sum(one["inside"] for one in steps)
    assert links <= reached <= links + radios_and_regions + parts_of_dates


def test_the_skip_link_passes_the_navigation(looking: Looking) -> None:
    page = looking.page()
    page.goto("/vo/cms")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(_FOCUSED)["inside"]


def test_a_question_is_asked_by_keyboard(looking: Looking) -> None:
    page = looking.page()
    page.goto("/usage")
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="site", exact=True).focus()
    page.keyboard.press("Space")
    page.get_by_label("The first (rows)").focus()
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    page.wait_for_url("**/usage?*by=site*")
    assert page.locator("tbody tr").count() == 5

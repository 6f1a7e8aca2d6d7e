"""Every page in the browser, light and dark, wide and narrow: nothing leaves the origin, is refused, breaks or overflows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.crawling import crawl, subject_of
from tests.browser.looking import WIDTHS, Looking, Scheme, load_pictures
from tests.browser.stage import ALPHA, SITES

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.stage import Stage

pytestmark = pytest.mark.slow
ODD = (
    "/usage?by=vo&first=2001-01-01&until=2001-02-01", "/usage?by=site&attribution=overlap&where=vo=cms&where=vo=atlas", "/usage?by=day,vo",
    "/site/Springfield?first=2001-01-01&until=2001-02-01", "/site/Springfeld", "/nothing-here", "/usage?by=nonsense", "/usage?by=user",
)  # fmt: skip
ODD_OF_OPERATORS = (
    f"/downtimes/announce?resource={ALPHA}", f"/downtimes/announce?site={SITES[0]}", "/downtimes/announce?site=Springfeld", "/downtimes?month=2001-01",
    "/registry?severity=error",
)  # fmt: skip
LEAST_PAGES = 20
GRAVE = ("serious", "critical")
_SCROLLS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def addresses(stage: Stage) -> list[tuple[str | None, str]]:
    """(who looks, address): one page of each kind as an operator sees it, some as the public does, and odd ones."""
    with stage.client("operator") as operator:
        found = crawl(operator, ["/", "/about"], most_of_a_kind=1)
    kinds = {subject_of(one.address): one.address for one in reversed(found.shown()) if one.status == 200}
    assert len(kinds) >= LEAST_PAGES, sorted(kinds)
    return [("operator", one) for one in (*sorted(kinds.values()), *ODD_OF_OPERATORS)] + [
        (None, one) for one in ("/", *ODD)
    ]


@pytest.mark.parametrize(  # what is dark is as wide as what is light
    ("scheme", "width"), [*(("light", width) for width in WIDTHS), ("dark", WIDTHS[0])]
)
def test_no_page_breaks_overflows_or_reaches_beyond_its_origin(
    looking: Looking, addresses: list[tuple[str | None, str]], scheme: Scheme, width: int
) -> None:
    wrong = []
    windows = {role: looking.page(role, scheme, width) for role in {role for role, _ in addresses}}
    for role, address in addresses:
        page = windows[role]
        answer = page.goto(address)
        status = answer.status if answer else None
        broken = load_pictures(page)
        complaints = [one for one in looking.complaints() if not _is_its_own_refusal(one, status)]
        over = page.evaluate(_SCROLLS)
        if broken or complaints or over > 0:
            wrong.append((address, broken, complaints, f"{over} px too wide" if over > 0 else "fits"))
    assert wrong == []


def _is_its_own_refusal(complaint: str, status: int | None) -> bool:
    """The browser notes on its console that the page itself was answered 404, say; that is what was asked for."""
    return status is not None and status >= 400 and f"responded with a status of {status}" in complaint


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    looking: Looking, addresses: list[tuple[str | None, str]], scheme: Scheme
) -> None:
    wrong = []
    windows = {role: looking.page(role, scheme) for role in {role for role, _ in addresses}}
    for role, address in addresses:
        windows[role].goto(address)
        wrong += [(address, *one) for one in grave_findings(windows[role])]
    assert wrong == []


def grave_findings(page: Page) -> list[tuple[str, str, str]]:
    """(rule, what is wrong, where), of the serious and critical findings."""
    return [
        (found["id"], found["help"], "; ".join(node["html"][:200] for node in found["nodes"][:3]))
        for found in Axe().run(page).response["violations"]
        if found["impact"] in GRAVE
    ]


def test_a_plot_that_is_pointed_at_answers(looking: Looking) -> None:
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        page = looking.page(scheme=scheme)
        page.goto("/vo/cms")
        plot = page.locator("figure.plot").first
        plot.scroll_into_view_if_needed()
        plot.hover()
        marks = plot.locator(".vega-embed svg")
        marks.wait_for()
        box = plot.bounding_box()
        assert box is not None
        tip = page.locator("#vg-tooltip-element.visible")
        for step in range(20):
            page.mouse.move(box["x"] + box["width"] * (0.2 + step / 40), box["y"] + box["height"] * 0.75)
            if tip.count():
                break
        assert "core" in tip.inner_text()
        assert tip.evaluate("tip => getComputedStyle(tip).position") == "fixed"
        assert plot.locator(".vega-embed").get_attribute("aria-label") == "Core hours a day of cms"
        assert looking.complaints() == []


def test_pages_do_their_work_without_scripts(looking: Looking, stage: Stage) -> None:
    page = looking.page()
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/usage?by=site")
    page.locator("thead").get_by_role("link", name="efficiency").click()
    assert "sort=-efficiency" in page.url
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("efficiency")
    assert not load_pictures(page)


@pytest.mark.parametrize("role", [None, "operator"])
def test_no_link_leads_nowhere(stage: Stage, role: str | None) -> None:
    with stage.client(role) as client:
        found = crawl(client, ["/", "/about"], most_of_a_kind=2)
    assert found.broken == []
    assert [(one.status, one.address) for one in found.answers if one.status >= 400] == []

"""The docs say what the code says: generated pages are up to date, and everything a user can name is described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.generate import pages

from gridkeeper.federation.model import VO, Registry
from gridkeeper.formats.registry import formats
from gridkeeper.records.rules import REMEDY, Rule
from gridkeeper.reports.registry import reports

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name](), (
        f"run `make docs` and look at docs/{name}"
    )


@pytest.mark.parametrize("name", [name for name in pages() if name.endswith(".md")])
def test_a_generated_page_has_no_mark_of_the_terminal_and_no_empty_meaning(name: str) -> None:
    text = pages()[name]()
    assert not re.search(r"\[/?(bold|dim|red|green|yellow)[^\]]*\]|\[/\]", text), (
        f"docs/{name} has rich markup"
    )
    if name == "cli.md":
        assert not re.search(r"\|\s*\|$", text, flags=re.MULTILINE), (
            f"an option of docs/{name} has no meaning"
        )


def test_the_readme_names_no_page_twice() -> None:
    rows = re.findall(
        r"^\| (\[.*?) \|", (DOCS.parent / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    pages_named = [page for row in rows for page in re.findall(r"\]\(([^)]+)\)", row)]
    assert len(pages_named) == len(set(pages_named)), sorted(pages_named)


@pytest.mark.parametrize("name", formats())
def test_every_format_is_described(name: str) -> None:
    assert (DOCS / "formats" / f"{name}.md").is_file()
    assert f"(formats/{name}.md)" in (DOCS / "formats.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", reports())
def test_every_report_is_described(name: str) -> None:
    assert (DOCS / "reports" / f"{name}.md").is_file()


@pytest.mark.parametrize("key", Registry.model_fields)
def test_every_key_of_the_registry_is_described(key: str) -> None:
    assert f"`{key}`" in (DOCS / "federation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", sorted(set(VO.model_fields) - {"name"}))
def test_every_key_of_a_vo_is_described(key: str) -> None:
    assert f"`{key}`" in (DOCS / "federation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_a_remedy(rule: Rule) -> None:
    assert REMEDY[rule]


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
